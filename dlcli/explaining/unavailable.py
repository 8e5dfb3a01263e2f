"""What stands where something can't be shown."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Unavailable:
    """It is not there, and why: the end of a sentence that says so."""

    reason: str
