"""Runs on a GPU, and what comes of them on a machine without one."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
import yaml

from dlcli.training.saving.checkpoint import load_checkpoint, save_checkpoint
from tests.conftest import ROOT, Command
from tests.reliability.comparing import differences

NO_GPU = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
PENGUINS = ROOT / "data" / "penguins.csv"
LAYERS = [
    {"type": "dense", "units": 16, "activation": "relu"},
    {"type": "batch_norm"},
    {"type": "dropout", "rate": 0.2},
    {"type": "dense"},
]


def write_config(file: Path | str = PENGUINS, target: str = "species", **sections: Any) -> None:
    """Write c.yaml: numbers and categories, some of them embedded, on the GPU."""
    training = {"epochs": 12, "batch_size": 32, "device": "cuda", **sections.pop("training", {})}
    data = {"path": str(file), "target": target, "split": {"validation": 0.2, "test": 0.2}}
    config = {
        "data": data | sections.pop("data", {}),
        "model": {"layers": LAYERS},
        "optimizer": {"type": "adam", "lr": 0.01},
        "training": training,
        **sections,
    }
    Path("c.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")


def run_without_gpu(*arguments: object) -> Any:
    """Run a command where PyTorch sees no GPU; return what it prints, parsed if it is JSON."""
    command = [sys.executable, "-m", "dlcli", *map(str, arguments)]
    done = subprocess.run(command, env=NO_GPU, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if "--json" in arguments else done.stdout


def trained(dlcli: Command, run: str, *settings: str) -> dict[str, Any]:
    """Train c.yaml; return its summary."""
    options = [word for setting in settings for word in ("--set", setting)]
    outcome = dlcli("train", "c.yaml", "--run-dir", run, "--json", *options)
    assert outcome.code == 0, outcome.err
    summary: dict[str, Any] = outcome.json
    return summary


def test_a_network_trained_with_tf32_can_be_used_where_there_is_none(dlcli: Command) -> None:
    write_config(training={"device": "cpu", "epochs": 2})
    summary = trained(dlcli, "r")
    for name in ("best", "last"):
        path = Path("r", f"{name}.safetensors")
        checkpoint = load_checkpoint(path)
        training = checkpoint.config.training.model_copy(update={"precision": "tf32"})
        changed = {"config": checkpoint.config.model_copy(update={"training": training})}
        save_checkpoint(path, type(checkpoint)(**(vars(checkpoint) | changed)))
    figures = run_without_gpu("evaluate", "r", "--json")
    assert figures["test"]["loss"] == pytest.approx(summary["test"]["loss"])


@pytest.mark.gpu
@pytest.mark.parametrize("engine", ["eager", "captured"])
@pytest.mark.parametrize("streaming", [False, True])
def test_a_run_on_a_gpu_is_used_on_both(engine: str, streaming: bool, dlcli: Command) -> None:
    write_config(training={"engine": engine}, data={"streaming": streaming, "one_hot_max": 1})
    summary = trained(dlcli, "r", "report=true")
    assert summary["device"].startswith("cuda")
    here, there = dlcli("evaluate", "r", "--json").json, run_without_gpu("evaluate", "r", "--json")
    for figures in (here, there):
        assert figures["test"]["loss"] == pytest.approx(summary["test"]["loss"], rel=1e-4)
    assert dlcli("predict", "r", PENGUINS, "-o", "here.csv").code == 0
    run_without_gpu("predict", "r", PENGUINS, "-o", "there.csv")
    here_and_there = [
        pl.read_csv(f"{place}.csv").select(pl.selectors.starts_with("probability_")).to_numpy()
        for place in ("here", "there")
    ]
    assert np.allclose(here_and_there[0], here_and_there[1], atol=1e-4)
    assert Path("r", "report.html").is_file()
    assert dlcli("report", "r").code == 0


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["tf32", "bf16", "fp16"])
def test_every_precision_learns_nearly_the_same(precision: str, dlcli: Command) -> None:
    write_config(report=False)
    losses = [
        trained(dlcli, name, f"training.precision={name}")["validation"]["loss"]
        for name in ("fp32", precision)
    ]
    assert losses[1] == pytest.approx(losses[0], abs=0.05)


@pytest.mark.gpu
@pytest.mark.parametrize("engine", ["eager", "captured"])
def test_a_run_goes_on_to_the_same_bits(engine: str, dlcli: Command) -> None:
    write_config(report=False, training={"engine": engine})
    trained(dlcli, "straight")
    trained(dlcli, "r", "training.epochs=5")
    assert dlcli("train", "c.yaml", "--run-dir", "r", "--resume").code == 0
    assert differences(Path("straight"), Path("r")) == []


@pytest.mark.gpu
@pytest.mark.parametrize("shards", [1, 2])
def test_captured_steps_are_eager_ones_whatever_the_batch(shards: int, dlcli: Command) -> None:
    # Batches of 9 rows begin anywhere in memory; those that a graph reads begin where tensors do.
    write_config(report=False, training={"batch_size": 9, "shards": shards, "epochs": 3})
    for engine in ("eager", "captured"):
        trained(dlcli, engine, f"training.engine={engine}")
    assert differences(Path("eager"), Path("captured")) == []


@pytest.mark.gpu
def test_a_run_goes_on_without_a_gpu(dlcli: Command) -> None:
    write_config(report=False, training={"device": "auto"})
    trained(dlcli, "r", "training.epochs=5")
    run_without_gpu("train", "c.yaml", "--run-dir", "r", "--resume")
    assert json.loads(Path("r", "summary.json").read_text())["epochs"] == 12


@pytest.mark.gpu
@pytest.mark.parametrize("engine", ["eager", "captured"])
def test_optimizers_are_compared_and_rates_found(engine: str, dlcli: Command) -> None:
    write_config(training={"engine": engine, "epochs": 3})
    layers = [LAYERS[0], LAYERS[1], LAYERS[3]]  # without dropout, so that runs are stacked
    options = ["--set", f"model.layers={json.dumps(layers)}", "--seeds", 2, "--json"]
    names = ("--optimizers", "sgd,adam")
    outcome = dlcli("compare-optimizers", "c.yaml", *names, *options, "--run-dir", "c")
    assert outcome.code == 0, outcome.err
    assert dlcli("find-lr", "c.yaml", *options).code == 0


@pytest.mark.gpu
def test_a_full_memory_is_answered_with_a_batch_that_fits(dlcli: Command) -> None:
    random = np.random.default_rng(0)
    rows = {"x": random.normal(size=200_000), "y": random.integers(0, 2, size=200_000)}
    pl.DataFrame(rows).write_csv("t.csv")
    write_config("t.csv", "y", report=False, training={"batch_size": "full", "epochs": 1})
    layers = [{"type": "dense", "units": 20_000, "activation": "relu"}, {"type": "dense"}]
    total = torch.cuda.get_device_properties("cuda").total_memory
    torch.cuda.set_per_process_memory_fraction(min(1.0, 2**31 / total))  # others may need it too
    try:
        outcome = dlcli("train", "c.yaml", "--set", f"model.layers={json.dumps(layers)}")
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert outcome.code == 6
    assert "training.batch_size" in outcome.err
