"""`~` and environment variables in paths of the config and of the command line."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from dlcli.config.text.paths import expand_path
from dlcli.errors import ConfigError
from tests.conftest import Command, WriteConfig

ROWS = "x,y\n" + "".join(f"{n % 7},{n % 7 * 2.5}\n" for n in range(20))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a home folder with rows, and variables that name parts of it."""
    folder = tmp_path / "a home"
    (folder / "days").mkdir(parents=True)
    for name in ("mon", "tue"):
        (folder / f"days/{name}.csv").write_text(ROWS)
    for name, value in (("HOME", str(folder)), ("DAY", "mon"), ("EMPTY", "")):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NOWHERE", raising=False)
    return folder


@pytest.mark.parametrize(
    "text",
    [
        "~",
        "~/days/$DAY.csv",
        "$HOME/x",
        "${HOME}$EMPTY",
        "~root/x",
        "~/${DAY}s/$DAY",
        "./~/x",
        "a~b",
    ],
)
def test_a_path_means_what_it_means_in_a_shell(text: str) -> None:
    told = subprocess.run(["sh", "-c", f"IFS=; printf %s {text}"], capture_output=True, text=True)
    assert expand_path(text, Path()) == told.stdout


@pytest.mark.parametrize(
    "text",
    ["a/b", "$1/x", "cost$", "${env:DAY}.csv", "postgresql://u:$DAY@h/d", "sqlite:///$DAY.db", "-"],
)
def test_what_is_no_variable_and_addresses_stay_as_they_are(text: str) -> None:
    assert expand_path(text, Path()) == text


def test_a_path_that_exists_as_it_is_written_is_taken_as_it_is(home: Path) -> None:
    for name in ("$DAY", "~"):
        (home / name).mkdir()
        assert expand_path(name, home) == name
        assert expand_path(name, Path()) != name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("$NOWHERE/x.csv", "environment variable NOWHERE is not set; set it, or write the path"),
        ("~/${NOWHERE}", "environment variable NOWHERE is not set"),
        ("$EMPTY", "this variable is empty; set it to a path"),
        ("~nobody-here/x", "there is no home folder ~nobody-here; write the path from / on"),
    ],
)
def test_what_can_not_be_expanded_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        expand_path(text, Path())
    assert str(caught.value).startswith(f"{text}: {message}")


def test_paths_of_a_config_its_base_and_the_command_line_are_expanded(
    dlcli: Command, write_config: WriteConfig, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "shared").mkdir()
    data: Any = {"test_path": "~/days/tue.csv"}
    base = write_config("$HOME/days/${DAY}.csv", "y", name="a home/shared/base.yaml", data=data)
    Path("c.yaml").write_text('base: "~/shared/$KIND.yaml"')
    monkeypatch.setenv("KIND", base.stem)
    monkeypatch.setenv("PWD", str(Path.cwd()))
    trained = dlcli("train", "$PWD/c.yaml", "--run-dir=~/runs/$DAY")
    assert trained.code == 0, trained.err
    written = yaml.safe_load((home / "runs/mon/config.yaml").read_text())
    assert written["data"]["path"] == str(home / "days/mon.csv")
    assert written["data"]["test_path"] == str(home / "days/tue.csv")

    predicted = dlcli("predict", "~/runs/mon", "~/days/*.csv", "-o", "$HOME/$DAY.csv")
    assert predicted.code == 0, predicted.err
    assert len((home / "mon.csv").read_text().splitlines()) == 41
    further = "model.start_from=~/runs/$DAY"
    checked = dlcli("validate", "c.yaml", "--set", further, "--set", "data.path=[~/days/mon.csv]")
    assert checked.code == 0, checked.err
    assert f"{home}/runs/mon" in checked.out.replace("\n", "")


def test_a_variable_that_is_not_set_is_refused_where_it_is_said(
    dlcli: Command, write_config: WriteConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = write_config("$NOWHERE/mon.csv", "y")
    refused = dlcli("validate", config)
    assert refused.code == 2
    assert f"{config}:2:3: data.path: $NOWHERE/mon.csv: environment variable NOWHERE" in refused.err
    refused = dlcli("train", config, "--run-dir", "$NOWHERE/r")
    assert refused.code == 2
    assert refused.err.startswith("dlcli: --run-dir: $NOWHERE/r: environment variable NOWHERE is")
    refused = dlcli("evaluate", "$NOWHERE")
    assert refused.err.startswith("dlcli: RUN: $NOWHERE: environment variable NOWHERE is not set")
    monkeypatch.setenv("NOWHERE", f"{os.environ['HOME']}/days")
    assert dlcli("validate", config).code == 0


def test_a_base_with_a_variable_that_is_not_set_can_be_extended_by_another_path(
    dlcli: Command, write_config: WriteConfig
) -> None:
    write_config("$NOWHERE/mon.csv", "y", name="a home/base.yaml")
    Path("c.yaml").write_text("base: a home/base.yaml\n")
    assert "environment variable NOWHERE is not set" in dlcli("validate", "c.yaml").err
    checked = dlcli("validate", "c.yaml", "--set", "data.path=~/days/mon.csv")
    assert checked.code == 0, checked.err
