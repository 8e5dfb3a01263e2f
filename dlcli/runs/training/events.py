"""What `train` yields."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from dlcli.config.config import ReportKind
from dlcli.data.stream import Reading
from dlcli.explaining.training_statistics import EpochStatistics
from dlcli.runs.calibration import Calibration
from dlcli.runs.folder.run_folder import RunFolder
from dlcli.runs.preparation import Prepared
from dlcli.runs.training.resume import Resumed
from dlcli.runs.training.signals import SignalName
from dlcli.training.device import Placement
from dlcli.training.engines.choice import Engine
from dlcli.training.engines.threads import Threads
from dlcli.training.loop import EpochResult, Progress, StopReason, Trainer
from dlcli.training.processes.estimate import StepEstimate
from dlcli.training.rows.batches import Rows


@dataclass(frozen=True)
class TrainingStarted:
    """Training starts or resumes."""

    prepared: Prepared
    placement: Placement
    engine: Engine
    threads: Threads
    num_processes: int  # that share each batch
    estimates: tuple[StepEstimate, ...]  # of a step, where there are several
    folder: RunFolder
    resumed: Resumed | None


@dataclass(frozen=True)
class ReportMaterial:
    """What a run has in memory at its end, from which its report is made."""

    kind: ReportKind
    prepared: Prepared
    trainer: Trainer  # whose network has the best weights
    rows: Mapping[str, Rows]  # of each part, those that the report is about
    outputs: Mapping[str, Tensor]  # of the network for these rows, of the parts it was judged on
    statistics: Sequence[EpochStatistics]
    snapshots: Sequence[tuple[int, Mapping[str, Tensor]]]  # epochs done, and weights
    calibration: Calibration | None


@dataclass(frozen=True)
class TrainingFinished:
    """Training is over; the run folder is complete."""

    summary: dict[str, Any]
    folder: RunFolder
    data: tuple[str, ...]  # the training data, as `predict` takes it
    material: ReportMaterial | None  # None: no report is to be made
    notes: tuple[str, ...] = ()  # on trackers that failed
    calibration: Calibration | None = None  # None: no temperature was looked for

    @property
    def stop_reason(self) -> StopReason:
        """Why training ended."""
        reason: StopReason = self.summary["stop_reason"]
        return reason


@dataclass(frozen=True)
class StoppedBeforeTraining:
    """A signal came before training started: there is nothing to save."""

    signal: SignalName


TrainingEvent = (
    Reading | StoppedBeforeTraining | TrainingStarted | Progress | EpochResult | TrainingFinished
)
