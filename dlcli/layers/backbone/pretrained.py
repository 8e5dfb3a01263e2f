"""Weights of timm's networks: from files, and from where timm fetches them."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dlcli.errors import suggest
from dlcli.layers.backbone.networks import Output, build, timm
from dlcli.layers.base import GivenWeights, Shape, ShapeError

_MAX_LISTED = 5
_COUNTER = "num_batches_tracked"  # of batch norm: older files don't have it
_WITHIN = ("state_dict", "model")  # where training scripts put the weights in what they save


def read_weights(path: Path, name: str, expected: Mapping[str, Shape]) -> GivenWeights:
    """Read the weights of a network from a .safetensors file or a state dict of torch.

    Those of its classifier are left out. Raises ShapeError where the file can't be read, or its
    tensors are not those `expected`, by name and shape.
    """
    found = _read(path)
    config = timm().get_pretrained_cfg(name)
    heads = config.classifier or ()
    heads = (heads,) if isinstance(heads, str) else heads
    starts = tuple(f"{head}." for head in heads)
    values = {key: tensor for key, tensor in found.items() if not key.startswith(starts)}
    for key in expected:
        if key.endswith(_COUNTER):
            values.setdefault(key, torch.tensor(0))
    _compare(path, name, values, expected)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    return _given(values, config, f"{path.name}, SHA-256 {digest}…")


def fetch_weights(name: str, output: Output, expected: Mapping[str, Shape]) -> GivenWeights:
    """Let timm fetch a network's weights, or find them where it has kept them.

    Raises ShapeError where there are none, or they can't be fetched.
    """
    library = timm()
    if not library.is_model_pretrained(name):
        raise ShapeError(f"timm has no pretrained weights of {name}; name a file, or write none")
    try:
        network = build(name, output, pretrained=True)
    except Exception as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ShapeError(
            f"timm could not fetch the weights of {name}: {reason}; where there is no network, "
            "name a file of them (weights: FILE)"
        ) from None
    values = network.state_dict()
    _compare(Path("timm"), name, values, expected)
    config = library.get_pretrained_cfg(name)
    return _given(values, config, f"timm's {config.hf_hub_id or config.url or name}")


def _read(path: Path) -> Mapping[str, Tensor]:
    """Return the tensors of a file by name."""
    if not path.is_file():
        try:
            near = [one.name for one in path.parent.iterdir()]
        except OSError:
            near = []
        raise ShapeError(f"{path}: no such file{suggest(path.name, near)}")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            found: Any = load_file(path)
        else:
            found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ShapeError(
            f"{path}: not a file of weights that can be read: {reason}; it must be .safetensors, "
            "or what torch.save wrote of a state dict"
        ) from None
    for key in _WITHIN:
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
    if not isinstance(found, dict) or not all(isinstance(one, Tensor) for one in found.values()):
        raise ShapeError(f"{path}: not a state dict: tensors by name are expected")
    return found


def _compare(
    path: Path, name: str, values: Mapping[str, Tensor], expected: Mapping[str, Shape]
) -> None:
    """Raise ShapeError, saying what differs, unless the tensors are those expected."""
    shapes = {key: tuple(tensor.shape) for key, tensor in values.items()}
    differing = [
        f"{key} has the shape {list(shapes[key])}, not {list(shape)}"
        for key, shape in expected.items()
        if key in shapes and shapes[key] != shape
    ]
    parts = [
        ("missing", [key for key in expected if key not in shapes]),
        ("unknown", [key for key in shapes if key not in expected]),
        ("of another shape", differing),
    ]
    reported = [f"{what}: {_listed(keys)}" for what, keys in parts if keys]
    if reported:
        raise ShapeError(f"{path}: not the weights of {name}: {'; '.join(reported)}")


def _listed(names: list[str]) -> str:
    more = len(names) - _MAX_LISTED
    return ", ".join(names[:_MAX_LISTED]) + (f" and {more} more" if more > 0 else "")


def _given(values: Mapping[str, Tensor], config: Any, source: str) -> GivenWeights:  # noqa: ANN401 - timm's
    """Return weights with the scaling of images that they were trained with."""
    arrays = {
        key: (tensor.float() if tensor.is_floating_point() else tensor).numpy()
        for key, tensor in values.items()
    }
    bad = [key for key, array in arrays.items() if not np.isfinite(array).all()]
    if bad:
        raise ShapeError(f"{source}: not finite: {_listed(bad)}")
    mean, std = (tuple(255.0 * one for one in values) for values in (config.mean, config.std))
    return GivenWeights(arrays, mean, std, source)
