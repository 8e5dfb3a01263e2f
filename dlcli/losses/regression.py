"""Losses for numbers."""

from abc import abstractmethod
from typing import TYPE_CHECKING, Literal, final

from pydantic import Field

from dlcli.losses.base import Loss, Reduction
from dlcli.section import PositiveFloat
from dlcli.targets.task import Task

_NUM_HALVINGS = 60  # of the range of numbers, in which a centre is searched

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


def _numbers(outputs: "Tensor", targets: "Tensor") -> "Tensor":
    """Return the outputs in the shape of the targets: [rows], or [rows, values]."""
    return outputs[:, 0] if targets.ndim == 1 else outputs


def _of_rows(losses: "Tensor") -> "Tensor":
    """Return the loss of each row, [rows], from those of its numbers; a mean as it is."""
    return losses if losses.ndim < 2 else losses.mean(1)


class NumberLoss(Loss):
    """A function of a number's error, averaged where a target is several numbers."""

    @classmethod
    def tasks(cls) -> tuple[Task, ...]:
        return ("regression", "forecast")

    def unit_name(self, target: str) -> str:
        return f"squared units of {target}"

    def unit(self, scale: float) -> float:
        return scale**2

    def num_outputs(self, num_classes: int | None, num_values: int = 1) -> int:
        del num_classes
        return num_values

    def predictions(self, outputs: "Tensor") -> "np.ndarray":
        """Return numbers in the network's units, float64 [rows], or [rows, values] of several."""
        return (outputs[:, 0] if outputs.shape[1] == 1 else outputs).double().numpy()

    def mean_of_members(self, outputs: "Tensor") -> "Tensor":
        return outputs.mean(1)

    def log_odds(self, outputs: "Tensor") -> "np.ndarray":
        del outputs
        raise ValueError("numbers have no log odds")

    def class_logits(self, outputs: "Tensor") -> "np.ndarray":
        del outputs
        raise ValueError("numbers have no logits")

    def to_outputs(self, values: "np.ndarray") -> "np.ndarray":
        return values

    def outputs_of(self, predictions: "np.ndarray") -> "np.ndarray":
        return self.to_outputs(predictions.reshape(len(predictions), -1))

    def best_constant(
        self,
        values: "np.ndarray",
        counts: "np.ndarray | None" = None,
        class_weights: "np.ndarray | None" = None,
    ) -> "np.ndarray":
        import numpy as np

        assert class_weights is None, "numbers have no classes"
        numbers = values.astype(np.float64).reshape(len(values), -1)
        return np.array([self._center(column, counts) for column in numbers.T])

    @abstractmethod
    def _center(self, numbers: "np.ndarray", weights: "np.ndarray | None") -> float:
        """Return the constant prediction with the least mean loss, for float64 [rows] both."""


@final
class MeanSquaredError(NumberLoss):
    """Mean squared error: large errors weigh most."""

    type: Literal["mse"]

    @property
    def title(self) -> str:
        return "mean squared error"

    def compute(self, outputs: "Tensor", targets: "Tensor", *, reduction: Reduction) -> "Tensor":
        from torch.nn.functional import mse_loss

        of_numbers = mse_loss(_numbers(outputs, targets), targets, reduction=reduction)
        return _of_rows(of_numbers)

    @property
    def best_constant_text(self) -> str:
        return "the mean of the training rows"

    @property
    def is_squared_error(self) -> bool:
        return True

    def _center(self, numbers: "np.ndarray", weights: "np.ndarray | None") -> float:
        import numpy as np

        return float(numbers.mean() if weights is None else np.average(numbers, weights=weights))


@final
class MeanAbsoluteError(NumberLoss):
    """Mean absolute error: outliers weigh less than with mse."""

    type: Literal["mae"]

    @property
    def title(self) -> str:
        return "mean absolute error"

    def unit_name(self, target: str) -> str:
        return f"units of {target}"

    def unit(self, scale: float) -> float:
        return scale

    def compute(self, outputs: "Tensor", targets: "Tensor", *, reduction: Reduction) -> "Tensor":
        from torch.nn.functional import l1_loss

        of_numbers = l1_loss(_numbers(outputs, targets), targets, reduction=reduction)
        return _of_rows(of_numbers)

    @property
    def best_constant_text(self) -> str:
        return "the median of the training rows"

    def _center(self, numbers: "np.ndarray", weights: "np.ndarray | None") -> float:
        import numpy as np

        from dlcli.columns.running_statistics import weighted_median

        return float(np.median(numbers)) if weights is None else weighted_median(numbers, weights)


@final
class Huber(NumberLoss):
    """Huber loss: squared for errors up to delta, linear beyond."""

    type: Literal["huber"]
    delta: PositiveFloat = Field(
        1.0,
        description="largest error that is squared, in the network's units: standard deviations of "
        "the target with `target_scale: standard`, of its logarithm with `log`",
    )

    @property
    def title(self) -> str:
        return "Huber loss"

    def compute(self, outputs: "Tensor", targets: "Tensor", *, reduction: Reduction) -> "Tensor":
        from torch.nn.functional import huber_loss

        of_numbers = huber_loss(
            _numbers(outputs, targets), targets, reduction=reduction, delta=self.delta
        )
        return _of_rows(of_numbers)

    @property
    def best_constant_text(self) -> str:
        return "the number with the lowest Huber loss on the training rows"

    def _center(self, numbers: "np.ndarray", weights: "np.ndarray | None") -> float:
        import numpy as np

        low, high = float(numbers.min()), float(numbers.max())
        for _ in range(_NUM_HALVINGS):
            center = (low + high) / 2
            pulls = np.clip(numbers - center, -self.delta, self.delta)
            if (pulls.sum() if weights is None else pulls @ weights) > 0:
                low = center
            else:
                high = center
        return (low + high) / 2
