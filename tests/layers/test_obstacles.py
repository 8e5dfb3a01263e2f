"""A part that can't be stacked or recorded says so, and the program asks before it tries."""

from dataclasses import replace

import pytest

from dlcli.layers.base import Layer
from dlcli.network import inputs
from dlcli.network.obstacles import recording_obstacle, stacking_obstacle
from tests.conftest import ROOT, Command
from tests.layers.samples import DENSE, EVERY_LAYER, layers, name, plan

REASON = "its loop has no rule for that"
QUICK = [
    *("--set", "training.epochs=2", "--set", "compare.tuning_seeds=1"),
    *("--optimizers", "sgd,adam", "--lrs", "0.01", "--seeds", "2", "--json"),
]
EMBEDDED = ("--set", "data.one_hot_max=1")


def refuse(
    monkeypatch: pytest.MonkeyPatch,
    layer: Layer,
    *,
    stacking: str | None = None,
    recording: str | None = None,
) -> None:
    traits = replace(layer.traits, stacking_obstacle=stacking, recording_obstacle=recording)
    monkeypatch.setattr(type(layer), "traits", traits)


@pytest.mark.parametrize(("shape", "spec"), EVERY_LAYER, ids=name)
def test_each_layer_is_asked_within_others_too(
    shape: tuple[int, ...],
    spec: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    inner = {"type": "residual", "layers": [spec]}
    first = plan(shape, spec, {"type": "flatten"}, DENSE).layers[0]
    same_shape = first.output_shape == shape
    planned = plan(shape, inner if same_shape else spec, {"type": "flatten"}, DENSE)
    obstacle = layers(spec)[0].traits.stacking_obstacle
    said = None if obstacle is None else f"{spec['type']} can't be stacked: {obstacle}"
    assert stacking_obstacle(planned) == said
    assert recording_obstacle(planned) is None
    refuse(monkeypatch, layers(spec)[0], stacking="a", recording="b")
    assert stacking_obstacle(planned) == f"{spec['type']} can't be stacked: a"
    assert recording_obstacle(planned) == f"{spec['type']} can't be recorded: b"


def test_runs_of_a_layer_that_can_not_be_stacked_are_done_one_by_one(
    dlcli: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(monkeypatch, layers(DENSE)[0], stacking=REASON)
    outcome = dlcli("compare-optimizers", ROOT / "configs" / "moons.yaml", *QUICK)
    assert outcome.code == 0, outcome.err
    assert f"(dense can't be stacked: {REASON})" in outcome.err


def test_embedded_columns_that_could_not_be_stacked_would_say_so(
    dlcli: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs, "STACKING_OBSTACLE", REASON)
    outcome = dlcli("compare-optimizers", ROOT / "configs" / "penguins.yaml", *QUICK, *EMBEDDED)
    assert outcome.code == 0, outcome.err
    assert f"(embedded columns can't be stacked: {REASON})" in outcome.err


@pytest.mark.parametrize("part", ["dense", "embedded columns"])
def test_steps_that_can_not_be_recorded_are_taken_one_by_one(
    part: str, dlcli: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    if part == "dense":
        refuse(monkeypatch, layers(DENSE)[0], recording=REASON)
    else:
        monkeypatch.setattr(inputs, "RECORDING_OBSTACLE", REASON)
    command = ("train", ROOT / "configs" / "penguins.yaml", "--smoke", *EMBEDDED)
    outcome = dlcli(*command)
    assert outcome.code == 0, outcome.err
    assert f"engine eager: {part} can't be recorded: {REASON}" in outcome.out
    outcome = dlcli(*command, "--set", "training.engine=captured")
    assert outcome.code == 2
    assert f"captured can't be: {part} can't be recorded: {REASON}" in outcome.err
