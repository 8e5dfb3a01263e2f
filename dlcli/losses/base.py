"""The interface of all losses."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal, Self

from dlcli.section import Section
from dlcli.targets.base import Target
from dlcli.targets.task import AnyTask

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from dlcli.losses.several_losses import HeadLoss

Reduction = Literal["none", "mean"]


class Loss(Section, ABC):
    """A loss: its settings, its value and gradient, and the words for it.

    Outputs are the network's, [rows, num_outputs]. Targets are encoded: class indices, or numbers
    as the network sees them, [rows]; several numbers, [rows, values], whose losses are averaged; or
    1 and 0 for the labels of a row, [rows, labels]. Neither torch nor numpy is imported before a
    value is needed.
    """

    type: str

    @classmethod
    @abstractmethod
    def tasks(cls) -> tuple[AnyTask, ...]:
        """Return the tasks that it can train."""

    @property
    @abstractmethod
    def title(self) -> str:
        """Its name in the middle of a sentence."""

    @abstractmethod
    def unit_name(self, target: str) -> str:
        """Return the unit of its value in words, for a target column of this name."""

    @abstractmethod
    def unit(self, scale: float) -> float:
        """Return the factor from the network's units to the target's own; 1 there is `scale`."""

    @abstractmethod
    def num_outputs(self, num_classes: int | None, num_values: int = 1) -> int:
        """Return how many outputs the network needs.

        `num_classes` is the number of classes or of labels, None for numbers, of which a target has
        `num_values`.
        """

    @abstractmethod
    def compute(self, outputs: "Tensor", targets: "Tensor", *, reduction: Reduction) -> "Tensor":
        """Return the unweighted loss of each row, [rows], or their mean."""

    def each(
        self, outputs: "Tensor", targets: "Tensor", class_weights: "Tensor | None" = None
    ) -> "Tensor":
        """Return the loss of each row, [rows], times the weight of its class if there are any."""
        losses = self.compute(outputs, targets, reduction="none")
        return losses if class_weights is None else losses * class_weights[targets]

    def mean(
        self, outputs: "Tensor", targets: "Tensor", class_weights: "Tensor | None" = None
    ) -> "Tensor":
        """Return the mean of `each`, a scalar: over the number of rows, not their weights.

        PyTorch's fused kernels compute the unweighted mean; their last bits are not those of the
        mean of `each`.
        """
        if class_weights is None:
            return self.compute(outputs, targets, reduction="mean")
        return self.each(outputs, targets, class_weights).mean()

    def class_weights_of(self, target: Target) -> list[float] | None:
        """Return the weight of each class or label of a target; None: no weights.

        Where rows have weights, the counts of classes are sums of those.
        """
        del target
        return None

    def on(self, targets: "Tensor", weights: "Tensor | None") -> Self:
        """Return the loss whose mean over some rows is theirs: of several targets, another one.

        `targets` are encoded, and `weights` say how much each row counts, [rows].
        """
        del targets, weights
        return self

    @property
    def of_targets(self) -> "tuple[HeadLoss, ...]":
        """The losses that it is the sum of, where there are several targets; none with one."""
        return ()

    @property
    def has_class_weights(self) -> bool:
        """Whether its settings say that classes or labels have weights."""
        return False

    @property
    def smoothing(self) -> float:
        """The label smoothing: the share of each label that is spread over all classes."""
        return 0.0

    def smoothed(self, share: float) -> Self:
        """Return the same loss with so much label smoothing, or more; itself without labels."""
        del share
        return self

    def unknown_classes(self, classes: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Yield a setting, and a name in it that no class or label has."""
        del classes
        yield from ()

    @property
    def activation(self) -> str | None:
        """The activation that it applies to the outputs itself."""
        return None

    @abstractmethod
    def predictions(self, outputs: "Tensor") -> "np.ndarray":
        """Return probabilities [rows, classes], or numbers in the network's units [rows], float64.

        Outputs are on the CPU.
        """

    def bounds(self, outputs: "Tensor") -> "tuple[np.ndarray, np.ndarray] | None":
        """Return lower and upper bounds of `predictions`; None: it predicts no interval."""
        del outputs
        return None

    @abstractmethod
    def mean_of_members(self, outputs: "Tensor") -> "Tensor":
        """Return the outputs [rows, num_outputs] whose predictions are the mean of several.

        `outputs` are [rows, members, num_outputs], float32; gradients pass through.
        """

    @abstractmethod
    def log_odds(self, outputs: "Tensor") -> "np.ndarray":
        """Return each class's log odds, or the second's of two, float32 [rows, scores].

        They order rows where probabilities have been rounded to 1. Outputs are on the CPU. Raises
        ValueError where it is a loss of numbers.
        """

    @abstractmethod
    def class_logits(self, outputs: "Tensor") -> "np.ndarray":
        """Return what softmax turns into probabilities, float64 [rows, classes].

        Raises ValueError where it is a loss of numbers.
        """

    def calibrated(self, outputs: "Tensor", temperature: float | None) -> "Tensor":
        """Return outputs, on the CPU, whose class logits are divided by a temperature.

        Without one, they are what was given. Raises ValueError where it is a loss of numbers.
        """
        if temperature is None:
            return outputs
        import torch

        divided = self.to_outputs(self.class_logits(outputs) / temperature)
        return torch.from_numpy(divided).to(outputs.dtype)

    @abstractmethod
    def to_outputs(self, values: "np.ndarray") -> "np.ndarray":
        """Return the outputs [rows, num_outputs] for a logit a class, or a number, [rows, …]."""

    @abstractmethod
    def outputs_of(self, predictions: "np.ndarray") -> "np.ndarray":
        """Return outputs, float64 [rows, num_outputs], whose predictions are nearly these."""

    @abstractmethod
    def best_constant(
        self,
        values: "np.ndarray",
        counts: "np.ndarray | None" = None,
        class_weights: "np.ndarray | None" = None,
    ) -> "np.ndarray":
        """Return the outputs, float64 [num_outputs], with the least mean loss on all rows at once.

        `values` are encoded targets, each `counts` times, in fractions too; of classes, each has
        to be there.
        """

    def best_constant_loss(
        self,
        values: "np.ndarray",
        counts: "np.ndarray | None" = None,
        class_weights: "np.ndarray | None" = None,
    ) -> float:
        """Return the mean loss of `best_constant`, in the network's units."""
        import numpy as np
        import torch

        outputs = self.best_constant(values, counts, class_weights)
        weights = None if class_weights is None else torch.tensor(class_weights)
        rows = torch.tensor(outputs).expand(len(values), -1)
        losses = self.each(rows, torch.tensor(values), weights).numpy()
        return float(np.average(losses, weights=counts))

    @property
    @abstractmethod
    def best_constant_text(self) -> str:
        """What `best_constant` is, in words."""

    @property
    def is_squared_error(self) -> bool:
        """Whether least squares minimise it."""
        return False

    def calibration_notes(self) -> Iterator[str]:
        """Yield sentences about settings that change predicted probabilities."""
        yield from ()
