"""Which optimizers are compared, and with which settings."""

from pathlib import Path

import pytest

from dlcli.config import load_config
from dlcli.errors import ConfigError
from dlcli.optimizers.adam import AdamW
from dlcli.optimizers.sgd import Sgd
from dlcli.runs.comparison.candidates import Candidates, choose_candidates
from tests.conftest import ROOT


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
