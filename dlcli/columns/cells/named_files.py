"""Cells that name image files: which of the files can't be used, by their headers."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path

import polars as pl

from dlcli.images.opening import SUFFIXES, ImageFileError, What, read_header
from dlcli.tables.table import Table

_NAME = rf"(?i)(?:{'|'.join(suffix.replace('.', '[.]') for suffix in SUFFIXES)})$"
_MAX_LISTED = 10  # files that a message names
_NUM_THREADS = 8  # that wait for the disk
_TASK_FILES = 64  # that a thread looks at in a go
_LOOKED_FOR = 100  # of the files of a table, to tell whether any is there
_NO_CELL = "missing"
_WORDS: dict[What, str] = {  # after "its cell is"
    "missing": "without a file",
    "no file": "the path of no file",
    "unreadable": "the path of a file that can't be read",
    "empty": "the path of an empty file",
    "no image": "the path of a file that is no image",
    "too large": "the path of an image that is too large",
    "damaged": "the path of a damaged image",
}


@dataclass(frozen=True)
class UnusableFile:
    """A cell without a file that can be used."""

    number: int  # of its row
    cell: str | None  # None: it is missing
    what: str  # of a few sorts, after "the cell is"
    reason: str  # with all that is known


@dataclass(frozen=True)
class NamedFiles:
    """The files that the cells of a column name."""

    num_named: int = 0  # cells that end as the names of images do
    num_there: int = 0
    unusable: tuple[UnusableFile, ...] = ()  # the first of them, in the order of their rows
    sorts: Counter[str] = field(default_factory=Counter)  # how many of them are what

    @classmethod
    def of_one(cls, file: UnusableFile) -> "NamedFiles":
        """Return what a single unusable file adds."""
        return cls(unusable=(file,), sorts=Counter([file.what]))

    @property
    def num_unusable(self) -> int:
        """The cells without a file that can be used."""
        return self.sorts.total()

    @property
    def summary(self) -> str:
        """How many of the unusable files are what."""
        words = (
            f"{count:,} {'is' if count == 1 else 'are'} {what}"
            for what, count in self.sorts.items()
        )
        return ", ".join(words)

    def __add__(self, other: "NamedFiles") -> "NamedFiles":
        both = sorted((*self.unusable, *other.unusable), key=lambda file: file.number)
        return NamedFiles(
            self.num_named + other.num_named,
            self.num_there + other.num_there,
            tuple(both[:_MAX_LISTED]),
            self.sorts + other.sorts,
        )


def files_in(cells: pl.Series, rows: Table, *, are_images: bool) -> NamedFiles | None:
    """Return the files that text names, null where missing; their headers are read.

    Unless it is known that they `are_images`: None where a cell doesn't end as images' names do,
    and where none of the files is there, the headers are not looked for.
    """
    num_named = int(cells.str.contains(_NAME).sum())
    if are_images:
        return look_at_files(cells, rows)
    if num_named < len(cells) - cells.null_count():
        return None
    first = list(islice(filter(None, paths_of(cells, rows)), _LOOKED_FOR))
    if any(path.is_file() for path in first):
        return look_at_files(cells, rows)
    return NamedFiles(num_named)


def may_name_images(cells: pl.Series, rows: Table) -> bool:
    """Say whether cells, null where missing, all name images, and some of the first are there."""
    if cells.dtype != pl.String or cells.null_count() == len(cells):
        return False
    found = files_in(cells.head(_LOOKED_FOR), rows, are_images=False)
    return found is not None and found.num_there > 0


def paths_of(cells: pl.Series, rows: Table) -> Iterator[Path | None]:
    """Yield the file that each cell names, relative to the folder of its row's file."""
    for cell, number in zip(cells, rows.numbers.tolist(), strict=False):
        yield None if cell is None else rows.folder_of(number) / str(cell)


def look_at_files(cells: pl.Series, rows: Table) -> NamedFiles:
    """Read the header of each file that is named in cells, null where missing."""
    from concurrent.futures import ThreadPoolExecutor  # few commands need it

    with ThreadPoolExecutor(_NUM_THREADS, thread_name_prefix="headers") as threads:
        paths = list(paths_of(cells, rows))
        some = [paths[first : first + _TASK_FILES] for first in range(0, len(paths), _TASK_FILES)]
        found = list(chain.from_iterable(threads.map(_problems, some)))
    unusable = [
        unusable_file(cells[row], int(rows.numbers[row]), problem)
        for row, problem in enumerate(found)
        if problem is not None or cells[row] is None
    ]
    sorts = Counter(file.what for file in unusable)
    num_there = len(found) - sorts[_NO_CELL] - sorts[_WORDS["missing"]]
    num_named = int(cells.cast(pl.String).str.contains(_NAME).sum())
    return NamedFiles(num_named, num_there, tuple(unusable[:_MAX_LISTED]), sorts)


def unusable_file(cell: object, number: int, problem: ImageFileError | None) -> UnusableFile:
    """Return what is wrong with a cell: that it is missing, or its file."""
    if problem is None:
        return UnusableFile(number, None, _NO_CELL, "the cell is empty")
    return UnusableFile(number, str(cell), _WORDS[problem.what], str(problem))


def _problems(paths: Iterable[Path | None]) -> list[ImageFileError | None]:
    return [_problem(path) for path in paths]


def _problem(path: Path | None) -> ImageFileError | None:
    if path is None:
        return None
    try:
        read_header(path)
    except ImageFileError as error:
        return error
    return None
