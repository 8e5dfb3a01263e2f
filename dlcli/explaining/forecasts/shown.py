"""A few forecasts beside what came, and errors of each step ahead."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from dlcli.data.fitted import FittedData
from dlcli.data.kept_rows import choose_evenly
from dlcli.data.signature import NUMBERS
from dlcli.data.windows.windows import Windows
from dlcli.losses import Loss
from dlcli.training.device import Placement
from dlcli.training.evaluation import compute_outputs
from dlcli.training.rows.batches import to_tensors

_MAX_WINDOWS = 1_000  # among which those that are shown are chosen
# How large the error of a shown window is, among these: 1 is the worst.
_SHARES = {"a good one": 0.1, "a typical one": 0.5, "a poor one": 0.9, "the worst": 1.0}
_MIN_PAST, _PASTS = 24, 2  # steps of the past that are shown; or so many times the horizon


@dataclass(frozen=True)
class ShownForecast:
    """One window, in the targets' units."""

    what: str  # how good its forecast is
    begins: str  # the time of the first step that is forecast, and its series
    past: np.ndarray  # [steps, numbers], NaN where one is missing
    truth: np.ndarray  # [numbers, horizon]
    predictions: np.ndarray
    bounds: tuple[np.ndarray, np.ndarray] | None  # lower and upper ones


@dataclass(frozen=True)
class ForecastQuality:
    """How good a network's forecasts are on the part that it is judged on."""

    part: str
    num_windows: int
    names: tuple[str, ...]  # of the columns that are forecast
    step: str  # its length, in words
    figures: Mapping[str, Any]  # of the network: metrics, by_step, baselines
    forecasts: tuple[ShownForecast, ...]
    coverage: float | None  # share of what came that lies within the bounds


def show_forecasts(
    network: nn.Module,
    fitted: FittedData,
    loss: Loss,
    placement: Placement,
    windows: Windows,
    *,
    part: str,
    figures: Mapping[str, Any],
) -> ForecastQuality:
    """Forecast windows that are evenly taken from a part, and choose some by their errors."""
    target, window = fitted.target, fitted.window
    assert window is not None, "rows are steps of series"
    chosen = choose_evenly(len(windows), _MAX_WINDOWS)
    origins = windows.origins if chosen is None else windows.origins[chosen]
    series = windows.series
    inputs = to_tensors({NUMBERS: series.inputs_at(origins)}, placement.device)
    with torch.no_grad():
        outputs = compute_outputs(network, inputs, placement)
    predictions = target.by_step(target.to_target_units(loss.predictions(outputs)))
    truth = target.by_step(target.truth(series.targets_at(origins)))
    found = loss.bounds(outputs)
    bounds = None
    coverage = None
    if found is not None:
        lower, upper = (target.by_step(target.to_target_units(one)) for one in found)
        bounds = (lower, upper)
        coverage = float(((truth >= lower) & (truth <= upper)).mean())
    errors = ((predictions - truth) ** 2).mean(axis=(1, 2))
    order = np.argsort(errors, kind="stable")
    num_past = min(window.past, max(_MIN_PAST, _PASTS * window.horizon))
    shown = []
    for what, share in _SHARES.items():
        place = int(order[round(share * (len(order) - 1))])
        origin = int(origins[place])
        past = np.repeat(series.targets[origin - num_past : origin], window.horizon, axis=1)
        shown.append(
            ShownForecast(
                what,
                series.place_of(origin, window.axis),
                target.by_step(target.truth(past))[:, :, 0],
                truth[place],
                predictions[place],
                None if bounds is None else (bounds[0][place], bounds[1][place]),
            )
        )
    return ForecastQuality(
        part,
        len(windows),
        target.step_names,
        window.axis.step_text,
        figures,
        tuple(shown),
        coverage,
    )
