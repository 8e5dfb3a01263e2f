"""The network and the training that suit a table, each choice with its reason.

The rules were found on other seeds than those that `benchmarks/init.py` judges them by.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dlcli.config.layers import Activation
from dlcli.data.survey.survey import Survey

_TINY = 50  # training rows of a regression
_SMALL = 1_000  # rows
_LARGE = 20_000
_HUGE = 200_000
_SCARCE = 50  # training rows for each number that the network is given
_SMALL_STEPS = 1_000
_LARGEST_LAST_MAP = 7  # pixels, the side of what is left of an image

Layers = list[dict[str, Any]]


@dataclass(frozen=True)
class Recipe:
    """Values of a config, and why they are what they are."""

    layers: Layers
    why_layers: str
    lr: float
    weight_decay: float
    why_weight_decay: str
    batch_size: int
    epochs: int
    why_epochs: str
    patience: int | None  # of early stopping; None: no rows are held out for it


def choose_shares(num_rows: int) -> tuple[dict[str, float], str]:
    """Return the shares of the rows to hold out, and why."""
    if num_rows < _SMALL:
        return {"test": 0.2}, (
            "A fifth of the rows judge the result. None are held out to watch training: of fewer "
            f"than {_SMALL:,}, each is worth more as a teacher, and a set number of steps with a "
            "falling learning rate stands in for early stopping."
        )
    share = 0.1 if num_rows >= _HUGE else 0.2
    return {"validation": min(0.15, share), "test": share}, (
        "The validation rows say which epoch is the best and when to stop; the test rows are "
        "looked at once, at the end."
    )


def choose_recipe(num_train: int, num_inputs: int, seen: Survey, *, watched: bool) -> Recipe:
    """Choose by the number of training rows, of numbers a row, and what was seen.

    `watched` says whether there are validation rows.
    """
    if seen.grid is not None:
        return _for_images(num_train, seen.grid, watched=watched)
    if watched:
        return _for_many(num_train)
    if seen.task == "regression" and num_train < _TINY:
        return _for_tiny(num_train)
    return _for_small(num_train, num_inputs)


def _for_tiny(num_train: int) -> Recipe:
    return Recipe(
        layers=_dense_layers([32], dropout=0.5, activation="tanh"),
        why_layers=f"{num_train} training rows show hardly more than a straight line: one hidden "
        "layer, smooth, half of it dropped at random in each step.",
        lr=0.01,
        weight_decay=3.0,
        why_weight_decay="A strong pull towards zero, and so towards the mean as the answer: so "
        "few rows are not to be trusted far.",
        batch_size=16,
        epochs=100,
        why_epochs="A few hundred steps in all.",
        patience=None,
    )


def _for_small(num_train: int, num_inputs: int) -> Recipe:
    per_input = num_train / num_inputs
    counted = f"{per_input:.0f} training rows for each of the {num_inputs} numbers in a row"
    if per_input < _SCARCE:
        layers = _dense_layers([32], dropout=0.5)
        why_layers = (
            f"There are {counted}, which is few: one small hidden layer, half of it dropped at "
            "random in each step, so that no unit learns a row by heart."
        )
    else:
        layers = _dense_layers([32, 16], dropout=0.1)
        why_layers = f"There are {counted}: enough for two small hidden layers and little dropout."
    return Recipe(
        layers=layers,
        why_layers=why_layers,
        lr=0.01,
        weight_decay=0.3,
        why_weight_decay="Keeps the weights small, as suits few rows.",
        batch_size=16,
        epochs=max(20, round(_SMALL_STEPS / math.ceil(num_train / 16))),
        why_epochs=f"About {_SMALL_STEPS:,} steps in all, whatever the number of rows.",
        patience=None,
    )


def _for_many(num_train: int) -> Recipe:
    large = num_train >= _LARGE
    dropout = 0.1 if large else 0.2
    return Recipe(
        layers=_dense_layers([256, 128] if large else [128, 64], dropout=dropout),
        why_layers=f"{num_train:,} training rows feed two hidden layers and need little dropout.",
        lr=0.002 if large else 0.005,
        weight_decay=0.1,
        why_weight_decay="Keeps the weights from growing without need.",
        batch_size=_batch_size(num_train),
        epochs=30 if large else 60,
        why_epochs="At most: early stopping ends training once nothing is gained any more.",
        patience=10 if large else 20,
    )


def _for_images(num_train: int, grid: tuple[int, int], *, watched: bool) -> Recipe:
    layers: Layers = []
    side, channels = min(grid), 32
    layers += _convolution(channels)
    while True:
        layers += _convolution(2 * channels)
        layers.append({"type": "max_pool2d", "kernel_size": 2})
        side, channels = side // 2, 2 * channels
        if side <= _LARGEST_LAST_MAP:
            break
    batch_size = _batch_size(num_train)
    while num_train % batch_size == 1:  # batch norm can't take the variance of one row
        batch_size += 1
    return Recipe(
        layers=[
            *layers,
            {"type": "dropout", "rate": 0.25},
            {"type": "flatten"},
            {"type": "dense", "units": 128, "activation": "relu"},
            {"type": "dropout", "rate": 0.5},
            {"type": "dense"},
        ],
        why_layers="Small filters look at neighbouring pixels, wherever in the image they are; "
        "pooling halves the sides; two dense layers decide.",
        lr=0.002,
        weight_decay=0.05,
        why_weight_decay="Keeps the weights from growing without need.",
        batch_size=batch_size,
        epochs=30,
        why_epochs="The learning rate has fallen to nothing by then.",
        patience=15 if watched else None,
    )


def _convolution(channels: int) -> Layers:
    return [
        {"type": "conv2d", "out_channels": channels, "kernel_size": 3, "padding": "same"},
        {"type": "batch_norm"},
        {"type": "activation", "activation": "relu"},
    ]


def _dense_layers(
    units: Sequence[int], *, dropout: float, activation: Activation = "relu"
) -> Layers:
    hidden: Layers = []
    for number in units:
        hidden.append({"type": "dense", "units": number, "activation": activation})
        hidden.append({"type": "dropout", "rate": dropout})
    return [*hidden, {"type": "dense"}]


def _batch_size(num_train: int) -> int:
    """Return a power of two from 32 to 1,024: 50 batches an epoch or more where rows allow."""
    return next((size for size in (1024, 512, 256, 128, 64) if size * 50 <= num_train), 32)
