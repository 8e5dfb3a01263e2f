"""Every error that a user can cause, each with the exit code of its kind.

    DlcliError
    ├── ConfigError         2   usage or config
    ├── DataError           3   a data file, or what stands in it
    ├── CheckpointError     4   a run folder or checkpoint that cannot be used
    ├── DivergedError       5   a loss or gradient that is not finite
    ├── OutOfMemoryError    6   the device has too little memory
    ├── StorageError        7   reading or writing failed
    └── AssertionFailed     8   an --assert did not hold

The message says what is wrong, where, and what to do. Anything else that is raised is a bug in
dlcli (exit code 1).
"""

import difflib
from collections.abc import Iterable
from typing import ClassVar


class DlcliError(Exception):
    """Something that the user can put right."""

    exit_code: ClassVar[int]


class ConfigError(DlcliError):
    """The command line or the config is wrong."""

    exit_code = 2


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


class AssertionFailed(DlcliError):  # noqa: N818 - it is a failed assertion
    """A figure of the summary is not what --assert asks for."""

    exit_code = 8


def suggest(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the nearest known name, or nothing."""
    matches = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean '{matches[0]}'?" if matches else ""
