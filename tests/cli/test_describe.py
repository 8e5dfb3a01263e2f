import json
import re
from pathlib import Path

import polars as pl
import pytest

from tests.conftest import ROOT, Command

CONFIGS = ROOT / "configs"


def test_each_layer_has_its_shape_parameters_operations_and_memory(dlcli: Command) -> None:
    out = dlcli("describe", CONFIGS / "digits.yaml").out
    rows = [re.split(r"\s*│\s*", line.strip("│ ")) for line in out.splitlines() if "│" in line]
    assert ["3 conv2d", "64 × 8 × 8", "18,496", "1,179,648", "1 MiB"] in rows
    assert ["9 dense relu", "128", "131,200", "131,072", "32 KiB"] in rows
    assert ["total", "", "151,498", "1,330,432", "5.06 MiB"] in rows
    assert "weights, gradients and adam's state: 2.31 MiB" in out


def test_the_batch_is_the_one_that_training_takes(dlcli: Command) -> None:
    config = CONFIGS / "lecture" / "11_gradient_descent.yaml"
    assert "memory for 300 rows" in dlcli("describe", config).out
    assert "memory for 7 rows" in dlcli("describe", config, "--set", "training.batch_size=7").out


def test_a_config_that_does_not_fit_is_refused(dlcli: Command) -> None:
    outcome = dlcli("describe", CONFIGS / "moons.yaml", "--set", "model.layers[2].units=5")
    assert outcome.code == 2
    assert "the network's output has the shape [5], the target needs [1]" in outcome.err


CHANGES = [
    *("--set", "training.epochs=3", "--set", "training.accumulate_batches=3"),
    *("--set", "optimizer={type: sgd, lr: 0.3}", "--set", "data.streaming=true"),
    *("--set", "training.early_stopping=null"),
]


@pytest.mark.parametrize(
    "schedule",
    [
        "{type: cosine, eta_min: 0.01, warmup_epochs: 0.5}",
        "{type: one_cycle}",
        "{type: exponential, gamma: 0.5, warmup_epochs: 1.25}",
    ],
)
def test_every_step_that_is_listed_has_the_rate_that_training_takes(
    schedule: str, dlcli: Command
) -> None:
    options = [CONFIGS / "moons.yaml", "--set", f"schedule={schedule}", *CHANGES]
    assert dlcli("describe", *options, "--schedule", "-o", "rates.csv").code == 0
    listed = pl.read_csv("rates.csv")
    assert dlcli("train", *options, "--run-dir", "run").code == 0
    epochs = [json.loads(line) for line in Path("run/metrics.jsonl").read_text().splitlines()]
    last = listed.group_by("epoch", maintain_order=True).last()
    assert last["lr"].to_list() == pytest.approx([epoch["lr"] for epoch in epochs], rel=1e-12)
    assert listed["step"].to_list() == list(range(1, len(listed) + 1))
    assert len(listed) == 3 * 7  # 600 training rows in batches of 32, three of them a step


def test_the_rates_are_drawn_and_written_in_every_form(dlcli: Command) -> None:
    options = ["describe", CONFIGS / "moons.yaml", "--schedule", *CHANGES]
    cosine = ["--set", "schedule={type: cosine, warmup_epochs: 1}"]
    for name, first in (("r.parquet", b"PAR1"), ("r.svg", b"<?xml"), ("r.png", b"\x89PNG")):
        outcome = dlcli(*options, *cosine, "-o", name)
        assert outcome.code == 0, outcome.err
        assert Path(name).read_bytes().startswith(first)
        assert "last step of the warm-up, 7: 0.2625\nfirst step after it, 8: 0.3\n" in outcome.out
        assert "last step, 21: 0\n" in outcome.out
        assert "(steps)" in outcome.out
        assert "         0 |" in outcome.out  # the axis of rates begins at 0
    lines = dlcli(*options, *cosine, "-o", "-").out.splitlines()
    assert (lines[0], len(lines)) == ("step,epoch,lr", 22)
    plateau = ["--set", "schedule={type: reduce_on_plateau, patience: 0}"]
    assert "not improved for 1 epoch after the warm-up" in dlcli(*options, *plateau).out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-o", "x.csv"], "give --schedule too"),
        (["--schedule", "-o", "x.txt"], "-o x.txt: none of .csv, .parquet, .svg, .png"),
        (["--schedule", "--processes", "2"], "leave it out"),
    ],
)
def test_what_can_not_be_described_is_told(
    options: list[str], message: str, dlcli: Command
) -> None:
    outcome = dlcli("describe", CONFIGS / "moons.yaml", *options)
    assert (outcome.code, message in outcome.err) == (2, True)
