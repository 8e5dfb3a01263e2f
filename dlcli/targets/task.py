"""The kinds of prediction problems."""

from typing import Literal

Task = Literal["binary", "multiclass", "multilabel", "ordinal", "regression", "forecast"]


def a_target(task: Task) -> str:
    """Return "a regression target", and the like."""
    return f"{'an' if task[0] in 'aeiou' else 'a'} {task} target"


def is_of_numbers(task: Task) -> bool:
    """Say whether numbers are predicted, not classes."""
    return task in ("regression", "forecast")
