"""Embeddings of numeric columns: several numbers in place of one."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, Self, assert_never, final

from pydantic import Field, model_validator

from dlcli.columns.base import NumericInput
from dlcli.layers.base import (
    FirstInput,
    Layer,
    PlannedLayer,
    Shape,
    ShapeError,
    TensorAxes,
    Traits,
    UpdateFactors,
    require_axes,
)
from dlcli.section import NonNegativeFloat, PositiveFloat, Size

if TYPE_CHECKING:
    from torch import nn

Kind = Literal["pbld", "plr", "piecewise_linear"]


@dataclass(frozen=True)
class _Defaults:
    """The settings of a kind; None: it has no such setting."""

    dim: int
    frequencies: int | None = None
    sigma: float | None = None
    bins: int | None = None


_DEFAULTS: dict[Kind, _Defaults] = {
    "pbld": _Defaults(dim=4, frequencies=16, sigma=0.1),
    "plr": _Defaults(dim=24, frequencies=48, sigma=0.01),
    "piecewise_linear": _Defaults(dim=16, bins=48),
}


@final
class NumericEmbedding(Layer):
    """Embeds each numeric column by itself (arXiv:2203.05556, pbld: arXiv:2407.04491)."""

    # Gorishniy, Rubachev and Babenko 2022, "On Embeddings for Numerical Features in Tabular Deep
    # Learning": `plr` is periodic, linear, ReLU. Gorishniy, Kotelnikov and Babenko 2024, "TabM":
    # `piecewise_linear` begins as a linear embedding, and learns what bins add to it. Holzmüller,
    # Grinsztajn and Steinwart 2024, "Better by Default": `pbld` is periodic with phases, linear,
    # beside the number itself.

    type: Literal["numeric_embedding"]
    kind: Kind = Field(
        description="cosines with learned frequencies and phases, beside the number itself (pbld); "
        "cosines and sines with learned frequencies, then ReLU (plr); a number's place among bins "
        "of the training rows' quantiles (piecewise_linear)"
    )
    dim: Size | None = Field(
        None, description="numbers for each column; default: 4 for pbld, 24 for plr, 16 for bins"
    )
    frequencies: Size | None = Field(
        None, description="of pbld and plr: frequencies for each column; default: 16 and 48"
    )
    sigma: PositiveFloat | None = Field(
        None,
        description="of pbld and plr: standard deviation of the frequencies at the beginning; "
        "default: 0.1 and 0.01",
    )
    bins: int | None = Field(
        None,
        ge=2,
        le=1000,
        description="of piecewise_linear: bins for each column, with as many training rows in each "
        "as far as they differ; default: 48",
    )
    lr_factor: PositiveFloat = Field(1.0, description="learning rate of its weights, as a factor")
    weight_decay_factor: NonNegativeFloat = Field(
        1.0, description="weight decay of its weights, as a factor; 0: none"
    )

    traits: ClassVar[Traits] = Traits(
        keeps_positions=False,
        passes_input_on=False,
        has_filters=False,
        row_mixing=None,
        at_end="refuses",
        stacking_obstacle=None,
        recording_obstacle=None,
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        defaults = _DEFAULTS[self.kind]
        for name in ("frequencies", "sigma", "bins"):
            if getattr(self, name) is not None and getattr(defaults, name) is None:
                raise ValueError(f"`{name}` has no effect where `kind` is {self.kind}")
        if self.kind == "pbld" and self.dim == 1:
            raise ValueError("`dim` must be 2 or more for pbld: one of them is the number itself")
        return self

    @property
    def takes_columns(self) -> bool:
        """Yes: numeric columns are embedded, and all other numbers are left as they are."""
        return True

    @property
    def num_bins(self) -> int | None:
        """How many bins of each numeric column it is to be given."""
        return self.bins or _DEFAULTS[self.kind].bins

    @property
    def update_factors(self) -> dict[str, UpdateFactors]:
        """The factors of the optimizer's settings, the same for all of its parameters."""
        factors = UpdateFactors(self.lr_factor, self.weight_decay_factor)
        if factors == UpdateFactors():
            return {}
        return dict.fromkeys(self._parameter_shapes(1, 1), factors)

    def plan(self, shape: Shape) -> PlannedLayer:
        """Refuse it: without the columns, nothing says which numbers are to be embedded."""
        del shape
        raise ShapeError(
            "must be the first layer of a network, or of one of its inputs (model.inputs): only "
            "there is known which numbers are numeric columns"
        )

    def plan_columns(self, given: FirstInput) -> PlannedLayer:
        """Return `[features]`, in which `dim` numbers stand for each numeric column."""
        shape, numeric = given.shape, given.numeric
        if given.num_codes is not None:
            raise ShapeError("it embeds the columns of a table, not tokens; use {type: embedding}")
        require_axes(shape, 1, "; it embeds the columns of a table, not images or signals")
        if not numeric:
            raise ShapeError("no column is numeric: there is nothing to embed; leave it out")
        dim, num_columns = self._dim, len(numeric)
        num_bins = _num_bins(numeric)
        after = shape[0] + num_columns * (dim - 1)
        shapes = self._parameter_shapes(num_columns, num_bins)
        return PlannedLayer(
            self,
            shape,
            (after,),
            num_parameters=sum(map(math.prod, shapes.values())),
            multiply_adds=math.prod(shapes["weight"]),
            num_kept=num_columns * self._num_kept(num_bins) + after,
            numeric=tuple(numeric),
        )

    def columns_after(self, planned: PlannedLayer, columns: Sequence[int]) -> Sequence[int]:
        """Say of which column each number is: other numbers come first, then each one's vector.

        pbld has the numbers themselves among the others.
        """
        embedded = [number.index for number in planned.numeric]
        is_beside = self.kind == "pbld"
        others = [place for place in range(len(columns)) if is_beside or place not in embedded]
        vectors = [place for place in embedded for _ in range(self._dim - is_beside)]
        return [columns[place] for place in (*others, *vectors)]

    def tensors(self, planned: PlannedLayer) -> dict[str, TensorAxes]:
        """Return its parameters, whose first axis is that of the numeric columns."""
        shapes = self._parameter_shapes(len(planned.numeric), _num_bins(planned.numeric))
        return {name: TensorAxes(shape) for name, shape in shapes.items()}

    def build(self, planned: PlannedLayer) -> "nn.Module":
        """Build the module of its kind, as the papers' packages initialise it."""
        from dlcli.layers.embedding import modules

        places, width = [number.index for number in planned.numeric], planned.input_shape[0]
        match self.kind:
            case "pbld":
                return modules.Pbld(places, width, self._frequencies, self._sigma, self._dim)
            case "plr":
                return modules.Plr(places, width, self._frequencies, self._sigma, self._dim)
            case "piecewise_linear":
                edges = [number.edges for number in planned.numeric]
                return modules.PiecewiseLinear(places, width, edges, self._dim)
            case _:
                assert_never(self.kind)

    def _parameter_shapes(self, num_columns: int, num_bins: int) -> dict[str, Shape]:
        """Return the shapes of its module's parameters by name."""
        dim = self._dim
        match self.kind:
            case "pbld":
                inner, learned = self._frequencies, dim - 1
                return {
                    "frequencies": (num_columns, inner),
                    "phases": (num_columns, inner),
                    "weight": (num_columns, inner, learned),
                    "bias": (num_columns, learned),
                }
            case "plr":
                inner = self._frequencies
                return {
                    "frequencies": (num_columns, inner),
                    "weight": (num_columns, 2 * inner, dim),
                    "bias": (num_columns, dim),
                }
            case "piecewise_linear":
                return {
                    "slope": (num_columns, dim),
                    "bias": (num_columns, dim),
                    "weight": (num_columns, num_bins, dim),
                }
            case _:
                assert_never(self.kind)

    def _num_kept(self, num_bins: int) -> int:
        """Return how many numbers of a column are kept for the backward pass, its result aside."""
        match self.kind:
            case "pbld":
                return 2 * self._frequencies  # angles and cosines
            case "plr":
                return 3 * self._frequencies + self._dim  # and sines, and what ReLU is given
            case "piecewise_linear":
                return num_bins
            case _:
                assert_never(self.kind)

    @property
    def _dim(self) -> int:
        return self.dim or _DEFAULTS[self.kind].dim

    @property
    def _frequencies(self) -> int:
        return self.frequencies or _DEFAULTS[self.kind].frequencies or 0

    @property
    def _sigma(self) -> float:
        return self.sigma or _DEFAULTS[self.kind].sigma or 0.0


def _num_bins(numeric: Sequence[NumericInput]) -> int:
    """Return the most bins that a column has."""
    return max(len(number.edges) - 1 for number in numeric)
