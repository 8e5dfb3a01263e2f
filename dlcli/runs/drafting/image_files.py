"""The rules for images in files, at each effort.

They were chosen on validation images of photographs; their figures are in
`docs/measurements/photographs.md`.
"""

import math
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from dlcli.config.text.parsing import KeyPath
from dlcli.data.survey.image_summary import SeenImages
from dlcli.layers.family import AnyLayer
from dlcli.layers.sequence import plan_layers
from dlcli.runs.drafting.effort import Effort
from dlcli.runs.drafting.outlook import convolution_seconds, seconds_text
from dlcli.runs.drafting.recipe import KnownRows, Layers, Recipe
from dlcli.runs.drafting.small_networks import OUTPUT_LAYER

_MAX_LAST_SIDE = 7  # pixels, after the last pooling
_LARGE_SIDE = 48  # pixels, from which the first convolution halves the sides
_WIDTH, _GREATER_WIDTH = 24, 32  # channels of the first convolution
_MANY_IMAGES, _MANY_CLASSES = 20_000, 100
_MULTIPLE = 4  # of pixels, that larger images are scaled down to
_MAX_ASPECT = 2.0  # of the longer side and the shorter one
_BATCH_SIZE = 64
_FOLDS = 5


@dataclass(frozen=True)
class _Rules:
    """What differs between efforts."""

    side: int  # pixels of a square image; of others, the root of the area
    passes: int  # of an image through the network, over all epochs
    min_epochs: int
    max_epochs: int


_RULES: dict[Effort, _Rules] = {
    "quick": _Rules(side=48, passes=12_000, min_epochs=5, max_epochs=40),
    "standard": _Rules(side=64, passes=25_000, min_epochs=10, max_epochs=60),
    "best": _Rules(side=64, passes=25_000, min_epochs=10, max_epochs=60),
}


def image_folds(effort: Effort, num_rows: int) -> int | None:
    """Return how many folds images are cut into; None: a single network."""
    return _FOLDS if effort == "best" and num_rows < _MANY_IMAGES else None


def recipe_for_image_files(known: KnownRows, seen: SeenImages, effort: Effort) -> Recipe:
    """Return a stack of convolutions, its images and their augmentation."""
    rules = _RULES[effort]
    size = _size(seen, rules.side)
    shape = (1 if seen.are_grey else 3, *size)
    is_number = known.seen.task == "regression"
    layers = [*_convolutions(known, size), *_head(keeps_places=is_number)]
    epochs = _num_epochs(known, rules)
    sections: dict[str, Any] = {
        **({} if is_number else {"loss": {"type": _loss(known), "label_smoothing": 0.1}}),
        "optimizer": {"type": "adamw", "lr": 0.003, "weight_decay": 0.05},
        "schedule": {"type": "cosine", "warmup_epochs": round(0.1 * epochs, 1)},
        "training": _training(known, seen, epochs),
    }
    if known.num_folds is not None:
        sections["folds"] = known.num_folds
    channels = "grey" if seen.are_grey else "rgb"
    return Recipe(
        layers,
        sections,
        _comments(known, seen, layers),
        outlook=_outlook(known, len(seen.columns) * _multiply_adds(layers, shape), epochs),
        data={"images": {"size": list(size), "fit": _fit(seen, size), "channels": channels}},
    )


def _training(known: KnownRows, seen: SeenImages, epochs: int) -> dict[str, Any]:
    training: dict[str, Any] = {"batch_size": _BATCH_SIZE, "epochs": epochs}
    if _is_watched(known):
        training["early_stopping"] = {"patience": epochs}
    training["augment"] = _augmentations(known, seen)
    return training


def _is_watched(known: KnownRows) -> bool:
    return known.has_validation or known.num_folds is not None


def _size(seen: SeenImages, side: int) -> tuple[int, int]:
    """Return height and width: the images' own where they are small, else with their aspect."""
    height, width = seen.size
    scale = side / math.sqrt(height * width)
    if scale >= 0.8:
        return height, width
    aspect = min(_MAX_ASPECT, max(1 / _MAX_ASPECT, height / width))
    high, wide = side * math.sqrt(aspect), side / math.sqrt(aspect)
    return _multiple(high), _multiple(wide)


def _multiple(pixels: float) -> int:
    return max(1, round(pixels / _MULTIPLE)) * _MULTIPLE


def _fit(seen: SeenImages, size: tuple[int, int]) -> str:
    """Return how images come to their size: stretched where that hardly changes them."""
    is_same = abs(math.log(seen.size[0] / seen.size[1]) - math.log(size[0] / size[1])) < 0.1
    return "stretch" if seen.are_alike and is_same else "crop"


def _convolutions(known: KnownRows, size: tuple[int, int]) -> Layers:
    is_wide = known.num_train >= _MANY_IMAGES or (known.num_classes or 0) >= _MANY_CLASSES
    side, channels = min(size), _GREATER_WIDTH if is_wide else _WIDTH
    stride = 2 if side >= _LARGE_SIDE else 1
    layers = _convolution(channels, stride)
    side = -(-side // stride)
    while side > _MAX_LAST_SIDE:
        side, channels = side // 2, 2 * channels
        layers += [*_convolution(channels), {"type": "max_pool2d", "kernel_size": 2}]
    return [*layers, *_convolution(channels)]


def _head(*, keeps_places: bool) -> Layers:
    last: Layers = [{"type": "dropout", "rate": 0.2}, {"type": "dense"}]
    if keeps_places:
        hidden: dict[str, Any] = {"type": "dense", "units": 128, "activation": "relu"}
        return [{"type": "flatten"}, hidden, *last]
    return [{"type": "global_avg_pool"}, *last]


def _convolution(channels: int, stride: int = 1) -> Layers:
    window: dict[str, Any] = {"kernel_size": 3, "padding": "same"}
    if stride > 1:
        window = {"kernel_size": 3, "stride": stride, "padding": 1}
    return [
        {"type": "conv2d", "out_channels": channels, **window, "bias": False},
        {"type": "batch_norm"},
        {"type": "activation", "activation": "relu"},
    ]


def _augmentations(known: KnownRows, seen: SeenImages) -> list[dict[str, Any]]:
    colour = {"type": "colour", "brightness": 0.2, "contrast": 0.2}
    if known.seen.task == "regression":
        return [colour]
    moves: list[dict[str, Any]] = [
        {"type": "rotation", "degrees": 15},
        {"type": "scale", "by": 0.15},
        {"type": "shift", "by": 0.1},
    ]
    return moves if min(seen.size) < 16 else [*moves, colour]


def _loss(known: KnownRows) -> str:
    return "binary_cross_entropy" if known.seen.task == "binary" else "cross_entropy"


def _num_epochs(known: KnownRows, rules: _Rules) -> int:
    return max(rules.min_epochs, min(rules.max_epochs, round(rules.passes / known.num_train)))


def _outlook(known: KnownRows, multiply_adds: int, epochs: int) -> str:
    num_networks = known.num_folds or 1
    networks = (
        "one network" if num_networks == 1 else f"{num_networks} networks by cross-validation"
    )
    if known.seen.texts:  # which take time, too
        return f"{networks}, {epochs} epochs"
    seconds = convolution_seconds(
        num_networks=num_networks,
        num_epochs=epochs,
        num_images=known.num_train,
        multiply_adds=multiply_adds,
    )
    return f"{networks}, {epochs} epochs; {seconds_text(seconds)}"


def _multiply_adds(layers: Layers, shape: tuple[int, int, int]) -> int:
    """Return those of an image, but for the last layer's, which come from the target."""
    parsed = TypeAdapter(tuple[AnyLayer, ...]).validate_python(tuple(layers[:-1]), strict=False)
    return sum(layer.multiply_adds for layer in plan_layers(parsed, shape))


def _comments(known: KnownRows, seen: SeenImages, layers: Layers) -> dict[KeyPath, str]:
    height, width = seen.size
    about_colours = ", without colours." if seen.are_grey else "."
    comments: dict[KeyPath, str] = {
        ("data", "images"): f"The median image has {height}×{width} pixels{about_colours}",
        ("model", "layers"): "Small filters look at neighbouring pixels all over the image; pooling"
        " halves the sides while the channels double, so that later layers see larger parts.",
        ("model", "layers", len(layers) - 1): OUTPUT_LAYER,
        ("optimizer", "weight_decay"): "Keeps the weights from growing needlessly.",
        ("schedule",): "Up to lr within a tenth of the epochs, then down to 0.",
        (
            "training",
            "epochs",
        ): "Fewer where there are more images; training takes as long.",
        **_comments_by_task(known, layers),
    }
    if _is_watched(known):
        comments["training", "early_stopping"] = (
            "Training never stops early, as late epochs are the best; the best weights are kept."
        )
    if known.num_folds is not None:
        comments["folds",] = (
            "Each image is held out from one network, which keeps its best epoch by these; "
            f"predictions are the mean of all {known.num_folds}."
        )
    elif known.why_no_folds:
        comments["training",] = f"A single network, without folds: {known.why_no_folds}."
    return comments


def _comments_by_task(known: KnownRows, layers: Layers) -> dict[KeyPath, str]:
    if known.seen.task == "regression":
        return {
            ("model", "layers", len(layers) - 4): "Keeps where in the image something is.",
            ("training", "augment"): "Colours alone, as the number may be a place or a size: add "
            "{type: rotation}, {type: scale}, {type: shift}, {type: flip} where these leave it as "
            "it is.",
        }
    return {
        ("loss",): "Labels are smoothed, so that few images are not memorised.",
        ("training", "augment"): "Each epoch sees every image changed a little, anew. Add {type: "
        "flip} where a mirror image means the same, which isn't so for text.",
    }
