"""The reason why a result can't be shown."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Unavailable:
    """The reason why a result can't be shown; ends a sentence."""

    reason: str
