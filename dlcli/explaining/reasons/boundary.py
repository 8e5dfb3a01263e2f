"""Of a network on two numbers: what it answers all over their plane, and one neuron's line."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from torch import nn

from dlcli.columns.base import OrderedColumn
from dlcli.config.layers import Dense, Dropout
from dlcli.data.fitted import FittedData
from dlcli.data.target import NumberTarget
from dlcli.explaining.explained_model import ExplainedModel
from dlcli.explaining.reasons.sampling import asked_rows, take, work_a_row
from dlcli.explaining.unavailable import Unavailable
from dlcli.seeds import derive_seed
from dlcli.tables.table import Table
from dlcli.training.rows.batches import Tensors, to_tensors

_SIDE, _SMALLEST_SIDE = 121, 31  # places along each axis
_MAX_WORK = 2e10  # multiplications: two seconds
_MAX_TRAIN, _MAX_HELD_OUT = 400, 200  # points that are shown
_MARGIN = 0.06  # around the points, of their range
_OUTLYING = 10.0  # times the range of nearly all points: so far out lies what isn't shown


@dataclass(frozen=True)
class InputPlane:
    """Places all over two numeric columns, in the data's units."""

    names: tuple[str, str]
    x: np.ndarray  # [places], of the first column
    y: np.ndarray  # [places], of the second


@dataclass(frozen=True)
class Points:
    """Some rows of a part, as they stand in the data."""

    part: str
    x: np.ndarray
    y: np.ndarray
    truth: np.ndarray  # classes or numbers in the target's units
    num_rows: int  # that the part has
    num_gaps: int  # among those looked at: a number is missing
    num_outside: int  # among those looked at: beyond what is shown


@dataclass(frozen=True)
class Equation:
    """A single neuron's sum in the data's units: constant + first · x1 + second · x2.

    It is 0 on the line between two classes and positive where the second one is likelier; of a
    number, it is the answer itself, in the target's units.
    """

    constant: float
    first: float
    second: float


@dataclass(frozen=True)
class Boundary:
    """What the network answers over the plane, and where the rows lie in it."""

    plane: InputPlane
    answers: np.ndarray  # probabilities [y, x, classes] or numbers in the target's units [y, x]
    points: tuple[Points, ...]  # "train" first, if there are any
    equation: Equation | None  # where all of the network is one neuron
    has_gaps: bool  # missing numbers are told apart: the plane and the equation are of known ones


def draw_boundary(subject: ExplainedModel) -> Boundary | Unavailable:
    """Ask all over the plane of the two columns that the network has."""
    plane = find_plane(subject)
    if isinstance(plane, Unavailable):
        return plane
    answers = subject.answers(encode_plane(subject, plane))
    size = (len(plane.y), len(plane.x))
    columns = subject.fitted.columns
    held_out = asked_rows(subject, "boundary")
    shown = [_points(subject, plane, "train", _MAX_TRAIN)] if "train" in subject.parts else []
    if held_out.part != "train":
        shown.append(_points(subject, plane, held_out.part, _MAX_HELD_OUT))
    return Boundary(
        plane=plane,
        answers=answers.reshape(*size, *answers.shape[1:]),
        points=tuple(shown),
        equation=find_equation(subject),
        has_gaps=any(column.indicates_missing for column in columns),
    )


def find_plane(subject: ExplainedModel) -> InputPlane | Unavailable:
    """Return places all over the rows' range; a reason where there are not two numeric columns."""
    columns = _columns_of_numbers(subject.fitted)
    if len(columns) != 2 or len(subject.fitted.columns) != 2:
        num_columns = len(subject.fitted.columns)
        found = "not both are" if num_columns == 2 else f"there are {num_columns}"
        return Unavailable(f"it takes two columns of numbers, and {found}")
    most = int((_MAX_WORK / work_a_row(subject.plan)) ** 0.5)
    side = min(_SIDE, max(_SMALLEST_SIDE, most))
    axes = []
    for column in columns:
        values = [
            column.numbers(rows.table, subject.fitted.missing_values)
            for rows in subject.parts.values()
        ]
        axes.append(_axis(np.concatenate(values), side))
    return InputPlane((columns[0].name, columns[1].name), axes[0], axes[1])


def encode_plane(subject: ExplainedModel, plane: InputPlane) -> Tensors:
    """Return its places as the network sees them, row by row: [y · x, *shape] of each field."""
    x, y = np.meshgrid(plane.x, plane.y)
    cells = {plane.names[0]: x.ravel(), plane.names[1]: y.ravel()}
    table = Table(pl.DataFrame(cells), "", np.arange(x.size), "row", subject.fitted.missing_values)
    inputs, _ = subject.fitted.encode_inputs(table)
    return to_tensors(inputs, subject.placement.device)


def find_equation(subject: ExplainedModel) -> Equation | None:
    """Return the equation of a network that is one neuron on two numbers, its scaling undone.

    Two outputs that are compared by a softmax are one neuron too: their difference.
    """
    columns = subject.fitted.columns
    layers = [
        layer.config for layer in subject.plan.layers if not isinstance(layer.config, Dropout)
    ]
    if len(columns) != 2 or len(layers) != 1:
        return None
    (layer,) = layers
    if not isinstance(layer, Dense) or layer.activation is not None:
        return None
    linear = next(module for module in subject.network.modules() if isinstance(module, nn.Linear))
    weight = linear.weight.detach().double().cpu().numpy()
    bias = np.zeros(len(weight)) if linear.bias is None else linear.bias.detach().double().cpu()
    if len(weight) > 2:
        return None
    row, constant = (
        (weight[0], float(bias[0]))
        if len(weight) == 1
        else (weight[1] - weight[0], float(bias[1] - bias[0]))
    )
    all_slots, slopes = subject.fitted.slots(), []
    for column in columns:
        if column.center_and_scale is None:
            return None
        center, scale = column.center_and_scale
        slopes.append(float(row[all_slots[column.name].indices[0]]) / scale)
        constant -= slopes[-1] * center
    target = subject.target
    if isinstance(target, NumberTarget):
        slopes = [slope * target.scale for slope in slopes]
        constant = constant * target.scale + target.center
    return Equation(constant, slopes[0], slopes[1])


def _columns_of_numbers(fitted: FittedData) -> list[OrderedColumn]:
    return [
        column
        for column in fitted.columns
        if isinstance(column, OrderedColumn) and column.axis == "number"
    ]


def _axis(values: np.ndarray, side: int) -> np.ndarray:
    """Return places over the range of the values, without what lies far out."""
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


def _points(subject: ExplainedModel, plane: InputPlane, part: str, most: int) -> Points:
    rows = subject.parts[part]
    num_rows = len(rows)
    if num_rows > most:
        generator = np.random.default_rng(derive_seed(subject.seed, "points", part))
        rows = take(rows, generator.choice(num_rows, most, replace=False))
    x, y = (
        column.numbers(rows.table, subject.fitted.missing_values)
        for column in _columns_of_numbers(subject.fitted)
    )
    is_gap = np.isnan(x) | np.isnan(y)
    is_in = (x >= plane.x[0]) & (x <= plane.x[-1]) & (y >= plane.y[0]) & (y <= plane.y[-1])
    return Points(
        part=part,
        x=x[is_in],
        y=y[is_in],
        truth=subject.truth(rows.encoded)[is_in],
        num_rows=num_rows,
        num_gaps=int(is_gap.sum()),
        num_outside=int((~is_gap & ~is_in).sum()),
    )
