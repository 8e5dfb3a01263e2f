"""What is said, in a config or by options, about how text files are written."""

import json
import shlex
from dataclasses import dataclass
from typing import Literal

TEXT_KEYS = (  # of a config's `data`: what it says about how text files are written
    *("separator", "decimal", "thousands", "encoding", "quote"),
    *("header", "names", "date_formats"),
)


@dataclass(frozen=True)
class PlacedColumns:
    """The columns of training files that are named by their place: column_1 and so on."""

    count: int
    targets: tuple[str, ...]


@dataclass(frozen=True)
class TextFormat:
    """How text files are written, as far as that is said; None: recognised in each file."""

    separator: str | None = None
    decimal: str | None = None
    thousands: str | None = None  # "": numbers are not grouped
    encoding: str | None = None
    quote: str | None = None  # "": quotation marks are text
    header: bool | None = None  # whether the first line names the columns
    names: tuple[str, ...] | None = None  # of the columns of a file without a header line
    date_formats: tuple[str, ...] | None = None  # beside ISO 8601, tried in this order
    missing_values: tuple[str, ...] = ()  # cells that say nothing about how others are written
    labels: frozenset[str] = frozenset()  # columns of labels, neither numbers nor dates
    placed: PlacedColumns | None = None  # of the training files, where they had no names
    said_by: Literal["config", "option"] = "config"

    def setting(self, key: str, value: object) -> str:
        """Return how to say so: `data.decimal: ","`, or an option that a shell understands."""
        text = json.dumps(value, ensure_ascii=False)  # which is YAML, too
        if self.said_by == "config":
            return f"data.{key}: {text}"
        return f"--set {shlex.quote(f'data.{key}={text}')}"

    def advice(self, key: str, *values: object) -> str:
        """Return the advice to say one of some values."""
        verb = "set" if self.said_by == "config" else "use"
        return f"{verb} {' or '.join(self.setting(key, value) for value in values)}"


PLAIN_TEXT = TextFormat()
