"""Networks of timm as a layer: what it says of them, their weights, and runs that begin with them.

The weights are made here. timm is imported by these tests alone, as that takes seconds.
"""

import csv
import importlib
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import save_file
from torch import nn

import tests.torchvision_import  # noqa: F401 - timm imports torchvision
from dlcli.layers.base import ShapeError
from dlcli.training.saving.checkpoint import load_checkpoint
from tests.conftest import Command
from tests.layers import test_family as family
from tests.layers.samples import DENSE, plan

NAME = "test_resnet"
SHAPE = (3, 32, 32)
BACKBONE = {"type": "backbone", "name": NAME, "weights": "none"}
CHECKS = [
    family.test_planned_shapes_and_parameters_are_those_of_the_module,
    family.test_multiply_adds_are_half_of_torchs_operations,
    family.test_rows_are_mixed_where_the_layer_says_so,
    family.test_factors_of_the_learning_rate_are_of_parameters_that_it_has,
    family.test_modules_have_the_names_that_are_told,
]


def trained_elsewhere() -> nn.Module:
    """Return a network of timm with a classifier of 7 classes."""
    torch.manual_seed(5)
    network: nn.Module = importlib.import_module("timm").create_model(NAME, num_classes=7)
    return network


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A table of images, dark ones and bright ones, in the working directory."""
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)
    with Path("table.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["photo", "label", "part"])
        for row in range(12):
            pixels = generator.integers(0, 100, (32, 32, 3)) + 100 * (row // 4 % 2)
            Image.fromarray(pixels.astype(np.uint8)).save(f"{row}.png")
            part = ("train", "train", "validation", "test")[row % 4]
            table.writerow([f"{row}.png", ("dark", "bright")[row // 4 % 2], part])
    return tmp_path


def write_config(weights: str, *, freeze: bool = False, epochs: int = 1, **layer: Any) -> Path:
    config = {
        "data": {
            "path": "table.csv",
            "target": "label",
            "images": {"size": [32, 32]},
            "split": {"column": "part"},
        },
        "model": {
            "layers": [{**BACKBONE, "weights": weights, **layer}, DENSE],
            "freeze": ["backbone"] if freeze else [],
        },
        "optimizer": {"type": "sgd", "lr": 0.1, "momentum": 0.0, "weight_decay": 0.0},
        "training": {"batch_size": "full", "epochs": epochs},
        "report": False,
    }
    path = Path(f"{Path(weights).stem}_{freeze}_{epochs}.yaml")
    path.write_text(yaml.safe_dump(config))
    return path


def weights_of(run: str) -> dict[str, np.ndarray]:
    weights = load_checkpoint(Path(run, "last.safetensors")).weights
    return {name: tensor.numpy() for name, tensor in weights.items()}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: str(check.__name__))
def test_it_is_as_it_says(check: Callable[[tuple[int, ...], dict[str, Any]], None]) -> None:
    check(SHAPE, {**BACKBONE, "output": "maps", "lr_factor": 0.1})


def test_its_first_layer_alone_sees_images_of_three_channels() -> None:
    assert plan(SHAPE, BACKBONE, DENSE).layers[0].output_shape == (96,)
    assert plan(SHAPE, BACKBONE, DENSE).layers[0].config.min_rows(SHAPE) == 2
    conv = {"type": "conv2d", "out_channels": 3, "kernel_size": 3}
    refused: list[tuple[tuple[int, ...], list[dict[str, Any]], str]] = [
        (SHAPE, [conv, BACKBONE], "must be the first layer of a network, or of one of its inputs"),
        ((1, 32, 32), [BACKBONE], "write data.images: {channels: rgb}"),
        ((12,), [BACKBONE], "it takes images"),
        (SHAPE, [{**BACKBONE, "name": "resnet81"}], "timm has no network resnet81; did you mean"),
        (SHAPE, [{**BACKBONE, "name": "resnet18.x"}], "Invalid pretrained tag"),
        (SHAPE, [{**BACKBONE, "name": "test_vit3"}], "change data.images.size"),
        (SHAPE, [{**BACKBONE, "name": "test_vit", "output": "maps"}], "use output: features"),
    ]
    for shape, specs, told in refused:
        with pytest.raises(ShapeError) as caught:
            plan(shape, *specs, DENSE)
        assert told in str(caught.value)


def test_frozen_it_keeps_the_weights_and_the_scaling_of_a_file(dlcli: Command) -> None:
    network = trained_elsewhere()
    torch.save({"state_dict": network.state_dict()}, "w.pth")
    outcome = dlcli("train", write_config("w.pth", freeze=True), "--run-dir", "run")
    assert outcome.code == 0, outcome.err
    told = " ".join(outcome.out.split())
    assert "0_backbone begins with weights of w.pth, SHA-256" in told
    assert "'photo' is scaled as the weights were trained, by mean 127.5, 127.5, 127.5" in told
    assert "eager: backbone can't be recorded" in told
    after, state = weights_of("run"), network.state_dict()
    for name, value in after.items():
        if name.startswith("0_backbone."):
            assert np.array_equal(value, state[name.removeprefix("0_backbone.")].numpy())
        elif name.startswith("columns."):
            assert (value == 127.5).all()
    saved = yaml.safe_load(Path("run/config.yaml").read_text())
    assert saved["model"]["layers"][0]["weights"] == "../w.pth"
    # The run needs no file any more: not to resume, not to predict.
    Path("w.pth").unlink()
    more = ["--resume", "--set", "training.epochs=2"]
    resumed = dlcli("train", Path("run/config.yaml"), "--run-dir", "run", *more)
    assert resumed.code == 0, resumed.err
    assert dlcli("predict", "run", "table.csv").code == 0


def test_fine_tuned_it_learns_with_a_rate_of_its_own(dlcli: Command) -> None:
    network = trained_elsewhere()
    save_file(network.state_dict(), "w.safetensors")
    before = {
        name: tensor.detach().numpy()
        for name, tensor in network.named_parameters()
        if not name.startswith("fc.")
    }
    changes = []
    for factor in (1.0, 0.1):
        config = write_config("w.safetensors", lr_factor=factor)
        assert dlcli("train", config, "--run-dir", f"run{factor}").code == 0
        after = weights_of(f"run{factor}")
        changes.append({name: after[f"0_backbone.{name}"] - before[name] for name in before})
    assert any(change.any() for change in changes[0].values())
    for name, change in changes[0].items():
        np.testing.assert_allclose(changes[1][name], 0.1 * change, atol=1e-6)
    # A run that begins with another's weights begins with no file's.
    start = ["--set", "model.start_from=run0.1"]
    outcome = dlcli("validate", config, *start)
    assert outcome.code == 2
    [advice] = re.findall(r"--set '(\S+)'", outcome.err)
    assert dlcli("validate", config, *start, "--set", advice).code == 0


def test_weights_that_do_not_fit_are_refused_with_what_differs(
    dlcli: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = trained_elsewhere().state_dict()
    first = next(iter(state))
    others = {**state, "extra": torch.zeros(1), first: torch.zeros(2)}
    others.pop("layer1.0.conv1.weight")
    torch.save(others, "w.pth")
    torch.save([1], "list.pth")
    monkeypatch.setenv("WEIGHTS", "v.pth")
    Path("damaged.safetensors").write_bytes(b"no weights")
    offline = importlib.import_module("huggingface_hub.constants")
    monkeypatch.setattr(offline, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(offline, "HF_HUB_CACHE", str(Path("cache").resolve()))
    for weights, told in [
        ("w.pth", f"missing: layer1.0.conv1.weight; unknown: extra; of another shape: {first} has"),
        ("list.pth", "not a state dict: tensors by name are expected"),
        ("damaged.safetensors", "not a file of weights that can be read"),
        ("$WEIGHTS", "v.pth: no such file; did you mean"),
        ("pretrained", "timm could not fetch the weights of test_resnet"),
    ]:
        outcome = dlcli("validate", write_config(weights))
        assert outcome.code == 2
        assert told in " ".join(outcome.err.split())
        assert "model.layers[0].weights" in outcome.err


def test_without_timm_the_extra_is_named(dlcli: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    networks = importlib.import_module("dlcli.layers.backbone.networks")
    networks.described.cache_clear()
    for is_there, told in [
        (None, "timm, which is not installed: pip install 'dlcli[backbones]'"),
        (True, "timm, which can't be imported"),
    ]:
        monkeypatch.setattr(networks, "find_spec", {"timm": is_there}.get)
        monkeypatch.setitem(sys.modules, "timm", None)
        outcome = dlcli("validate", write_config("none"))
        assert outcome.code == 2
        assert told in outcome.err
