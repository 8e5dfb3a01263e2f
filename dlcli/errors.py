"""Errors that a user can cause, each with its exit code.

    DlcliError
    ├── ConfigError         2   usage or config
    ├── DataError           3   a data file or its content
    ├── CheckpointError     4   a run folder or checkpoint that cannot be used
    ├── DivergedError       5   a loss or gradient that is not finite
    ├── OutOfMemoryError    6   the device has too little memory
    ├── StorageError        7   reading or writing failed
    └── AssertionFailed     8   an --assert did not hold

The message says what is wrong, where, and what to do. Any other exception is a bug in dlcli (exit
code 1).
"""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar


class DlcliError(Exception):
    """An error that the user can fix."""

    exit_code: ClassVar[int]


@dataclass(frozen=True)
class Place:
    """The place of a config value: in a file, or in a `--set`."""

    source: str
    line: int | None = None  # both from 1
    column: int | None = None

    def __str__(self) -> str:
        return ":".join(str(part) for part in (self.source, self.line, self.column) if part)


@dataclass(frozen=True)
class Problem:
    """A mistake in a config, with its place."""

    place: Place
    path: str  # as in model.layers[0].units; empty for the whole config
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.path + ': ' if self.path else ''}{self.message}"


class ConfigError(DlcliError):
    """The command line or the config is wrong; several problems are listed line by line."""

    exit_code = 2

    def __init__(self, *problems: Problem | str) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(item for item in problems if isinstance(item, Problem))


class DataError(DlcliError):
    """The data cannot be used."""

    exit_code = 3


class CheckpointError(DlcliError):
    """The run folder or checkpoint cannot be used."""

    exit_code = 4


class DivergedError(DlcliError):
    """A loss or a gradient is not finite."""

    exit_code = 5


class OutOfMemoryError(DlcliError):
    """The device has too little memory."""

    exit_code = 6


class StorageError(DlcliError):
    """Reading or writing failed."""

    exit_code = 7


class AssertionFailed(DlcliError):  # noqa: N818 - the name of what happened
    """A metric of the summary doesn't satisfy an --assert."""

    exit_code = 8


def counted(count: int, noun: str) -> str:
    """Return a number with its noun: `1 row`, `1,000 rows`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def are(count: int) -> str:
    """Return the verb for so many: `is`, `are`."""
    return "is" if count == 1 else "are"


def suggest(name: str, known: Iterable[str], *, likeness: float = 0.6) -> str:
    """Return ``"; did you mean 'x'?"`` for the nearest known name, or an empty string.

    `likeness`: of a name that is near enough, from 0 to 1.
    """
    found = nearest(name, known, likeness=likeness)
    return f"; did you mean '{found}'?" if found else ""


def nearest(name: str, known: Iterable[str], *, likeness: float) -> str | None:
    """Return the nearest known name, None where none is near enough."""
    by_lower = {other.lower(): other for other in known}
    matches = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=likeness)
    return by_lower[matches[0]] if matches else None
