import os
from collections.abc import Callable
from pathlib import Path

import pytest

from dlcli.config import dump_config, load_config
from dlcli.errors import ConfigError

BASE = """
seed: 3
data: {path: data/x.csv, target: y, features: [a, b], split: {validation: 0.2, test: 0.1}}
model: {layers: [{type: dense, units: 4}, {type: dense}]}
loss: huber
optimizer: {type: sgd, lr: 0.5, momentum: 0.9}
"""

Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_mappings_are_merged_and_all_else_is_replaced(write: Write) -> None:
    write("base.yaml", BASE)
    own = "base: base.yaml\ndata: {features: [c], split: {test: 0.3}}\noptimizer: {lr: 0.1}"
    config = load_config(write("own.yaml", own)).config
    assert config.name == "own"
    assert config.seed == 3
    assert config.data.features == ("c",)
    assert (config.data.split.validation, config.data.split.test) == (0.2, 0.3)
    assert config.optimizer.model_dump(include={"type", "lr", "momentum"}) == {
        "type": "sgd",
        "lr": 0.1,
        "momentum": 0.9,
    }


def test_another_type_replaces_the_whole_mapping(write: Write) -> None:
    write("base.yaml", BASE)
    own = "base: base.yaml\noptimizer: adam\nloss: {type: mse}"
    config = load_config(write("own.yaml", own)).config
    assert (config.optimizer.type, config.optimizer.lr) == ("adam", 1e-3)
    assert config.loss is not None
    assert config.loss.type == "mse"


def test_paths_of_a_base_start_from_its_own_folder(write: Write) -> None:
    write("shared/base.yaml", BASE)
    loaded = load_config(write("mine/own.yaml", "base: ../shared/base.yaml"))
    path = loaded.folder / str(loaded.config.data.path)
    assert os.path.normpath(path) == str(loaded.folder.parent / "shared" / "data" / "x.csv")


def test_a_run_to_start_from_is_named_from_the_folder_of_its_base(write: Write) -> None:
    write("shared/base.yaml", BASE.replace("layers: [", "start_from: ../run, layers: ["))
    loaded = load_config(write("a/b/own.yaml", "base: ../../shared/base.yaml"))
    start = loaded.folder / str(loaded.config.model.start_from)
    assert os.path.normpath(start) == str(loaded.folder.parent.parent / "run")


def test_a_base_can_have_a_base(write: Write) -> None:
    write("first.yaml", BASE)
    write("second.yaml", "base: first.yaml\nseed: 7")
    assert load_config(write("third.yaml", "base: second.yaml")).config.seed == 7


def test_a_problem_is_told_where_it_stands(write: Write) -> None:
    base = write("base.yaml", BASE + "training: {epochs: none}\n")
    own = write("own.yaml", "base: base.yaml\nseed: -1")
    with pytest.raises(ConfigError) as caught:
        load_config(own)
    assert f"{base}:7:12: training.epochs: must be a whole number" in str(caught.value)
    assert f"{own}:2:1: seed: must be at least 0" in str(caught.value)


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ("base: none.yaml", "own.yaml:1:1: base: file not found"),
        ("base: [a]", "own.yaml:1:1: base: must be the path of another config"),
        ("base: own.yaml", "own.yaml:1:1: base: a config can't extend itself"),
        ("base: circle.yaml", "circle.yaml:1:1: base: a config can't extend itself"),
        ("base: list.yaml", "list.yaml is not a mapping"),
    ],
)
def test_a_base_that_cannot_be_is_refused(own: str, message: str, write: Write) -> None:
    write("circle.yaml", "base: own.yaml")
    write("list.yaml", "[1]")
    with pytest.raises(ConfigError) as caught:
        load_config(write("own.yaml", own))
    assert message in str(caught.value)


class TestEnvironment:
    def test_references_are_filled_in_and_said(
        self, write: Write, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("DLCLI_DATA", "/big/disk")
        text = BASE.replace("data/x.csv", '"${env:DLCLI_DATA}/${env:DLCLI_FILE:x}.csv"')
        loaded = load_config(write("c.yaml", text))
        assert loaded.config.data.path == "/big/disk/x.csv"
        assert loaded.notes == (
            "data.path: '/big/disk/x.csv', from ${env:DLCLI_DATA}/${env:DLCLI_FILE:x}.csv",
        )

    def test_a_name_that_is_not_there_is_a_problem_with_its_place(self, write: Write) -> None:
        path = write("c.yaml", BASE.replace("target: y", 'target: "${env:DLCLI_NONE}"'))
        with pytest.raises(ConfigError) as caught:
            load_config(path)
        expected = (
            "data.target: environment variable DLCLI_NONE is not set; set it, or give a default"
        )
        assert f"{path}:3:26: {expected}" in str(caught.value)


def test_a_base_may_be_named_by_the_environment(
    write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    write("base.yaml", BASE)
    monkeypatch.setenv("DLCLI_BASE", "base.yaml")
    loaded = load_config(write("c.yaml", 'base: "${env:DLCLI_BASE}"\nseed: 5'))
    assert loaded.config.seed == 5
    assert loaded.notes == ("base: 'base.yaml', from ${env:DLCLI_BASE}",)


def test_what_only_looks_like_a_name_of_the_environment_is_refused(
    write: Callable[..., Path],
) -> None:
    path = write("c.yaml", BASE.replace("target: y", 'target: "${env:NOT CLOSED"'))
    with pytest.raises(ConfigError, match="not an environment variable: write"):
        load_config(path)


def test_a_name_that_looks_like_a_reference_comes_back_as_it_is(write: Callable[..., Path]) -> None:
    loaded = load_config(write("c.yaml", BASE.replace("target: y", 'target: "a$${env:HOME}b"')))
    assert loaded.config.data.target == "a${env:HOME}b"
    assert loaded.notes == ()
    again = load_config(write("again.yaml", dump_config(loaded.config)))
    assert again.config.data.target == "a${env:HOME}b"
