"""The quantile loss: forecasts with intervals."""

from typing import TYPE_CHECKING, Annotated, Literal, final

from pydantic import AfterValidator, Field

from dlcli.losses.base import Reduction
from dlcli.losses.regression import NumberLoss
from dlcli.targets.task import Task

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

_Quantile = Annotated[float, Field(gt=0, lt=1)]


def _in_order(quantiles: tuple[float, ...]) -> tuple[float, ...]:
    if list(quantiles) != sorted(set(quantiles)) or 0.5 not in quantiles:
        raise ValueError("must be in order, 0.5 among them: the median is the prediction")
    return quantiles


@final
class Quantile(NumberLoss):
    """Quantile (pinball) loss (Koenker and Bassett 1978): a prediction for each quantile.

    The prediction is the median; the lowest and the highest quantile are the bounds of an interval.
    Outputs are those of the first quantile, then those of the next.
    """

    type: Literal["quantile"]
    quantiles: Annotated[
        tuple[_Quantile, ...],
        Field(
            strict=False,
            min_length=1,
            max_length=99,
            description="quantiles that are predicted, 0.5 among them; the lowest and the highest "
            "are the bounds of the interval",
        ),
        AfterValidator(_in_order),
    ] = (0.1, 0.5, 0.9)

    @classmethod
    def tasks(cls) -> tuple[Task, ...]:
        return ("forecast",)

    @property
    def title(self) -> str:
        return "quantile loss"

    def unit_name(self, target: str) -> str:
        return f"units of {target}"

    def unit(self, scale: float) -> float:
        return scale

    def num_outputs(self, num_classes: int | None, num_values: int = 1) -> int:
        return len(self.quantiles) * super().num_outputs(num_classes, num_values)

    def compute(self, outputs: "Tensor", targets: "Tensor", *, reduction: Reduction) -> "Tensor":
        errors = targets.reshape(len(targets), 1, -1) - self._by_quantile(outputs)
        losses = errors.new_zeros(len(targets))
        for place, quantile in enumerate(self.quantiles):
            of_one = errors[:, place]
            losses = losses + (quantile * of_one).maximum((quantile - 1) * of_one).mean(1)
        losses = losses / len(self.quantiles)
        return losses.mean() if reduction == "mean" else losses

    def predictions(self, outputs: "Tensor") -> "np.ndarray":
        return self._of_quantile(outputs, self.quantiles.index(0.5))

    def bounds(self, outputs: "Tensor") -> "tuple[np.ndarray, np.ndarray] | None":
        if len(self.quantiles) == 1:
            return None
        ordered = self._by_quantile(outputs).sort(1).values.flatten(1)  # quantiles can cross
        lower, upper = (self._of_quantile(ordered, place) for place in (0, -1))
        return lower, upper

    def to_outputs(self, values: "np.ndarray") -> "np.ndarray":
        import numpy as np

        return np.tile(values, len(self.quantiles))

    def best_constant(
        self,
        values: "np.ndarray",
        counts: "np.ndarray | None" = None,
        class_weights: "np.ndarray | None" = None,
    ) -> "np.ndarray":
        import numpy as np

        del class_weights
        numbers = values.astype(np.float64).reshape(len(values), -1)
        weights = np.ones(len(values)) if counts is None else counts
        return np.array(
            [
                _weighted_quantile(column, weights, quantile)
                for quantile in self.quantiles
                for column in numbers.T
            ]
        )

    @property
    def best_constant_text(self) -> str:
        return "the quantiles of the training rows"

    def _center(self, numbers: "np.ndarray", weights: "np.ndarray | None") -> float:
        raise NotImplementedError("its best constants are several")

    def _by_quantile(self, outputs: "Tensor") -> "Tensor":
        """Return outputs as [rows, quantiles, values]."""
        return outputs.reshape(len(outputs), len(self.quantiles), -1)

    def _of_quantile(self, outputs: "Tensor", place: int) -> "np.ndarray":
        """Return the outputs of a quantile, float64 [rows] or [rows, values]."""
        found: np.ndarray = self._by_quantile(outputs)[:, place].double().numpy()
        return found[:, 0] if found.shape[1] == 1 else found


def _weighted_quantile(numbers: "np.ndarray", weights: "np.ndarray", quantile: float) -> float:
    """Return the smallest number up to which so large a share of the weights lies."""
    import numpy as np

    order = np.argsort(numbers, kind="stable")
    reached = np.cumsum(weights[order])
    place = np.searchsorted(reached, quantile * reached[-1])
    return float(numbers[order[min(int(place), len(order) - 1)]])
