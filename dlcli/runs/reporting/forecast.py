"""What the report of a run that forecasts shows."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from dlcli.data.dataset import load_windows
from dlcli.data.fitted import FittedData
from dlcli.data.kept_rows import choose_evenly
from dlcli.data.splits import judged_part
from dlcli.data.windows.windows import Windows
from dlcli.explaining.constant_baseline import constant_baseline_loss
from dlcli.explaining.forecasts.shown import show_forecasts
from dlcli.explaining.learning.diagnosis import diagnose
from dlcli.explaining.training_statistics import EpochStatistics
from dlcli.explaining.unavailable import Unavailable
from dlcli.losses import Loss
from dlcli.network.plan import Plan
from dlcli.runs.evaluate import config_of_run
from dlcli.runs.folder.run_folder import find_checkpoint
from dlcli.runs.reporting.report_data import ForecastReport, Record, ReportData
from dlcli.runs.restore import restore
from dlcli.training.device import Placement
from dlcli.training.objective import build_objective


@dataclass(frozen=True)
class ForecastingNetwork:
    """A trained network, in evaluation mode, and what it is fitted to."""

    network: nn.Module
    plan: Plan
    fitted: FittedData
    loss: Loss
    placement: Placement


def load_forecaster(run: Path) -> tuple[ForecastingNetwork, dict[str, Windows]]:
    """Restore a run's best network and its windows by part.

    Raises CheckpointError if there is no usable network, DataError if its data is missing or has
    changed, StorageError.
    """
    path = find_checkpoint(run)
    found = restore(path)
    windows = load_windows(config_of_run(path, found), found.fitted)
    network = found.network.eval()
    return (
        ForecastingNetwork(network, found.plan, found.fitted, found.loss, found.placement),
        windows,
    )


def report_forecasts(
    record: Record,
    statistics: tuple[EpochStatistics, ...],
    found: ForecastingNetwork,
    windows: Mapping[str, Windows],
    *,
    is_quick: bool,
) -> ReportData:
    """Forecast some windows of the part that the network is judged on; say how it learned."""
    diagnosis = diagnose(record.history, constant_loss=_constant_loss(found, windows["train"]))
    part = judged_part(windows)
    figures = (record.summary or {}).get(part)
    if figures is None or "baselines" not in figures:
        reason = Unavailable(f"the run has no figures of its {part} windows")
        return ReportData(record, diagnosis, statistics, reason)
    quality = show_forecasts(
        found.network,
        found.fitted,
        found.loss,
        found.placement,
        windows[part],
        part=part,
        figures=figures,
    )
    network = ForecastReport(found.plan, quality, is_quick)
    return ReportData(record, diagnosis, statistics, network)


def _constant_loss(found: ForecastingNetwork, train: Windows) -> float:
    """Return the loss of the best constant forecast on training windows."""
    chosen = choose_evenly(len(train))
    windows = train if chosen is None else train.take(chosen)
    targets = torch.from_numpy(windows.targets[found.fitted.target.field])
    objective = build_objective(found.loss, found.fitted.target, torch.device("cpu"))
    return constant_baseline_loss(objective, found.fitted.target, targets)
