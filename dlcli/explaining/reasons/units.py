"""What hidden units respond to, and what they speak for."""

from dataclasses import dataclass

import numpy as np
import torch

from dlcli.columns.base import OrderedColumn
from dlcli.data.target import ClassTarget, NumberTarget
from dlcli.explaining.explained_model import ExplainedModel
from dlcli.explaining.reasons.activations import (
    LayerPosition,
    catch_activations,
    catch_gradients,
    hidden_layers,
)
from dlcli.explaining.reasons.boundary import InputPlane, encode_plane, find_plane
from dlcli.explaining.reasons.sampling import SampledRows, asked_rows, work_a_row
from dlcli.explaining.unavailable import Unavailable

MAX_UNITS = 8
MAX_MAPS = 12
_MAX_FEATURES = 3  # that a unit goes with
_MAX_CATEGORIES = 12  # of a column, the most frequent ones
_MAX_ROWS = 500
_MIN_ROWS = 50
_MAX_WORK = 1e10
_NO_LAYER = "the network has no dense layer before the one that answers"
_WEAKEST = 0.2  # correlation that is worth a word


@dataclass(frozen=True)
class Unit:
    """One unit of a layer."""

    number: int  # from 0
    influence: float  # on logits, or in the target's units; see `measure_units`
    features: tuple[tuple[str, float], ...]  # that it correlates with most, strongest first
    speaks_for: str  # where it is high: a class, or "higher" or "lower" numbers


@dataclass(frozen=True)
class Units:
    """The most influential units of the last hidden dense layer, the strongest first."""

    layer: str  # the module whose output is meant: 0_dense_relu
    activation: str | None  # None: there is no non-linearity
    asked: SampledRows
    units: tuple[Unit, ...]
    num_units: int
    num_still: int  # that give the same for every row


@dataclass(frozen=True)
class UnitMaps:
    """The activations of the first hidden dense layer over the plane of two numbers."""

    layer: str  # the module whose output is meant: 0_dense_relu
    activation: str | None  # None: there is no non-linearity
    asked: SampledRows  # the rows that tell which units matter
    plane: InputPlane
    numbers: tuple[int, ...]  # of the units, from 0, those first that matter most
    influences: tuple[float, ...]
    maps: np.ndarray  # [units, y, x]
    num_units: int


def measure_units(subject: ExplainedModel) -> Units | Unavailable:
    """Say what the last hidden dense layer's units respond to.

    A unit's influence is the mean over rows and outputs of |(a - mean a) · g|: how far its
    activation, after the non-linearity, is from its mean, times the output's gradient by it, which
    is the outgoing weight where the last layer comes next. A unit that never changes has none,
    however large it is: it acts as a bias. Outputs that a softmax compares count by what they are
    above the outputs' mean, as only that makes a difference.
    """
    layers = hidden_layers(subject.plan)
    if not layers:
        return Unavailable(_NO_LAYER)
    place = layers[-1]
    asked = _ask(subject)
    activations, influence, slopes = _influences(subject, place, asked)
    names, indicators = _indicators(subject, asked)
    is_still = (activations == activations[:1]).all(axis=0)
    order = np.argsort(-influence, kind="stable")[:MAX_UNITS]
    found = [
        Unit(
            number=int(unit),
            influence=float(influence[unit]),
            features=_strongest(names, _correlate(indicators, activations[:, unit])),
            speaks_for=_speaks_for(subject, slopes[:, unit]),
        )
        for unit in order
    ]
    return Units(
        place.module, place.activation, asked, tuple(found), len(influence), int(is_still.sum())
    )


def map_units(subject: ExplainedModel) -> UnitMaps | Unavailable:
    """Return what the first hidden dense layer's units give all over the plane of the input."""
    plane = find_plane(subject)
    if isinstance(plane, Unavailable):
        return plane
    layers = hidden_layers(subject.plan)
    if not layers:
        return Unavailable(_NO_LAYER)
    place = layers[0]
    asked = _ask(subject)
    _, influence, _ = _influences(subject, place, asked)
    order = np.argsort(-influence, kind="stable")[:MAX_MAPS]
    chosen = torch.tensor(order)
    maps = catch_activations(
        subject, place, encode_plane(subject, plane), lambda output: output.cpu()[:, chosen]
    )
    return UnitMaps(
        layer=place.module,
        activation=place.activation,
        asked=asked,
        plane=plane,
        numbers=tuple(int(unit) for unit in order),
        influences=tuple(float(influence[unit]) for unit in order),
        maps=maps.numpy().T.reshape(len(order), len(plane.y), len(plane.x)),
        num_units=len(influence),
    )


def _ask(subject: ExplainedModel) -> SampledRows:
    most = max(_MIN_ROWS, int(_MAX_WORK / work_a_row(subject.plan)))
    return asked_rows(subject, "units", min(_MAX_ROWS, most))


def _influences(
    subject: ExplainedModel, place: LayerPosition, asked: SampledRows
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return activations [rows, units], influences [units] and mean gradients [outputs, units]."""
    activations, gradients = catch_gradients(subject, place, asked.rows.encoded.inputs)
    away = activations - activations.mean(dim=0)
    num_outputs = subject.plan.layers[-1].output_shape[0]
    common = gradients(None) if num_outputs > 1 else torch.zeros(())
    influence = torch.zeros(activations.shape[1])
    slopes = []
    for index in range(num_outputs):
        gradient = gradients(index) - common
        influence += (away * gradient).abs().mean(dim=0) / num_outputs
        slopes.append(gradient.mean(dim=0))
    unit = subject.target.scale if isinstance(subject.target, NumberTarget) else 1.0
    return activations.numpy(), influence.numpy() * unit, torch.stack(slopes).numpy()


def _speaks_for(subject: ExplainedModel, slopes: np.ndarray) -> str:
    """Return what a higher activation makes likelier, or does to the number; slopes [outputs]."""
    target = subject.target
    if not isinstance(target, ClassTarget):
        return "higher" if slopes[0] > 0 else "lower"
    best = int(slopes[0] > 0) if len(slopes) == 1 else int(slopes.argmax())
    return target.classes[best]


def _indicators(subject: ExplainedModel, asked: SampledRows) -> tuple[list[str], np.ndarray]:
    """Return what units are held against, by name: [rows, names], NaN where missing."""
    fitted, table = subject.fitted, asked.rows.table
    names: list[str] = []
    values: list[np.ndarray] = []
    for column in fitted.columns:
        if isinstance(column, OrderedColumn):
            numbers = column.numbers(table, fitted.missing_values)
            names.append(column.name)
            values.append(numbers)
            gaps = np.isnan(numbers)
        else:
            labels = column.labels(table, fitted.missing_values)
            counts = labels.rename("").drop_nulls().value_counts(name="count").rows()
            frequent = sorted(counts, key=lambda pair: (-pair[1], pair[0]))[:_MAX_CATEGORIES]
            for label, _ in frequent:
                names.append(f"{column.name} = {label}")
                values.append((labels == label).fill_null(value=False).to_numpy().astype(float))
            gaps = labels.is_null().to_numpy()
        if gaps.any():
            names.append(f"{column.name} is missing")
            values.append(gaps.astype(float))
    return names, np.column_stack(values) if values else np.empty((len(asked), 0))


def _correlate(indicators: np.ndarray, activations: np.ndarray) -> np.ndarray:
    """Return Pearson's correlations over the rows where each is known, [names]; 0 of constants."""
    known = ~np.isnan(indicators)
    num_known = np.maximum(known.sum(axis=0), 1)
    x = np.where(known, indicators, 0.0)
    x = np.where(known, x - x.sum(axis=0) / num_known, 0.0)
    a = np.where(known, activations[:, None].astype(np.float64), 0.0)
    a = np.where(known, a - a.sum(axis=0) / num_known, 0.0)
    size = np.abs(x).max(axis=0, initial=0.0)  # squares of dates or of large numbers stay finite
    x = x / np.where(size > 0, size, 1.0)
    below = np.sqrt((x**2).sum(axis=0) * (a**2).sum(axis=0))
    found: np.ndarray = np.divide(
        (x * a).sum(axis=0), below, out=np.zeros(len(below)), where=below > 1e-12
    )
    return found


def _strongest(names: list[str], correlations: np.ndarray) -> tuple[tuple[str, float], ...]:
    order = np.argsort(-np.abs(correlations), kind="stable")[:_MAX_FEATURES]
    return tuple(
        (names[index], float(correlations[index]))
        for index in order
        if abs(correlations[index]) >= _WEAKEST
    )
