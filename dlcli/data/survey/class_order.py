"""Whether the classes of a target may have an order."""

import polars as pl

from dlcli.targets.task import Task

_MIN_CLASSES = 3
_WHOLE = r"^-?[0-9]+$"
# Words of which two or more among the classes say that they are steps of a scale.
_STEPS = [
    *("none", "never", "rarely", "sometimes", "often", "usually", "always"),
    *("tiny", "small", "medium", "large", "huge", "low", "moderate", "middle", "high"),
    *("minimal", "mild", "severe", "critical", "cold", "warm", "hot", "slow", "fast"),
    *("terrible", "bad", "poor", "fair", "average", "good", "great", "excellent", "fail", "pass"),
    *("beginner", "intermediate", "advanced", "expert", "bronze", "silver", "gold", "platinum"),
]


def order_hint(labels: pl.Series, task: Task) -> str | None:
    """Return a sentence for a config whose classes may have an order; None where nothing says so.

    `labels` are those of the rows, null where missing.
    """
    different = labels.drop_nulls().unique().sort()
    if task != "multiclass" or len(different) < _MIN_CLASSES:
        return None
    if different.str.contains(_WHOLE).all():
        return "Where the numbers are steps of a scale, set task: ordinal and loss: corn."
    words = different.str.to_lowercase().str.replace_all("[_ -]+", " ")
    known = words.str.split(" ").list.eval(pl.element().is_in(_STEPS)).list.any()
    if known.sum() < 2:
        return None
    return (
        f"Where the classes are steps of a scale, set task: ordinal, loss: corn and, from the "
        f"lowest to the highest, order: [{', '.join(different)}]."
    )
