"""Hidden units: their influence, what they favour, and the columns they correlate with."""

import math
from dataclasses import dataclass

import numpy as np
import torch

from dlcli.columns.base import OrderedColumn
from dlcli.columns.image import FileColumn
from dlcli.columns.ragged import RaggedColumn
from dlcli.explaining.explained_model import ExplainedModel
from dlcli.explaining.reasons.activations import (
    LayerPosition,
    capture_activations,
    capture_gradients,
    hidden_layers,
)
from dlcli.explaining.reasons.boundary import InputPlane, encode_plane, find_plane
from dlcli.explaining.reasons.sampling import SampledRows, sample_rows, work_per_row
from dlcli.explaining.unavailable import Unavailable

MAX_UNITS = 8
MAX_MAPS = 12
_MAX_FEATURES = 3  # correlated columns per unit
_MAX_CATEGORIES = 12  # of a column, the most frequent ones
_MAX_ROWS = 500
_MIN_ROWS = 50
_MAX_WORK = 1e10
_MIN_CORRELATION = 0.2  # that is reported


@dataclass(frozen=True)
class HiddenUnit:
    """One unit of a layer."""

    number: int  # from 0
    influence: float  # on logits, or in the target's units; see `measure_units`
    features: tuple[tuple[str, float], ...]  # that it correlates with most, strongest first
    favours: str  # a class, or "higher" or "lower" numbers


@dataclass(frozen=True)
class HiddenUnits:
    """The most influential units of the last hidden dense layer, the strongest first."""

    layer: str  # the module whose output is used: 0_dense_relu
    activation: str | None  # None: there is no activation function
    sample: SampledRows
    units: tuple[HiddenUnit, ...]
    num_units: int
    num_constant: int  # units with the same output for every row


@dataclass(frozen=True)
class UnitMaps:
    """The activations of the first hidden dense layer over the plane of two numbers."""

    layer: str  # the module whose output is used: 0_dense_relu
    activation: str | None  # None: there is no activation function
    sample: SampledRows  # the rows that the influence is measured on
    plane: InputPlane
    numbers: tuple[int, ...]  # of the units, from 0, the most influential first
    influences: tuple[float, ...]
    maps: np.ndarray  # [units, y, x]
    num_units: int


def measure_units(model: ExplainedModel) -> HiddenUnits | Unavailable:
    """Return the most influential units of the last hidden dense layer.

    A unit's influence is the mean over rows and outputs of |(a - mean a) · g|: the distance of
    its activation from the mean, times the gradient of the output with respect to it, which is
    the outgoing weight where the output layer comes next. A constant unit has no influence, as it
    acts as a bias. Outputs of a softmax are taken relative to their mean, as only that matters.
    """
    layers = hidden_layers(model.plan)
    if not layers:
        return _no_layer(model)
    position = layers[-1]
    sample = _sample(model)
    activations, influence, slopes = _influences(model, position, sample)
    names, indicators = _indicators(model, sample)
    is_constant = (activations == activations[:1]).all(axis=0)
    order = np.argsort(-influence, kind="stable")[:MAX_UNITS]
    found = [
        HiddenUnit(
            number=int(unit),
            influence=float(influence[unit]),
            features=_strongest(names, _correlate(indicators, activations[:, unit])),
            favours=_favours(model, slopes[:, unit]),
        )
        for unit in order
    ]
    return HiddenUnits(
        position.module,
        position.activation,
        sample,
        tuple(found),
        len(influence),
        int(is_constant.sum()),
    )


def map_units(model: ExplainedModel) -> UnitMaps | Unavailable:
    """Return the activations of the first hidden dense layer's units over the input plane."""
    plane = find_plane(model)
    if isinstance(plane, Unavailable):
        return plane
    layers = hidden_layers(model.plan)
    if not layers:
        return _no_layer(model)
    position = layers[0]
    sample = _sample(model)
    _, influence, _ = _influences(model, position, sample)
    order = np.argsort(-influence, kind="stable")[:MAX_MAPS]
    chosen = torch.tensor(order)
    maps = capture_activations(
        model, position, encode_plane(model, plane), lambda output: output.cpu()[:, chosen]
    )
    return UnitMaps(
        layer=position.module,
        activation=position.activation,
        sample=sample,
        plane=plane,
        numbers=tuple(int(unit) for unit in order),
        influences=tuple(float(influence[unit]) for unit in order),
        maps=maps.numpy().T.reshape(len(order), len(plane.y), len(plane.x)),
        num_units=len(influence),
    )


def _no_layer(model: ExplainedModel) -> Unavailable:
    if model.plan.ensemble is not None:
        return Unavailable("each member of the ensemble has hidden units of its own")
    return Unavailable("the network has no hidden dense layer")


def _sample(model: ExplainedModel) -> SampledRows:
    max_rows = max(_MIN_ROWS, int(_MAX_WORK / work_per_row(model.plan)))
    return sample_rows(model, "units", min(_MAX_ROWS, max_rows))


def _influences(
    model: ExplainedModel, position: LayerPosition, sample: SampledRows
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return activations [rows, units], influences [units] and mean gradients [outputs, units]."""
    activations, gradients = capture_gradients(model, position, sample.rows.encoded.inputs)
    away = activations - activations.mean(dim=0)
    num_outputs = model.loss.num_outputs(
        len(model.target.score_names) or None, math.prod(model.target.shape)
    )
    common = gradients(None) if num_outputs > 1 else torch.zeros(())
    influence = torch.zeros(activations.shape[1])
    slopes = []
    for index in range(num_outputs):
        gradient = gradients(index) - common
        influence += (away * gradient).abs().mean(dim=0) / num_outputs
        slopes.append(gradient.mean(dim=0))
    unit = model.target.unit
    return activations.numpy(), influence.numpy() * unit, torch.stack(slopes).numpy()


def _favours(model: ExplainedModel, slopes: np.ndarray) -> str:
    """Return what a higher activation makes more likely; slopes [outputs]."""
    target = model.target
    names = target.score_names
    if not names:
        return "higher" if slopes[0] > 0 else "lower"
    best = int(slopes[0] > 0) if len(slopes) < len(names) == 2 else int(slopes.argmax())
    return names[best]


def _indicators(model: ExplainedModel, sample: SampledRows) -> tuple[list[str], np.ndarray]:
    """Return the values that units are correlated with, by name: [rows, names], NaN: missing."""
    fitted, table = model.fitted, sample.rows.table
    names: list[str] = []
    values: list[np.ndarray] = []
    for column in fitted.columns:
        if isinstance(column, FileColumn | RaggedColumn):
            continue
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
    return names, np.column_stack(values) if values else np.empty((len(sample), 0))


def _correlate(indicators: np.ndarray, activations: np.ndarray) -> np.ndarray:
    """Return Pearson's correlations over the rows where each is known, [names]; 0 for constants."""
    known = ~np.isnan(indicators)
    num_known = np.maximum(known.sum(axis=0), 1)
    x = np.where(known, indicators, 0.0)
    x = np.where(known, x - x.sum(axis=0) / num_known, 0.0)
    a = np.where(known, activations[:, None].astype(np.float64), 0.0)
    a = np.where(known, a - a.sum(axis=0) / num_known, 0.0)
    size = np.abs(x).max(axis=0, initial=0.0)  # squares of dates or large numbers stay finite
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
        if abs(correlations[index]) >= _MIN_CORRELATION
    )
