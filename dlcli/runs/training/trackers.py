"""A run's figures, told to other programs while it trains: TensorBoard and MLflow.

Both are extras, imported only where a config asks for them; metrics.jsonl is written always.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, assert_never

from dlcli.config.config import Tracker as TrackerName
from dlcli.errors import StorageError
from dlcli.runs.folder.run_folder import RunFolder


class Tracker(Protocol):
    """Where figures are told."""

    def tell(self, figures: Mapping[str, float], epoch: int) -> None:
        """Take figures by name, of an epoch from 1."""
        ...

    def close(self, *, is_finished: bool) -> None:
        """Take note of the end: the run's, or only this program's."""
        ...


@dataclass
class Trackers:
    """All that a run is told to."""

    opened: list[Tracker] = field(default_factory=list)
    is_finished: bool = False  # the run, when they are closed: it did not just stop
    lost: list[str] = field(default_factory=list)  # what went wrong with those that were left

    def tell(self, figures: Mapping[str, float], epoch: int) -> None:
        """Tell figures by name, of an epoch from 1; whom nothing can be told is left behind."""
        for own in list(self.opened):
            try:
                own.tell(figures, epoch)
            except StorageError as error:
                self.opened.remove(own)
                self.lost.append(f"{error}; it was told nothing from epoch {epoch} on")

    def close(self) -> None:
        """Tell the end to those that are left."""
        for own in self.opened:
            try:
                own.close(is_finished=self.is_finished)
            except StorageError as error:
                self.lost.append(str(error))


@contextmanager
def open_trackers(
    names: Sequence[TrackerName], folder: RunFolder, name: str, first_epoch: int
) -> Iterator[Trackers]:
    """Open trackers of a run that begins, or goes on, with an epoch; StorageError."""
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

        # What an earlier process has told of epochs that are done again is not shown. Its file's
        # name has the second alone, in which a run may stop and go on.
        suffix = f".{time.time_ns()}"
        self._writer = SummaryWriter(str(folder), purge_step=first_epoch, filename_suffix=suffix)

    def tell(self, figures: Mapping[str, float], epoch: int) -> None:
        for name, figure in figures.items():
            self._writer.add_scalar(name, figure, epoch)

    def close(self, *, is_finished: bool) -> None:  # noqa: ARG002 - its files have no such mark
        self._writer.close()


class _MLflow:
    """A run of the experiment that is named as the config, where MLFLOW_TRACKING_URI says."""

    def __init__(self, folder: RunFolder, name: str) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        from mlflow import MlflowClient

        self._explained(lambda: self._open(MlflowClient(), folder, name))

    def _open(self, client: Any, folder: RunFolder, name: str) -> None:  # noqa: ANN401
        self._client = client
        known = folder.path / "mlflow_run"  # so that a resumed run goes on in the same one
        if known.exists():
            self._run = known.read_text("utf-8").strip()
            client.get_run(self._run)
            return
        found = client.get_experiment_by_name(name)
        experiment = found.experiment_id if found else client.create_experiment(name)
        self._run = client.create_run(experiment, run_name=folder.path.name).info.run_id
        known.write_text(self._run, encoding="utf-8")
        client.log_param(self._run, "config", str(folder.config.resolve()))

    def tell(self, figures: Mapping[str, float], epoch: int) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [Metric(name, figure, now, epoch) for name, figure in figures.items()]
        self._explained(lambda: self._client.log_batch(self._run, metrics=metrics))

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
            raise StorageError(
                f"trackers: mlflow can't be told anything ({where}): {first}"
            ) from None
