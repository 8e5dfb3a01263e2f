"""TensorBoard and MLflow are told what metrics.jsonl says, by their real libraries."""

import importlib.util
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tensorboardX.proto.event_pb2 import Event

from tests.conftest import ROOT, Command

if TYPE_CHECKING:  # it takes seconds to import, which each process that runs tests would wait for
    from mlflow import MlflowClient

MOONS = ROOT / "configs" / "moons.yaml"


@pytest.fixture
def mlflow_store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> "MlflowClient":
    from mlflow import MlflowClient

    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"file:{tmp_path / 'store'}")
    return MlflowClient()


def train(dlcli: Command, tracker: str, *options: str) -> None:
    short = ["--set", "training.epochs=3", "--set", f"trackers=[{tracker}]", "--run-dir", "r"]
    outcome = dlcli("train", MOONS, *short, *options)
    assert outcome.code == 0, outcome.err


def losses() -> dict[int, float]:
    lines = map(json.loads, Path("r/metrics.jsonl").read_text().splitlines())
    return {line["epoch"]: line["validation"]["loss"] for line in lines}


def scalars(folder: Path) -> dict[str, dict[int, float]]:
    """Read event files, record by record; later ones replace what they purge."""
    found: dict[str, dict[int, float]] = {}
    for path in sorted(folder.iterdir()):
        data = path.read_bytes()
        while data:  # length, its checksum, the event, its checksum
            (length,) = struct.unpack("<Q", data[:8])
            event = Event.FromString(data[12 : 12 + length])
            data = data[16 + length :]
            for value in event.summary.value:
                found.setdefault(value.tag, {})[event.step] = value.simple_value
    return found


def test_tensorboard_sees_every_epoch_and_the_test_figures(dlcli: Command) -> None:
    train(dlcli, "tensorboard")
    found = scalars(Path("r/tensorboard"))
    assert found["validation/loss"] == pytest.approx(losses())
    summary = json.loads(Path("r/summary.json").read_text())
    assert found["test/accuracy"] == pytest.approx({3: summary["test"]["accuracy"]})
    assert {"train/loss", "lr", "gradient_norm", "seconds"} <= set(found)
    train(dlcli, "tensorboard", "--resume", "--set", "training.epochs=5")
    assert scalars(Path("r/tensorboard"))["validation/loss"] == pytest.approx(losses())


def test_mlflow_has_one_run_however_often_it_is_resumed(
    dlcli: Command, mlflow_store: "MlflowClient"
) -> None:
    train(dlcli, "mlflow")
    train(dlcli, "mlflow", "--resume", "--set", "training.epochs=5")
    experiment = mlflow_store.get_experiment_by_name("moons")
    assert experiment is not None
    [run] = mlflow_store.search_runs([experiment.experiment_id])
    history = mlflow_store.get_metric_history(run.info.run_id, "validation/loss")
    assert {metric.step: metric.value for metric in history} == losses()
    assert run.info.status == "FINISHED"
    summary = json.loads(Path("r/summary.json").read_text())
    assert run.data.metrics["test/accuracy"] == summary["test"]["accuracy"]


def test_a_place_that_can_not_be_told_anything_is_named_before_training(
    dlcli: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nothing://here")
    outcome = dlcli("train", MOONS, "--set", "trackers=[mlflow]", "--run-dir", "r")
    assert outcome.code == 7
    assert "trackers: can't log to mlflow (nothing://here): " in outcome.err
    assert not Path("r").exists()


def test_a_tracker_that_is_lost_does_not_end_the_run(
    dlcli: Command, mlflow_store: "MlflowClient", monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    tell: Callable[..., object] = MlflowClient.log_batch

    def fail_later(client: MlflowClient, run: str, metrics: list[object]) -> None:
        if metrics[0].step > 1:  # type: ignore[attr-defined]
            raise MlflowException("the server is gone")
        tell(client, run, metrics=metrics)

    monkeypatch.setattr(MlflowClient, "log_batch", fail_later)
    short = ["--set", "training.epochs=3", "--set", "trackers=[mlflow]", "--run-dir", "r"]
    outcome = dlcli("train", MOONS, *short)
    assert outcome.code == 0, outcome.err
    assert "the server is gone; nothing was logged from epoch 2 on" in outcome.out
    assert len(losses()) == 3
    assert mlflow_store.get_experiment_by_name("moons") is not None


def test_an_extra_that_is_not_installed_is_named(
    dlcli: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "tensorboardX" else find(name)
    )
    outcome = dlcli("validate", MOONS, "--set", "trackers=[tensorboard]")
    assert outcome.code == 2
    assert "trackers[0]: tensorboard is not installed: pip install" in outcome.err
