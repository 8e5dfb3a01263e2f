"""Small networks with AdamW and a cosine schedule: what the rules for them choose."""

from dataclasses import dataclass
from typing import Any

from dlcli.config.text.parsing import KeyPath
from dlcli.runs.drafting.recipe import Layers, Recipe

OUTPUT_LAYER = "Its units come from the target."


@dataclass(frozen=True)
class SmallNetwork:
    """Values of a config and their reasons."""

    layers: Layers
    why_layers: str
    lr: float
    weight_decay: float
    why_weight_decay: str
    batch_size: int
    epochs: int
    why_epochs: str
    patience: int | None  # of early stopping; None: there are no validation rows


def to_recipe(chosen: SmallNetwork) -> Recipe:
    """Return the sections that say it."""
    training: dict[str, Any] = {"batch_size": chosen.batch_size, "epochs": chosen.epochs}
    if chosen.patience is not None:
        training["early_stopping"] = {"patience": chosen.patience}
    comments: dict[KeyPath, str] = {
        ("model", "layers"): chosen.why_layers,
        ("model", "layers", len(chosen.layers) - 1): OUTPUT_LAYER,
        ("optimizer", "weight_decay"): chosen.why_weight_decay,
        (
            "schedule",
        ): "From lr down to 0 over all epochs: large steps first, small ones at the end.",
        ("training", "epochs"): chosen.why_epochs,
    }
    sections = {
        "optimizer": {"type": "adamw", "lr": chosen.lr, "weight_decay": chosen.weight_decay},
        "schedule": {"type": "cosine"},
        "training": training,
    }
    outlook = f"one network, {chosen.epochs} epochs at most"
    return Recipe(chosen.layers, sections, comments, outlook)


def batch_size_for(num_train: int) -> int:
    """Return a power of two from 32 to 1,024, with at least 50 batches per epoch if possible."""
    return next((size for size in (1024, 512, 256, 128, 64) if size * 50 <= num_train), 32)
