"""Experiment trackers: metrics are logged to TensorBoard and MLflow during training.

Both are optional dependencies, imported only if the config lists them.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, assert_never

from dlcli.config.config import TrackerName
from dlcli.errors import StorageError
from dlcli.runs.folder.run_folder import RunFolder


class Tracker(Protocol):
    """A tracker of one run."""

    def log(self, metrics: Mapping[str, float], epoch: int) -> None:
        """Log metrics by name, of an epoch from 1."""
        ...

    def close(self, *, is_finished: bool) -> None:
        """Close; `is_finished`: the run is complete, not just this process."""
        ...


@dataclass
class Trackers:
    """The trackers of a run."""

    opened: list[Tracker] = field(default_factory=list)
    is_finished: bool = False  # whether the run is complete, not just stopped
    lost: list[str] = field(default_factory=list)  # errors of trackers that have failed

    def log(self, metrics: Mapping[str, float], epoch: int) -> None:
        """Log metrics by name, of an epoch from 1; a tracker that fails is dropped."""
        for tracker in list(self.opened):
            try:
                tracker.log(metrics, epoch)
            except StorageError as error:
                self.opened.remove(tracker)
                self.lost.append(f"{error}; nothing was logged from epoch {epoch} on")

    def close(self) -> None:
        """Close the trackers that are left."""
        for tracker in self.opened:
            try:
                tracker.close(is_finished=self.is_finished)
            except StorageError as error:
                self.lost.append(str(error))


@contextmanager
def open_trackers(
    names: Sequence[TrackerName], folder: RunFolder, name: str, first_epoch: int
) -> Iterator[Trackers]:
    """Open the trackers of a run that starts or resumes at `first_epoch`; StorageError."""
    trackers = Trackers()
    try:
        for tracker in names:
            match tracker:
                case "tensorboard":
                    opened: Tracker = _TensorBoard(folder.path / "tensorboard", first_epoch)
                case "mlflow":
                    opened = _MLflow(folder, name)
                case _:
                    assert_never(tracker)
            trackers.opened.append(opened)
        yield trackers
    finally:
        trackers.close()


class _TensorBoard:
    """Event files in the run folder's `tensorboard`."""

    def __init__(self, folder: Path, first_epoch: int) -> None:
        from tensorboardX import SummaryWriter

        # Hides what an earlier process has logged of epochs that are repeated. The default file
        # name has only the second, within which a run may stop and resume.
        suffix = f".{time.time_ns()}"
        self._writer = SummaryWriter(str(folder), purge_step=first_epoch, filename_suffix=suffix)

    def log(self, metrics: Mapping[str, float], epoch: int) -> None:
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, epoch)

    def close(self, *, is_finished: bool) -> None:  # noqa: ARG002 - event files have no status
        self._writer.close()


class _MLflow:
    """A run in the experiment with the config's name, at MLFLOW_TRACKING_URI."""

    def __init__(self, folder: RunFolder, name: str) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        from mlflow import MlflowClient

        self._explained(lambda: self._open(MlflowClient(), folder, name))

    def _open(self, client: Any, folder: RunFolder, name: str) -> None:  # noqa: ANN401
        self._client = client
        known = folder.path / "mlflow_run"  # a resumed run continues in the same MLflow run
        if known.exists():
            self._run = known.read_text("utf-8").strip()
            client.get_run(self._run)
            return
        found = client.get_experiment_by_name(name)
        experiment = found.experiment_id if found else client.create_experiment(name)
        self._run = client.create_run(experiment, run_name=folder.path.name).info.run_id
        known.write_text(self._run, encoding="utf-8")
        client.log_param(self._run, "config", str(folder.config.resolve()))

    def log(self, metrics: Mapping[str, float], epoch: int) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        batch = [Metric(name, value, now, epoch) for name, value in metrics.items()]
        self._explained(lambda: self._client.log_batch(self._run, metrics=batch))

    def close(self, *, is_finished: bool) -> None:
        status = "FINISHED" if is_finished else "KILLED"
        self._explained(lambda: self._client.set_terminated(self._run, status))

    def _explained(self, call: Callable[[], object]) -> None:
        from mlflow.exceptions import MlflowException

        try:
            call()
        except (MlflowException, OSError) as error:
            where = os.environ.get("MLFLOW_TRACKING_URI", "nowhere: MLFLOW_TRACKING_URI is not set")
            first = str(error).splitlines()[0]
            raise StorageError(f"trackers: can't log to mlflow ({where}): {first}") from None
