"""The loss for classes that have an order."""

from typing import TYPE_CHECKING, Literal, final

from dlcli.losses.base import Reduction
from dlcli.losses.classification import ClassLoss
from dlcli.targets.task import Task

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


@final
class Corn(ClassLoss):
    """Cross-entropy for classes in an order; an output a class but one, the logit of going beyond.

    CORN of Shi, Cao and Raschka 2021 (Deep neural networks for rank-consistent ordinal regression
    based on conditional probabilities, arXiv:2111.08851). Output k is the logit of: the class is
    higher than k, given that it is not lower. Each is learned from the rows that it is about, and
    their products are valid probabilities of all classes, whatever the outputs are. The loss of a
    row is the sum of its binary losses, which is the cross-entropy of those probabilities; the
    paper divides the sum over all rows by the number of these binary losses, here it is by rows.
    """

    type: Literal["corn"]

    @classmethod
    def tasks(cls) -> tuple[Task, ...]:
        return ("ordinal",)

    def num_outputs(self, num_classes: int | None, num_values: int = 1) -> int:
        del num_values
        assert num_classes is not None, "the loss fits the task"
        return num_classes - 1

    @property
    def activation(self) -> str:
        return "sigmoid"

    def compute(self, outputs: "Tensor", targets: "Tensor", *, reduction: Reduction) -> "Tensor":
        from torch.nn.functional import nll_loss

        logarithms = _log_probabilities(outputs)
        losses = nll_loss(logarithms, targets, reduction="none")
        if self.label_smoothing:
            spread = self.label_smoothing
            losses = (1 - spread) * losses - spread * logarithms.mean(1)
        return losses.mean() if reduction == "mean" else losses

    def predictions(self, outputs: "Tensor") -> "np.ndarray":
        return _log_probabilities(outputs.double()).softmax(dim=1).numpy()

    def mean_of_members(self, outputs: "Tensor") -> "Tensor":
        return _to_outputs(_log_probabilities(outputs).logsumexp(1))

    def log_odds(self, outputs: "Tensor") -> "np.ndarray":
        import torch

        outputs = outputs.double()
        if outputs.shape[1] == 1:
            return outputs.float().numpy()
        logarithms = _log_probabilities(outputs)
        odds = logarithms - torch.log(-torch.expm1(logarithms))
        return odds.float().numpy()

    def class_logits(self, outputs: "Tensor") -> "np.ndarray":
        return _log_probabilities(outputs.double().cpu()).numpy()

    def to_outputs(self, values: "np.ndarray") -> "np.ndarray":
        import torch

        return _to_outputs(torch.from_numpy(values)).numpy()


def _log_probabilities(outputs: "Tensor") -> "Tensor":
    """Return the logarithm of each class's probability, [..., classes], of [..., classes - 1]."""
    from torch.nn.functional import logsigmoid, pad

    reached = pad(logsigmoid(outputs).cumsum(-1), (1, 0))
    stayed = pad(logsigmoid(-outputs), (0, 1))
    return reached + stayed


def _to_outputs(logits: "Tensor") -> "Tensor":
    """Return the outputs whose probabilities are the softmax of logits, [..., classes]."""
    higher = logits.flip(-1).logcumsumexp(-1).flip(-1)
    return higher[..., 1:] - logits[..., :-1]
