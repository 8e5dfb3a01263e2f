"""The rules for texts, alone or beside the columns of a table; the same at every effort but quick.

They were chosen among a few networks that were tried on text messages; `python -m benchmarks.texts`
measures what they reach.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dlcli.config.text.parsing import KeyPath
from dlcli.data.survey.texts import SeenText
from dlcli.runs.drafting.recipe import KnownRows, Layers, Recipe
from dlcli.runs.drafting.small_networks import OUTPUT_LAYER
from dlcli.texts.family import TokenizerType

_FOLDS, _MAX_ROWS_FOLDED = 5, 25_000  # above, a single network
_RARE = 3.0  # times as many rows has the most frequent class: rarer ones count for more


@dataclass(frozen=True)
class _Rules:
    """What differs between words and characters."""

    embedding: int
    reading: Layers  # what reads the vectors of tokens, position by position
    why: str
    dropout: float
    lr: float
    batch_size: int
    passes: int  # of a row through the network, over all epochs
    max_epochs: int


_WORDS = _Rules(
    embedding=128,
    reading=[
        {
            "type": "residual",
            "layers": [
                {"type": "conv1d", "out_channels": 128, "kernel_size": 3, "padding": "same"},
                {"type": "activation", "activation": "relu"},
            ],
        },
    ],
    why="Each word is a vector, to which filters over three words in a row add phrases.",
    dropout=0.5,
    lr=0.003,
    batch_size=32,
    passes=25_000,
    max_epochs=30,
)
_CHARACTERS = _Rules(
    embedding=48,
    reading=[{"type": "gru", "units": 128, "bidirectional": True, "returns": "sequence"}],
    why="Each character is a vector; a GRU reads them forwards and backwards.",
    dropout=0.4,
    lr=0.004,
    batch_size=128,
    passes=200_000,
    max_epochs=40,
)
_MIN_EPOCHS = 4
JOINED = "What is read from them, side by side."
TEXT_SETTINGS = "Lower case; words or characters that occur once are unknown ones."


def text_folds(num_rows: int) -> int | None:
    """Return how many folds texts are cut into; None: a single network."""
    return _FOLDS if num_rows <= _MAX_ROWS_FOLDED else None


def recipe_for_texts(known: KnownRows) -> Recipe:
    """Return a network that reads texts, beside a dense one for the columns of a table."""
    texts = {name: text.tokens for name, text in known.seen.texts.items()}
    branches = {name: text_branch(tokens) for name, tokens in texts.items()}
    rules = _rules(next(iter(texts.values())))
    last: Layers = [{"type": "dropout", "rate": rules.dropout}, {"type": "dense"}]
    comments: dict[KeyPath, str] = {}
    inputs: dict[str, Any] = {}
    if len(branches) == 1 and not known.has_table:
        layers = [*next(iter(branches.values())), *last]
        comments["model", "layers"] = _why(rules)
    else:
        layers = [{"type": "dense", "units": 64, "activation": "relu"}, *last]
        inputs = {name: {"layers": branch} for name, branch in branches.items()}
        if known.has_table:
            inputs["table"] = {"layers": table_branch()}
        comments["model", "inputs"] = "Layers for each text, and for all other columns."
        comments["model", "layers"] = JOINED
        comments |= comments_on_inputs(known)
    comments["model", "layers", len(layers) - 1] = OUTPUT_LAYER
    epochs = max(_MIN_EPOCHS, min(rules.max_epochs, round(rules.passes / known.num_train)))
    training: dict[str, Any] = {"batch_size": rules.batch_size, "epochs": epochs}
    if known.has_validation or known.num_folds is not None:
        training["early_stopping"] = {"patience": epochs}
        comments["training", "early_stopping"] = (
            "Training never stops early; the weights of the best epoch are kept."
        )
    comments["training", "epochs"] = "Fewer where there are more rows; training takes as long."
    comments["schedule",] = "Up to lr within the first epoch, then down to 0."
    comments["data", "text"] = TEXT_SETTINGS
    sections: dict[str, Any] = {
        **_loss(known, comments),
        "optimizer": {"type": "adamw", "lr": rules.lr, "weight_decay": 0.02},
        "schedule": {"type": "cosine", "warmup_epochs": 1},
        "training": training,
    }
    networks = "one network"
    if known.num_folds is not None:
        sections["folds"] = known.num_folds
        networks = f"{known.num_folds} networks by cross-validation"
        comments["folds",] = (
            "Each row is held out from one network, which keeps its best epoch by these rows; "
            f"predictions are the mean of all {known.num_folds}."
        )
    return Recipe(
        layers,
        sections,
        comments,
        outlook=f"{networks}, {epochs} epochs",
        inputs=inputs,
    )


def _rules(tokens: TokenizerType) -> _Rules:
    return _WORDS if tokens == "words" else _CHARACTERS


def comments_on_inputs(known: KnownRows) -> dict[KeyPath, str]:
    """Return why the inputs of texts, and of the columns beside them, have their layers."""
    whys = {name: _why(_rules(text.tokens)) for name, text in known.seen.texts.items()}
    if known.has_table:
        whys["table"] = "All columns without layers of their own, side by side."
    return {("model", "inputs", name, "layers", 0): why for name, why in whys.items()}


def _why(rules: _Rules) -> str:
    return f"{rules.why} What matters most, wherever it stands, is what pool_time keeps."


def text_branch(tokens: TokenizerType) -> Layers:
    """Return the layers that make features of a text."""
    rules = _rules(tokens)
    return [
        {"type": "embedding", "dim": rules.embedding},
        {"type": "dropout", "rate": 0.1},
        *rules.reading,
        {"type": "pool_time", "pool": "max"},
    ]


def table_branch() -> Layers:
    """Return the layers for all columns that are neither texts nor images."""
    return [
        {"type": "dense", "units": 64, "activation": "relu"},
        {"type": "dropout", "rate": 0.1},
    ]


def text_section(texts: Mapping[str, SeenText]) -> dict[str, Any]:
    """Return `data.text`: the tokens of the first text, and others by column."""
    usual = next(iter(texts.values())).tokens
    others = {name: {"tokens": one.tokens} for name, one in texts.items() if one.tokens != usual}
    return {"tokens": usual, **({"columns": others} if others else {})}


def _loss(known: KnownRows, comments: dict[KeyPath, str]) -> dict[str, Any]:
    """Return the loss, in which rows of rare classes count for more."""
    counts = known.class_counts
    if not counts or max(counts.values()) < _RARE * min(counts.values()):
        return {}
    if len(counts) == 2:
        comments["loss",] = "Both classes count alike, however many rows they have."
        return {"loss": {"type": "binary_cross_entropy", "class_weights": "balanced"}}
    comments["loss",] = "Rows of rare classes count for more, by the cube root of their share."
    mean = sum(counts.values()) / len(counts)
    weights = {name: round((mean / count) ** (1 / 3), 2) for name, count in counts.items()}
    return {"loss": {"type": "cross_entropy", "class_weights": weights}}
