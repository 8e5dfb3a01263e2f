import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, Command

TEN = f"""sead: 1
data:
  path: {ROOT}/data/penguins.csv
  target: species
model:
  layers:
    - {{type: dense, unit: 3}}
    - {{type: dens}}
loss: mse
optimizer: {{type: adam, momentum: 0.9}}
schedule: {{type: reduce_on_plateau, warmup_epochs: 3}}
training: {{epochs: 2, batch_size: 16, early_stopping: {{metric: r2, patience: 3}}}}
name: a/b
"""


@pytest.fixture
def ten() -> Path:
    Path("ten.yaml").write_text(TEN)
    return Path("ten.yaml")


def test_ten_mistakes_are_ten_problems_in_the_order_of_the_file(ten: Path, dlcli: Command) -> None:
    """Keys, values, what needs two keys, and what needs the data: all in one pass."""
    outcome = dlcli("validate", ten)
    assert outcome.code == 2
    assert [line.split(": ")[:2] for line in outcome.err.removeprefix("dlcli: ").splitlines()] == [
        ["ten.yaml:1:1", "sead"],
        ["ten.yaml:7:21", "model.layers[0].unit"],
        ["ten.yaml:8:7", "model.layers[1]"],
        ["ten.yaml:9:1", "loss"],
        ["ten.yaml:10:25", "optimizer.momentum"],
        ["ten.yaml:11:1", "schedule"],
        ["ten.yaml:11:37", "schedule.warmup_epochs"],
        ["ten.yaml:12:39", "training.early_stopping"],
        ["ten.yaml:12:56", "training.early_stopping.metric"],
        ["ten.yaml:13:1", "name"],
    ]
    assert dlcli("train", ten).err == outcome.err


def test_problems_come_as_data(ten: Path, dlcli: Command) -> None:
    answer = dlcli("validate", ten, "--set", "seed=-1", "--json").json
    assert answer["valid"] is False
    assert len(answer["problems"]) == 11
    assert answer["problems"][0] == {
        "source": "ten.yaml",
        "line": 1,
        "column": 1,
        "path": "sead",
        "message": "unknown key; did you mean 'seed'?",
    }
    override = next(item for item in answer["problems"] if item["path"] == "seed")
    assert (override["source"], override["line"]) == ("--set seed=-1", None)


def test_a_config_that_can_be_trained_is_said_to_be(dlcli: Command) -> None:
    config = ROOT / "configs" / "penguins.yaml"
    outcome = dlcli("validate", config)
    assert outcome.code == 0
    assert f"{config} can be trained" in outcome.out
    assert dlcli("validate", config, "--json").json == {"valid": True, "problems": []}


@pytest.mark.parametrize(
    ("text", "code", "path", "message"),
    [
        ("a: [", 2, "", "not YAML"),
        ("data: {target: y}", 2, "data.path", "is required"),
        (
            "data: {path: x.csv, target: y}\nmodel: {layers: [{type: dense}]}",
            3,
            "data",
            "x.csv: th",
        ),
        (
            "data: {path: x.csv, target: y}\nmodel: {layers: [{type: dense}]}\nseed: x",
            2,
            "data.path",
            "x.csv: there is no such file",
        ),
    ],
)
def test_what_stops_the_checks_comes_as_data_too(
    text: str, code: int, path: str, message: str, dlcli: Command
) -> None:
    Path("c.yaml").write_text(text)
    outcome = dlcli("validate", "c.yaml", "--json")
    assert outcome.code == code
    found = {item["path"]: item["message"] for item in outcome.json["problems"]}
    assert message in found[path]


def test_on_a_terminal_the_line_is_shown_and_pointed_at(ten: Path) -> None:
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "dlcli", "validate", str(ten)]
    process = subprocess.Popen(command, stderr=follower, env={**os.environ, "TERM": "xterm"})
    assert process.wait(timeout=60) == 2
    os.close(follower)
    shown = os.read(leader, 65536).decode()
    os.close(leader)
    assert "\x1b[1m" in shown
    assert "    optimizer: {type: adam, momentum: 0.9}" in shown
    assert "\n" + "\x1b[1;31m" + " " * (4 + 24) + "^" in shown


def test_what_is_of_smoothed_labels_is_said(dlcli: Command) -> None:
    config = ROOT / "configs" / "penguins.yaml"
    smooth = "loss={type: cross_entropy, label_smoothing: 0.1}"
    for metric, is_chosen in (("loss", True), ("accuracy", False)):
        stopping = f"training.early_stopping={{metric: {metric}}}"
        outcome = dlcli("validate", config, "--set", smooth, "--set", stopping)
        said = " ".join(outcome.out.split())
        assert "every reported loss is that of smoothed labels" in said, outcome.err
        assert ("the best epoch is chosen by it" in said) == is_chosen
    assert "smoothed" not in dlcli("validate", config).out
