"""The rules of `dlcli init --effort quick`: a small network that trains in seconds.

The rules were chosen on other seeds than those of `benchmarks/init.py`.
"""

import math
from collections.abc import Sequence

from dlcli.errors import counted
from dlcli.layers.activations import ActivationName
from dlcli.runs.drafting.recipe import KnownRows, Layers, Recipe
from dlcli.runs.drafting.small_networks import SmallNetwork, batch_size_for, to_recipe

_TINY = 50  # training rows of a regression
_SMALL = 1_000  # rows
_LARGE = 20_000
_HUGE = 200_000
_SCARCE = 50  # training rows per input of the network
_SMALL_STEPS = 1_000


def quick_shares(num_rows: int) -> tuple[dict[str, float], str]:
    """Return the fractions of validation and test rows, and the reason."""
    if num_rows < _SMALL:
        return {"test": 0.2}, (
            f"A fifth of the rows test the result. With fewer than {_SMALL:,} rows, each is worth "
            "more for training than for validation; a fixed number of steps with a decreasing "
            "learning rate replaces early stopping."
        )
    share = 0.1 if num_rows >= _HUGE else 0.2
    return {"validation": min(0.15, share), "test": share}, (
        "The validation rows choose the best epoch and stop training; the test rows are used once, "
        "at the end."
    )


def quick_recipe(known: KnownRows) -> Recipe:
    """Choose a small network by the number of training rows, the inputs and the task."""
    return to_recipe(_small_network(known))


def _small_network(known: KnownRows) -> SmallNetwork:
    if known.has_validation:
        return _for_many(known.num_train)
    if known.seen.task == "regression" and known.num_train < _TINY:
        return _for_tiny(known.num_train)
    return _for_small(known.num_train, known.num_inputs)


def _for_tiny(num_train: int) -> SmallNetwork:
    return SmallNetwork(
        layers=_dense_layers([32], dropout=0.5, activation="tanh"),
        why_layers=f"{num_train} training rows hardly show more than a straight line: one hidden "
        "layer with a smooth activation, and dropout of one half.",
        lr=0.01,
        weight_decay=3.0,
        why_weight_decay="Strong: it draws weights towards zero, and so predictions towards the "
        "mean, which suits so few rows.",
        batch_size=16,
        epochs=100,
        why_epochs="A few hundred steps in total.",
        patience=None,
    )


def _for_small(num_train: int, num_inputs: int) -> SmallNetwork:
    per_input = num_train / num_inputs
    each = "the only input" if num_inputs == 1 else f"each of the {num_inputs} inputs"
    rows = counted(round(per_input), "training row")
    there = f"There {'is' if rows.startswith('1 ') else 'are'} {rows} for {each}"
    if per_input < _SCARCE:
        layers = _dense_layers([32], dropout=0.5)
        why_layers = (
            f"{there}, which is few: one small hidden layer, with dropout of one half against "
            "overfitting."
        )
    else:
        layers = _dense_layers([32, 16], dropout=0.1)
        why_layers = f"{there}: enough for two small hidden layers and little dropout."
    return SmallNetwork(
        layers=layers,
        why_layers=why_layers,
        lr=0.01,
        weight_decay=0.3,
        why_weight_decay="Keeps the weights small, which suits few rows.",
        batch_size=16,
        epochs=max(20, round(_SMALL_STEPS / math.ceil(num_train / 16))),
        why_epochs=f"About {_SMALL_STEPS:,} steps in total, whatever the number of rows.",
        patience=None,
    )


def _for_many(num_train: int) -> SmallNetwork:
    large = num_train >= _LARGE
    dropout = 0.1 if large else 0.2
    return SmallNetwork(
        layers=_dense_layers([256, 128] if large else [128, 64], dropout=dropout),
        why_layers=f"{num_train:,} training rows suffice for two hidden layers, little dropout.",
        lr=0.002 if large else 0.005,
        weight_decay=0.1,
        why_weight_decay="Keeps the weights from growing needlessly.",
        batch_size=batch_size_for(num_train),
        epochs=30 if large else 60,
        why_epochs="The maximum: early stopping ends training once it no longer helps.",
        patience=10 if large else 20,
    )


def _dense_layers(
    units: Sequence[int], *, dropout: float, activation: ActivationName = "relu"
) -> Layers:
    hidden: Layers = []
    for number in units:
        hidden.append({"type": "dense", "units": number, "activation": activation})
        hidden.append({"type": "dropout", "rate": dropout})
    return [*hidden, {"type": "dense"}]
