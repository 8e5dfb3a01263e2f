"""Columns of images, from a table of paths to a trained, resumed, predicting network."""

import csv
import io
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml
from PIL import Image

from dlcli.cli.app import run as run_dlcli
from dlcli.training.saving.checkpoint import load_checkpoint, save_checkpoint
from tests.conftest import Command

NUM_ROWS = 24
LAYERS = [
    {"type": "conv2d", "out_channels": 3, "kernel_size": 3, "activation": "relu"},
    {"type": "flatten"},
    {"type": "dense"},
]


def write_images(folder: Path, *, of_part: dict[str, int] | None = None) -> None:
    """Write a table of small images, dark ones and bright ones, with a number beside each."""
    generator = np.random.default_rng(0)
    (folder / "photos").mkdir(parents=True, exist_ok=True)
    with (folder / "table.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["photo", "number", "label", "part"])
        for row in range(NUM_ROWS):
            part = ("train", "train", "validation", "test")[row % 4]
            label = ("dark", "bright")[row // 4 % 2]
            pixels = generator.integers(0, 100, (6, 7, 3)) + 100 * (label == "bright")
            pixels += 0 if of_part is None else of_part.get(part, 0)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / "photos" / f"{row}.png")
            table.writerow([f"photos/{row}.png", row % 5, label, part])


def write_config(folder: Path, model: dict[str, Any] | None = None, **data: Any) -> Path:
    config = {
        "data": {
            "path": "table.csv",
            "target": "label",
            "features": ["photo"],
            "images": {"size": [6, 6]},
            "split": {"column": "part"},
            **data,
        },
        "model": model or {"layers": LAYERS},
        "training": {"batch_size": 4, "epochs": 2},
        "report": False,
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    write_images(folder)
    assert run_dlcli(["train", str(write_config(folder)), "--run-dir", str(folder / "run")]) == 0
    return folder


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    """A copy of the images, the config and the run."""
    return Path(shutil.copytree(trained, tmp_path / "copy"))


def weights_of(run: Path) -> dict[str, Any]:
    return {
        name: tensor.tolist()
        for name, tensor in load_checkpoint(run / "last.safetensors").weights.items()
    }


def test_predictions_have_the_paths_and_take_an_image_alone(folder: Path, dlcli: Command) -> None:
    whole = pl.read_csv(io.StringIO(dlcli("predict", folder / "run", folder / "table.csv").out))
    assert whole.columns[-3:] == ["prediction", "probability_bright", "probability_dark"]
    assert len(whole) == NUM_ROWS
    for images in (folder / "photos" / "3.png", folder / "photos"):
        found = pl.read_csv(io.StringIO(dlcli("predict", folder / "run", images).out))
        assert found.columns[-4] == "photo"
        [third] = found.filter(pl.col("photo").str.contains(r"(^|/)3\.png$"))["probability_dark"]
        assert third == pytest.approx(whole["probability_dark"][3])


def test_a_folder_is_evaluated_as_the_table_of_its_images(folder: Path, dlcli: Command) -> None:
    for row in csv.DictReader((folder / "table.csv").read_text().splitlines()):
        target = folder / "classes" / row["label"] / Path(row["photo"]).name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / row["photo"], target)
    of_folder = dlcli("evaluate", folder / "run", folder / "classes", "--json").json
    of_table = dlcli("evaluate", folder / "run", folder / "table.csv", "--json").json
    assert of_folder["data"]["loss"] == pytest.approx(of_table["data"]["loss"])
    assert of_folder["data"]["accuracy"] == of_table["data"]["accuracy"]


def test_a_resumed_run_has_the_same_bits(folder: Path, dlcli: Command) -> None:
    config, part = folder / "config.yaml", folder / "part"
    assert dlcli("train", config, "--run-dir", part, "--set", "training.epochs=1").code == 0
    assert dlcli("train", config, "--run-dir", part, "--resume").code == 0
    assert weights_of(part) == weights_of(folder / "run")


def test_other_images_than_training_ones_change_nothing_that_is_learned(
    folder: Path, tmp_path: Path, dlcli: Command
) -> None:
    other = tmp_path / "other"
    write_images(other, of_part={"validation": 50, "test": 20})
    config = write_config(other)
    assert dlcli("train", config, "--run-dir", other / "run").code == 0
    first, second = weights_of(folder / "run"), weights_of(other / "run")
    assert first == second
    pixels = [
        np.asarray(Image.open(folder / "photos" / f"{row}.png").crop((0, 0, 7, 6)))
        for row in range(NUM_ROWS)
        if row % 4 < 2
    ]
    means = np.stack(pixels).mean(axis=(0, 1, 2))
    assert np.ravel(first["columns.pixels.0.mean"]) == pytest.approx(means, abs=2)


def test_streamed_images_are_decoded_once_and_evaluated(folder: Path, dlcli: Command) -> None:
    run = folder / "streamed"
    words = ["--run-dir", run, "--set", "data.streaming=true"]
    assert dlcli("train", folder / "config.yaml", *words).code == 0
    summary = json.loads((run / "summary.json").read_text())
    figures = dlcli("evaluate", run, "--json").json
    assert figures["test"]["loss"] == pytest.approx(summary["test"]["loss"])
    mean = weights_of(run)["columns.pixels.0.mean"]
    assert mean == weights_of(folder / "run")["columns.pixels.0.mean"]


def test_validate_names_each_file_that_cannot_be_used(folder: Path, dlcli: Command) -> None:
    (folder / "photos" / "0.png").unlink()
    (folder / "photos" / "2.png").write_text("no image")
    outcome = dlcli("validate", folder / "config.yaml")
    assert outcome.code == 3
    assert "line 2: " in outcome.err
    assert "0.png: there is no such file" in outcome.err
    (folder / "photos" / "0.png").write_bytes((folder / "photos" / "1.png").read_bytes())
    outcome = dlcli("validate", folder / "config.yaml")  # of a validation row
    assert outcome.code == 3
    assert "line 4: " in outcome.err


def test_rows_without_an_image_have_no_prediction(folder: Path, dlcli: Command) -> None:
    whole = pl.read_csv(io.StringIO(dlcli("predict", folder / "run", folder / "table.csv").out))
    (folder / "photos" / "5.png").unlink()
    refused = dlcli("predict", folder / "run", folder / "table.csv")
    assert refused.code == 3
    assert refused.err.endswith(
        "; mend the files, or predict with --bad-rows skip, which leaves the predictions of their "
        "rows empty\n"
    )
    for bad_rows in ("skip", "missing"):
        outcome = dlcli("predict", folder / "run", folder / "table.csv", "--bad-rows", bad_rows)
        assert "column 'photo': 1 cell is without a file, prediction left empty" in outcome.err
        found = pl.read_csv(io.StringIO(outcome.out))
        assert found["prediction"].null_count() == 1
        assert (
            found["probability_dark"]
            .drop_nulls()
            .equals(whole["probability_dark"].gather([row for row in range(NUM_ROWS) if row != 5]))
        )


def test_an_image_beside_other_columns_needs_layers_of_its_own(
    folder: Path, dlcli: Command
) -> None:
    outcome = dlcli("validate", write_config(folder, features=["photo", "number"]))
    assert outcome.code == 2
    said = " ".join(outcome.err.split())
    inputs, features = re.findall(r"model[.]inputs: (.+); or .+ data[.]features: (\S+)", said)[0]
    assert inputs.startswith("{photo: {layers: [{type: conv2d, ")
    for advice in (
        ("--set", f"model.inputs={inputs}", "--set", "model.layers=[{type: dense}]"),
        ("--set", f"data.features={features}"),
    ):
        assert dlcli("validate", folder / "config.yaml", *advice).code == 0
    model = {
        "inputs": {"photo": {"layers": LAYERS[:2]}, "table": {"layers": []}},
        "layers": [{"type": "dense"}],
    }
    config = write_config(folder, model, features=["photo", "number"])
    assert dlcli("train", config, "--smoke").code == 0
    mixed = dlcli("validate", config, "--set", "training.augment=[{type: mixup}]")
    assert mixed.code == 2
    assert "mixup mixes whole rows, and the numbers beside images can't be mixed" in mixed.err


def test_stacked_folds_scale_images_each_by_its_own_rows(folder: Path, dlcli: Command) -> None:
    config = write_config(folder, split={"test": 0.25})
    outcome = dlcli("train", config, "--folds", "2", "--run-dir", folder / "folds")
    assert outcome.code == 0, outcome.err
    assert dlcli("predict", folder / "folds", folder / "table.csv").code == 0


def test_images_that_would_take_too_much_memory_are_streamed(
    folder: Path, dlcli: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = NUM_ROWS * 3 * 2000 * 2000
    for free, is_streamed in ((3 * decoded, True), (5 * decoded, False)):
        monkeypatch.setattr("dlcli.data.memory_estimate.free_bytes", lambda free=free: free)
        outcome = dlcli("validate", write_config(folder, images={"size": [2000, 2000]}))
        assert outcome.code == 0, outcome.err
        assert ("rows are streamed from disk" in outcome.out + outcome.err) == is_streamed


def test_a_changed_image_is_noticed(folder: Path, dlcli: Command) -> None:
    config, run, photo = folder / "config.yaml", folder / "run", folder / "photos" / "3.png"
    Image.open(photo).rotate(180).save(photo)
    more = ("train", config, "--resume", "--set", "training.epochs=3", "--run-dir")
    resumed = dlcli(*more, run)
    assert resumed.code == 3
    assert "  data.path: the images that table.csv names: SHA-256 " in resumed.err
    evaluated = dlcli("evaluate", run)
    assert evaluated.code == 3
    assert "table.csv: images that it names changed since the run was trained" in evaluated.err
    assert dlcli("evaluate", run, folder / "table.csv").code == 0  # as the message says
    assert dlcli("train", config, "--run-dir", folder / "new").code == 0  # and so here


def test_a_run_that_knows_only_its_table_goes_on(folder: Path, dlcli: Command) -> None:
    last, best = (folder / "run" / f"{name}.safetensors" for name in ("last", "best"))
    for path in (last, best):
        checkpoint = load_checkpoint(path)
        checksums = {"path": checkpoint.checksums["path"]}
        save_checkpoint(path, replace(checkpoint, checksums=checksums))
    (folder / "photos" / "3.png").write_bytes((folder / "photos" / "7.png").read_bytes())
    config = folder / "config.yaml"
    more = ("--resume", "--set", "training.epochs=3", "--run-dir", folder / "run")
    assert dlcli("evaluate", folder / "run").code == 0
    assert dlcli("train", config, *more).code == 0
