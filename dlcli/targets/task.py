"""The kinds of prediction problems."""

from typing import Literal

# Of one target.
Task = Literal["binary", "multiclass", "multilabel", "ordinal", "regression", "forecast"]
AnyTask = Task | Literal["several"]  # several: of several targets, each with a task of its own


def a_target(task: AnyTask) -> str:
    """Return "a regression target", and the like."""
    return f"{'an' if task[0] in 'aeiou' else 'a'} {task} target"


def is_of_numbers(task: AnyTask) -> bool:
    """Say whether numbers are predicted, not classes."""
    return task in ("regression", "forecast")
