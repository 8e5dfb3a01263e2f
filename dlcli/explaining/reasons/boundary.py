"""Predictions over the plane of two numeric columns, and the equation of a single neuron."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from dlcli.columns.base import OrderedColumn
from dlcli.data.fitted import FittedData
from dlcli.explaining.explained_model import ExplainedModel
from dlcli.explaining.reasons.sampling import sample_rows, take, work_per_row
from dlcli.explaining.unavailable import Unavailable
from dlcli.layers.weights import WeightedLayer
from dlcli.seeds import derive_seed
from dlcli.tables.table import Table
from dlcli.training.rows.batches import Tensors, to_tensors

_SIDE, _MIN_SIDE = 121, 31  # points along each axis
_MAX_WORK = 2e10  # multiplications: two seconds
_MAX_TRAIN, _MAX_HELD_OUT = 400, 200  # rows that are shown
_MARGIN = 0.06  # around the points, of their range
_OUTLYING = 10.0  # times the range of nearly all rows, beyond which outliers are not shown


@dataclass(frozen=True)
class InputPlane:
    """A grid over two numeric columns, in the data's units."""

    names: tuple[str, str]
    x: np.ndarray  # [points], of the first column
    y: np.ndarray  # [points], of the second


@dataclass(frozen=True)
class Points:
    """Some rows of a part, in the data's units."""

    part: str
    x: np.ndarray
    y: np.ndarray
    truth: np.ndarray  # classes or numbers in the target's units
    num_rows: int  # in the part
    num_gaps: int  # of the sampled rows, those with a missing number
    num_outside: int  # of the sampled rows, those outside the plane


@dataclass(frozen=True)
class Equation:
    """A single neuron's sum in the data's units: constant + first · x1 + second · x2.

    It is 0 on the line between two classes and positive where the second one is more likely; for
    a number, it is the prediction, in the target's units.
    """

    constant: float
    first: float
    second: float


@dataclass(frozen=True)
class Boundary:
    """The predictions over the plane, and the rows in it."""

    plane: InputPlane
    predictions: np.ndarray  # probabilities [y, x, classes] or numbers in the target's units [y, x]
    points: tuple[Points, ...]  # "train" first, if there are any
    equation: Equation | None  # where the network is a single neuron
    has_gaps: (
        bool  # whether missing numbers have an indicator; plane and equation are for known ones
    )


def compute_boundary(model: ExplainedModel) -> Boundary | Unavailable:
    """Predict over the plane of the two columns of a network."""
    if model.target.has_labels:
        return Unavailable("each label has a boundary of its own")
    plane = find_plane(model)
    if isinstance(plane, Unavailable):
        return plane
    predictions = model.predict(encode_plane(model, plane))
    size = (len(plane.y), len(plane.x))
    columns = model.fitted.columns
    held_out = sample_rows(model, "boundary")
    shown = [_points(model, plane, "train", _MAX_TRAIN)] if "train" in model.parts else []
    if held_out.part != "train":
        shown.append(_points(model, plane, held_out.part, _MAX_HELD_OUT))
    return Boundary(
        plane=plane,
        predictions=predictions.reshape(*size, *predictions.shape[1:]),
        points=tuple(shown),
        equation=find_equation(model),
        has_gaps=any(column.indicates_missing for column in columns),
    )


def find_plane(model: ExplainedModel) -> InputPlane | Unavailable:
    """Return a grid over the rows' range; a reason where there are not two numeric columns."""
    columns = _columns_of_numbers(model.fitted)
    if len(columns) != 2 or len(model.fitted.columns) != 2:
        num_columns = len(model.fitted.columns)
        found = {1: "there is 1", 2: "not both are"}.get(num_columns, f"there are {num_columns}")
        return Unavailable(f"it needs two numeric columns, but {found}")
    max_side = int((_MAX_WORK / work_per_row(model.plan)) ** 0.5)
    side = min(_SIDE, max(_MIN_SIDE, max_side))
    axes = []
    for column in columns:
        values = [
            column.numbers(rows.table, model.fitted.missing_values) for rows in model.parts.values()
        ]
        axes.append(_axis(np.concatenate(values), side))
    return InputPlane((columns[0].name, columns[1].name), axes[0], axes[1])


def encode_plane(model: ExplainedModel, plane: InputPlane) -> Tensors:
    """Return its grid as the network sees them, row by row: [y · x, *shape] of each field."""
    x, y = np.meshgrid(plane.x, plane.y)
    cells = {plane.names[0]: x.ravel(), plane.names[1]: y.ravel()}
    table = Table(pl.DataFrame(cells), "", np.arange(x.size), "row", model.fitted.missing_values)
    inputs, _ = model.fitted.encode_inputs(table)
    return to_tensors(inputs, model.placement.device)


def find_equation(model: ExplainedModel) -> Equation | None:
    """Return the equation of a single neuron on two numbers, in the data's units.

    Two outputs with a softmax are a single neuron, too: their difference. None where predictions
    are no linear function of the neuron's output.
    """
    has_other_parts = model.plan.inputs is not None or model.is_one_of_several
    if not model.target.is_linear or has_other_parts:
        return None
    columns = model.fitted.columns
    layers = [
        (name, layer.config, layer.input_shape)
        for name, layer in model.plan.modules()
        if not layer.config.traits.passes_input_on
    ]
    if len(columns) != 2 or len(layers) != 1:
        return None
    ((name, layer, shape),) = layers
    if not isinstance(layer, WeightedLayer) or layer.applied_activation is not None:
        return None
    numbers = {
        key: parameter.detach().double().cpu().numpy()
        for key, parameter in model.network.get_submodule(name).named_parameters()
    }
    weight = numbers["weight"] * layer.weight_scale(shape)
    if weight.ndim > 2 or len(weight) > 2:
        return None
    bias = numbers.get("bias", np.zeros(len(weight)))
    row, constant = (
        (weight[0], float(bias[0]))
        if len(weight) == 1
        else (weight[1] - weight[0], float(bias[1] - bias[0]))
    )
    all_slots, slopes = model.fitted.slots(), []
    for column in columns:
        if column.center_and_scale is None:
            return None
        center, scale = column.center_and_scale
        slopes.append(float(row[all_slots[column.name].indices[0]]) / scale)
        constant -= slopes[-1] * center
    slopes = [slope * model.target.unit for slope in slopes]
    constant = float(model.target.to_target_units(np.array(constant)))
    return Equation(constant, slopes[0], slopes[1])


def _columns_of_numbers(fitted: FittedData) -> list[OrderedColumn]:
    return [
        column
        for column in fitted.columns
        if isinstance(column, OrderedColumn) and column.axis == "number"
    ]


def _axis(values: np.ndarray, side: int) -> np.ndarray:
    """Return points over the range of the values, without outliers."""
    known = values[~np.isnan(values)]
    if not len(known):
        return np.linspace(-1.0, 1.0, side)
    low, high = float(known.min()), float(known.max())
    usual = np.quantile(known, [0.01, 0.99])
    reach = float(usual[1] - usual[0])
    if high - low > _OUTLYING * reach > 0:
        low, high = max(low, float(usual[0]) - reach), min(high, float(usual[1]) + reach)
    margin = _MARGIN * (high - low) or 0.5 * abs(low) or 1.0
    return np.linspace(low - margin, high + margin, side)


def _points(model: ExplainedModel, plane: InputPlane, part: str, max_rows: int) -> Points:
    rows = model.parts[part]
    num_rows = len(rows)
    if num_rows > max_rows:
        generator = np.random.default_rng(derive_seed(model.seed, "points", part))
        rows = take(rows, generator.choice(num_rows, max_rows, replace=False))
    x, y = (
        column.numbers(rows.table, model.fitted.missing_values)
        for column in _columns_of_numbers(model.fitted)
    )
    is_gap = np.isnan(x) | np.isnan(y)
    is_in = (x >= plane.x[0]) & (x <= plane.x[-1]) & (y >= plane.y[0]) & (y <= plane.y[-1])
    return Points(
        part=part,
        x=x[is_in],
        y=y[is_in],
        truth=model.truth(rows.encoded)[is_in],
        num_rows=num_rows,
        num_gaps=int(is_gap.sum()),
        num_outside=int((~is_gap & ~is_in).sum()),
    )
