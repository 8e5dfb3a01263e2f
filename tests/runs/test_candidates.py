"""Which optimizers are compared, and with which settings."""

import json
from pathlib import Path

import pytest

from dlcli.config import load_config
from dlcli.errors import ConfigError
from dlcli.optimizers.adam import AdamW
from dlcli.optimizers.sgd import Sgd
from dlcli.runs.comparison.candidates import Candidates, choose_candidates
from tests.conftest import ROOT, Command


def choose(*settings: str, names: list[str] | None = None) -> Candidates:
    loaded = load_config(Path(ROOT / "configs" / "moons.yaml"), list(settings))
    return choose_candidates(loaded.config, names)


def test_the_usual_ones_count_sgd_momentum_and_nesterov_as_three() -> None:
    chosen = choose()
    usual = ["sgd", "momentum", "nesterov", "adam", "rmsprop", "adagrad", "adadelta"]
    assert list(chosen.optimizers) == usual
    assert chosen.optimizers["momentum"] == Sgd(type="sgd", momentum=0.9)
    assert chosen.optimizers["nesterov"] == Sgd(type="sgd", momentum=0.9, nesterov=True)
    assert any("adamw is left out" in note for note in chosen.notes)


def test_weight_decay_is_the_configs_for_all_but_those_that_say_their_own() -> None:
    chosen = choose(
        "optimizer={type: sgd, weight_decay: 0.5}",
        "compare.optimizers=[adam, adamw, {name: free, type: sgd, weight_decay: 0}]",
    )
    decays = {name: own.weight_decay for name, own in chosen.optimizers.items()}
    assert decays == {"adam": 0.5, "adamw": 0.5, "free": 0.0}
    assert "adamw" in choose("optimizer={type: adamw}").optimizers


def test_the_configs_own_optimizer_is_compared_where_it_is_none_of_the_usual() -> None:
    assert "configured" not in choose("optimizer={type: sgd, momentum: 0.9, lr: 3}").optimizers
    chosen = choose("optimizer={type: adam, betas: [0.8, 0.9], lr: 0.3}")
    assert chosen.optimizers["configured"].lr == 0.3
    assert "configured: adam with the config's own settings" in chosen.notes
    assert not any("is not used" in note for note in chosen.notes)  # it is the middle of a grid
    assert any("optimizer.lr 0.01 is not used" in note for note in choose().notes)
    assert list(choose("optimizer=nadam").optimizers)[-1] == "nadam"


def test_names_are_the_configs_before_they_are_presets() -> None:
    mine = "compare.optimizers=[sgd, {name: adam, type: adam, eps: 0.1}]"
    chosen = choose(mine, names=["adam", "rmsprop"])
    assert [own.type for own in chosen.optimizers.values()] == ["adam", "rmsprop"]
    assert getattr(chosen.optimizers["adam"], "eps", None) == 0.1
    with pytest.raises(ConfigError, match="unknown optimizer 'mime'; did you mean 'mine'"):
        choose("compare.optimizers=[sgd, {name: mine, type: adam}]", names=["mime", "sgd"])


def test_twins_are_told() -> None:
    chosen = choose(names=["adam", "adamw"])
    assert chosen.optimizers["adamw"] == AdamW(type="adamw", weight_decay=0.0)
    assert "adamw is the same as adam: the two can't be told apart" in chosen.notes


def test_optimizers_that_use_no_schedule_are_compared_without_it(dlcli: Command) -> None:
    options = [
        *("--optimizers", "sgd,rprop,schedulefree_adamw", "--lrs", "0.01", "--seeds", "2"),
        *("--set", "compare.tuning_seeds=1", "--set", "training.epochs=2", "--set", "report=false"),
        *("--set", "schedule={type: cosine, warmup_epochs: 1}", "--run-dir", "run"),
    ]
    outcome = dlcli("compare-optimizers", ROOT / "configs" / "moons.yaml", *options)
    assert outcome.code == 0, outcome.err
    assert "rprop trains without the schedule cosine, as it takes" in outcome.out
    assert "schedulefree_adamw trains without the schedule cosine but for its" in outcome.out
    _, *lines = map(json.loads, Path("run/runs.jsonl").read_text("utf-8").splitlines())
    changes = [line["trial"]["changes"] for line in lines]
    assert {change["optimizer"]["type"]: change.get("schedule") for change in changes} == {
        "sgd": None,
        "rprop": {"type": "constant", "warmup_epochs": 0},
        "schedulefree_adamw": {"type": "constant", "warmup_epochs": 1},
    }
    best = load_config(Path("run/recommended.yaml")).config
    assert best.optimizer.type != "sgd"
    assert best.schedule.is_constant
    assert dlcli("validate", "run/recommended.yaml").code == 0
