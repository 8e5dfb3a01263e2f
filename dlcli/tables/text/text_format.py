"""What a config says about how text files are written."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TextFormat:
    """How text files are written, as far as that is said."""

    separator: str = ","


PLAIN_TEXT = TextFormat()
