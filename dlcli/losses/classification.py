"""Losses for classes."""

import math
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Literal, Self, final

from pydantic import Field

from dlcli.losses.base import Loss, Reduction
from dlcli.section import PositiveFloat
from dlcli.targets.base import Target
from dlcli.targets.task import Task

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

_LEAST = 1e-38  # probability, whose logarithm is finite

ClassWeights = Literal["balanced"] | Annotated[dict[str, PositiveFloat], Field(min_length=1)]


class ClassLoss(Loss):
    """Cross-entropy between labels, smoothed if so configured, and predicted probabilities."""

    class_weights: ClassWeights | None = Field(
        None,
        description="factor for the loss of each class, 1 for classes not listed; `balanced`: rows "
        "/ (classes × rows of the class)",
    )
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="label probability spread evenly over all classes"
    )

    @property
    def title(self) -> str:
        return "cross-entropy"

    def unit_name(self, target: str) -> str:
        del target
        return "nats"

    def unit(self, scale: float) -> float:
        del scale
        return 1.0

    def class_weights_of(self, target: Target) -> list[float] | None:
        counts = target.class_totals
        match self.class_weights:
            case None:
                return None
            case "balanced":
                return [sum(counts) / (len(counts) * count) for count in counts]
            case weights:
                return [weights.get(name, 1.0) for name in target.class_names]

    @property
    def has_class_weights(self) -> bool:
        return self.class_weights is not None

    @property
    def smoothing(self) -> float:
        return self.label_smoothing

    def smoothed(self, share: float) -> Self:
        return self.model_copy(update={"label_smoothing": max(share, self.label_smoothing)})

    def unknown_classes(self, classes: Sequence[str]) -> Iterator[tuple[str, str]]:
        if isinstance(self.class_weights, dict):
            unknown = (name for name in self.class_weights if name not in classes)
            yield from (("class_weights", name) for name in unknown)

    @property
    @abstractmethod
    def activation(self) -> str: ...

    def outputs_of(self, predictions: "np.ndarray") -> "np.ndarray":
        import numpy as np

        return self.to_outputs(np.log(np.maximum(predictions, _LEAST)))

    def best_constant(
        self,
        values: "np.ndarray",
        counts: "np.ndarray | None" = None,
        class_weights: "np.ndarray | None" = None,
    ) -> "np.ndarray":
        import numpy as np

        mass = np.bincount(values, counts) / (len(values) if counts is None else counts.sum())
        if class_weights is not None:
            mass = mass * class_weights
        mass = (1 - self.label_smoothing) * mass + self.label_smoothing * mass.mean()
        outputs: np.ndarray = self.to_outputs(np.log(mass)[None])[0]
        return outputs

    @property
    def best_constant_text(self) -> str:
        text = "the class frequencies of the training rows"
        if self.class_weights is not None:
            text += "; its loss is that of the frequencies times the class weights"
        return text

    def calibration_notes(self) -> Iterator[str]:
        if self.label_smoothing:
            yield "Label smoothing in training keeps predicted probabilities away from 0 and 1."
        if self.class_weights is not None:
            yield "Class weights in training shift predicted probabilities on purpose."


@final
class BinaryCrossEntropy(ClassLoss):
    """Cross-entropy for two classes; the network has one output, a logit."""

    type: Literal["binary_cross_entropy"]

    @classmethod
    def tasks(cls) -> tuple[Task, ...]:
        return ("binary",)

    def num_outputs(self, num_classes: int | None, num_values: int = 1) -> int:
        del num_values
        del num_classes
        return 1

    @property
    def activation(self) -> str:
        return "sigmoid"

    def compute(self, outputs: "Tensor", targets: "Tensor", *, reduction: Reduction) -> "Tensor":
        from torch.nn.functional import binary_cross_entropy_with_logits

        truth = self._truth(outputs, targets)
        return binary_cross_entropy_with_logits(outputs[:, 0], truth, reduction=reduction)

    def mean(
        self, outputs: "Tensor", targets: "Tensor", class_weights: "Tensor | None" = None
    ) -> "Tensor":
        from torch.nn.functional import binary_cross_entropy_with_logits

        weights = None if class_weights is None else class_weights[targets]
        return binary_cross_entropy_with_logits(
            outputs[:, 0], self._truth(outputs, targets), weights
        )

    def predictions(self, outputs: "Tensor") -> "np.ndarray":
        import torch

        logits = outputs[:, 0].double()
        # 1 - p by the sigmoid of -z: it keeps its digits where p is near 1.
        return torch.stack([torch.sigmoid(-logits), torch.sigmoid(logits)], dim=1).numpy()

    def mean_of_members(self, outputs: "Tensor") -> "Tensor":
        from torch.nn.functional import logsigmoid

        # Sums of both classes' probabilities, as logarithms: a mean near 1 keeps its digits.
        return logsigmoid(outputs).logsumexp(1) - logsigmoid(-outputs).logsumexp(1)

    def log_odds(self, outputs: "Tensor") -> "np.ndarray":
        return outputs[:, :1].float().numpy()

    def class_logits(self, outputs: "Tensor") -> "np.ndarray":
        import torch

        outputs = outputs.double().cpu()
        return torch.cat([torch.zeros_like(outputs), outputs], dim=1).numpy()

    def to_outputs(self, values: "np.ndarray") -> "np.ndarray":
        outputs: np.ndarray = values[:, 1:] - values[:, :1]
        return outputs

    def _truth(self, outputs: "Tensor", targets: "Tensor") -> "Tensor":
        truth = targets.to(outputs.dtype)
        if self.label_smoothing:
            truth = truth * (1 - self.label_smoothing) + self.label_smoothing / 2
        return truth


@final
class CrossEntropy(ClassLoss):
    """Cross-entropy for two or more classes; the network has one output a class, a logit."""

    type: Literal["cross_entropy"]

    @classmethod
    def tasks(cls) -> tuple[Task, ...]:
        return ("binary", "multiclass", "ordinal")

    def num_outputs(self, num_classes: int | None, num_values: int = 1) -> int:
        del num_values
        assert num_classes is not None, "the loss fits the task"
        return num_classes

    @property
    def activation(self) -> str:
        return "softmax"

    def compute(self, outputs: "Tensor", targets: "Tensor", *, reduction: Reduction) -> "Tensor":
        from torch.nn.functional import cross_entropy

        smoothing = self.label_smoothing
        return cross_entropy(outputs, targets, reduction=reduction, label_smoothing=smoothing)

    def predictions(self, outputs: "Tensor") -> "np.ndarray":
        return outputs.double().softmax(dim=1).numpy()

    def mean_of_members(self, outputs: "Tensor") -> "Tensor":
        return outputs.log_softmax(2).logsumexp(1) - math.log(outputs.shape[1])

    def log_odds(self, outputs: "Tensor") -> "np.ndarray":
        import torch

        outputs = outputs.double()
        if outputs.shape[1] == 2:
            return (outputs[:, 1:] - outputs[:, :1]).float().numpy()
        logarithms = torch.log_softmax(outputs, dim=1)
        odds = logarithms - torch.log(-torch.expm1(logarithms))
        return odds.float().numpy()

    def class_logits(self, outputs: "Tensor") -> "np.ndarray":
        return outputs.double().cpu().numpy()

    def to_outputs(self, values: "np.ndarray") -> "np.ndarray":
        return values
