"""What is recorded for a report while a run trains, and that the run doesn't notice."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from dlcli.config import load_config
from dlcli.explaining.training_statistics import is_recorded
from dlcli.runs.folder.run_folder import RunFolder
from dlcli.runs.preparation import prepare
from dlcli.runs.training import recorder, saver
from dlcli.runs.training.recorder import read_snapshots, read_statistics
from dlcli.runs.training.train import train
from dlcli.training.loop import Progress
from dlcli.training.saving.checkpoint import load_checkpoint
from tests.conftest import ROOT, Command
from tests.reliability.comparing import checkpoint_differences
from tests.reliability.configs import write_config

FILES = ("inside.jsonl", "snapshots.safetensors")


def write(**sections: Any) -> Path:
    training = {"epochs": 6, "early_stopping": None, **sections.pop("training", {})}
    return write_config(Path("c.yaml"), "adam", "exponential", training=training, **sections)


def run(
    name: str, *settings: str, stop_after: int | None = None, resume: bool = False
) -> RunFolder:
    """Train in a folder; with `stop_after`, leave it as a kill after so many steps would."""
    prepared = prepare(load_config(Path("c.yaml"), ["report=true", *settings]))
    steps = 0
    for event in train(prepared, run_dir=Path(name), resume=resume):
        steps += isinstance(event, Progress)
        if stop_after is not None and steps == stop_after:
            break
    return RunFolder(Path(name))


def test_looks_are_close_to_each_other_at_first_and_then_further_apart() -> None:
    looked = [epoch for epoch in range(1, 1001) if is_recorded(epoch)]
    assert looked[:8] == [1, 2, 3, 4, 5, 6, 8, 10]
    assert len(looked) < 35
    assert max(after / before for before, after in pairwise(looked[3:])) < 1.4


def test_a_run_that_is_recorded_is_the_same_to_the_bit() -> None:
    write()
    with_report, without = run("with"), run("without", "report=false")
    for name in ("last", "best"):
        pair = [load_checkpoint(getattr(own, name)) for own in (with_report, without)]
        assert checkpoint_differences(*pair) == []
    assert not any((without.path / name).exists() for name in FILES)


@pytest.mark.parametrize(("batch_size", "stop_after"), [(16, 1), (16, 12), (16, 20), (80, 5)])
def test_a_run_that_goes_on_has_recorded_the_same(batch_size: int, stop_after: int) -> None:
    one = {"batch_size": batch_size, "accumulate_batches": 1}
    write(checkpoint={"every_steps": 1}, training=one)
    straight = run("straight")
    run("stopped", stop_after=stop_after)
    resumed = run("stopped", resume=True)
    for name in FILES:
        assert (straight.path / name).read_bytes() == (resumed.path / name).read_bytes()


def test_a_run_killed_long_after_its_checkpoint_has_recorded_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(saver, "_FIRST_SECONDS", 0.0)  # a checkpoint after the first step,
    monkeypatch.setattr(saver, "_SHARE", 1e9)  # and none before the end
    write(training={"batch_size": 16, "accumulate_batches": 1})  # 13 steps an epoch
    straight = run("straight")
    stopped = run("stopped", stop_after=38)
    assert [epoch for epoch, _ in read_snapshots(stopped)] == [0]
    assert [item.epoch for item in read_statistics(stopped)] == [1, 2]
    resumed = run("stopped", resume=True)
    for name in FILES:
        assert (straight.path / name).read_bytes() == (resumed.path / name).read_bytes()


def test_a_last_step_that_was_not_seen_is_not_made_up() -> None:
    write(checkpoint={"every_steps": 1}, training={"batch_size": 16, "accumulate_batches": 1})
    run("r", stop_after=13)  # all steps of the first epoch, and not its end
    first, second, *_ = read_statistics(run("r", resume=True))
    assert {(own.gradient, own.update_ratio) for own in first.parameters} == {(None, None)}
    assert all(own.gradient and own.update_ratio for own in second.parameters)


def test_snapshots_go_from_the_first_weights_to_those_of_the_last_look() -> None:
    write()
    folder = run("r")
    snapshots = dict(read_snapshots(folder))
    assert list(snapshots) == [0, 1, 2, 3, 4, 5, 6]
    last = load_checkpoint(folder.last).weights
    for name, weight in snapshots[6].items():
        assert torch.equal(weight, last[name])


def test_looks_tell_gradients_and_how_far_a_step_goes() -> None:
    write(training={"batch_size": "full", "accumulate_batches": 1})
    folder = run("r")
    looks, snapshots = read_statistics(folder), dict(read_snapshots(folder))
    assert [look.epoch for look in looks] == [1, 2, 3, 4, 5, 6]
    for look in looks:
        assert [layer.name for layer in look.layers] == ["0_dense_relu", "1_batch_norm", "3_dense"]
        for own in look.parameters:  # a step an epoch: from one snapshot to the next
            before, after = (snapshots[look.epoch - ago][own.name] for ago in (1, 0))
            length = before.norm()
            if length:
                assert own.update_ratio == pytest.approx(((after - before).norm() / length).item())
            assert own.weight_rms == pytest.approx(after.square().mean().sqrt().item())
            assert own.gradient is not None
            assert 0 <= own.gradient[0] <= own.gradient[1] <= own.gradient[2]


def test_dead_and_saturated_units_are_named() -> None:
    layers = [
        {"type": "dense", "units": 3, "activation": "relu", "initial": {"bias": [-1e3, 5.0, -1e3]}},
        {"type": "dense", "units": 2, "activation": "sigmoid", "initial": {"bias": [0.0, 99.0]}},
        {"type": "dense"},
    ]
    write(model={"layers": layers}, training={"epochs": 1})
    folder = run("r", "optimizer={type: sgd, lr: 1e-9}", "schedule=constant")
    first, second, _ = read_statistics(folder)[-1].layers
    assert (first.num_dead, first.dead) == (2, (0, 2))
    assert first.zero_share == pytest.approx(2 / 3)
    assert (second.num_saturated, second.saturated) == (1, (1,))


def test_quantiles_of_a_large_layer_are_of_a_sample_and_of_fewer_rows() -> None:
    bias = [unit / 199 for unit in range(200)]
    layers = [
        {"type": "dense", "units": 200, "init": "zeros", "initial": {"bias": bias}},
        {"type": "dense", "units": 5000},
        {"type": "dense"},
    ]
    write(
        model={"layers": layers},
        training={"epochs": 1, "batch_size": "full", "accumulate_batches": 1},
    )
    folder = run("r", "optimizer={type: sgd, lr: 1e-9}", "schedule=constant")
    (found,) = read_statistics(folder)
    assert found.num_rows < 128
    assert found.layers[0].quantiles == pytest.approx([0.05, 0.25, 0.5, 0.75, 0.95], abs=0.015)


def test_snapshots_keep_within_their_room(monkeypatch: pytest.MonkeyPatch) -> None:
    write()
    size = read_snapshots(run("measured"))[0][1]
    num_bytes = sum(weight.nbytes for weight in size.values())
    monkeypatch.setattr(recorder, "_MAX_BYTES", 12 * num_bytes)
    room = len(read_snapshots(run("thinned", "training.epochs=60")))
    assert 4 <= room <= 12
    assert read_snapshots(run("thinned-2", "training.epochs=60"))[0][0] == 0
    monkeypatch.setattr(recorder, "_MAX_BYTES", 2 * num_bytes)
    assert read_snapshots(run("none")) == []


def test_damaged_recordings_are_as_good_as_none() -> None:
    write()
    folder = run("r")
    looks = read_statistics(folder)
    text = folder.inside.read_text()
    folder.inside.write_text(text[: len(text) // 2])
    assert read_statistics(folder) == looks[: len(read_statistics(folder))]
    folder.snapshots.write_bytes(folder.snapshots.read_bytes()[:100])
    assert read_snapshots(folder) == []
    folder.snapshots.write_bytes(safetensors.torch.save({"odd": torch.zeros(1)}))
    assert read_snapshots(folder) == []


def test_a_run_that_blows_up_ends_as_it_would_without_being_looked_at(dlcli: Command) -> None:
    blow_up = ["optimizer={type: sgd, lr: 5, momentum: 0.9}", "seed=117", "training.epochs=30"]
    layers = (
        "[{type: dense, units: 32, activation: relu}, {type: dense, units: 32, activation: relu}"
    )
    settings = [*blow_up, f"model.layers={layers}, {{type: dense}}]"]
    options = [word for setting in settings for word in ("--set", setting)]
    config = ROOT / "configs" / "moons.yaml"
    ends = [
        dlcli("train", config, *options, "--run-dir", report, "--set", f"report={report}")
        for report in ("true", "false")
    ]
    assert ends[0].code == ends[1].code
    assert "Traceback" not in ends[0].err
