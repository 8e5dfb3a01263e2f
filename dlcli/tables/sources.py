"""A path setting → the files that it names, in their order.

A setting is a file, a list of files, a pattern, or a folder of parts. Folders named `key=value`,
as Spark and pandas write them, hold a column that is in none of their files.
"""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from dlcli.errors import DataError
from dlcli.tables.formats.family import suffix_of

DataPath = str | tuple[str, ...]
STANDARD_INPUT = "-"
_WEB = re.compile(
    r"^(https?|ftps?|sftp|s3a?|gs|gcs|abfss?|az|azure|hdfs|hf|file):/+", re.IGNORECASE
)
_WILDCARDS = re.compile(r"[*?[]")
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"  # what Spark and Hive write for null
_MAX_SHOWN = 5  # files that a message names

Partition = tuple[tuple[str, str | None], ...]  # columns and their value, from folders' names


@dataclass(frozen=True)
class Part:
    """A file of a table, and what the names of its folders say of all its rows."""

    file: Path
    partition: Partition = ()

    @property
    def is_standard_input(self) -> bool:
        """Whether it is no file but what another program sends."""
        return str(self.file) == STANDARD_INPUT

    @property
    def name(self) -> str:
        """What messages call it."""
        return "standard input" if self.is_standard_input else str(self.file)


@dataclass(frozen=True)
class Source:
    """A table's files, in order."""

    name: str  # what messages call all of them
    parts: tuple[Part, ...]

    def __str__(self) -> str:
        return self.name

    @classmethod
    def of(cls, file: Path) -> "Source":
        """Return the source that is one file."""
        part = Part(file)
        return cls(part.name, (part,))

    @property
    def is_standard_input(self) -> bool:
        """Whether it is no file but what another program sends."""
        return any(part.is_standard_input for part in self.parts)

    @property
    def is_one_file(self) -> bool:
        """Whether it is a single file, whose folders' names say nothing."""
        return len(self.parts) == 1 and not self.parts[0].partition


def find_source(setting: DataPath, folder: Path = Path()) -> Source:
    """Return the files that a setting names, relative to a folder.

    A file need not be there; DataError for a pattern that matches none, a folder without parts,
    and an address on the web.
    """
    if isinstance(setting, str):
        return _one_source(setting, folder)
    sources = [_one_source(item, folder) for item in setting]
    parts = tuple(part for source in sources for part in source.parts)
    for index, part in enumerate(parts):
        if part.file in [earlier.file for earlier in parts[:index]]:
            raise DataError(f"{part.file}: listed twice, so its rows would count twice")
    return Source(setting_text([source.name for source in sources]), parts)


def _one_source(setting: str, folder: Path) -> Source:
    if setting == STANDARD_INPUT:
        return Source.of(Path(setting))
    if found := _WEB.match(setting):
        raise DataError(
            f"{setting}: an address on the web ({found[1].lower()}), which dlcli doesn't read; "
            "download it, and name the file"
        )
    path = folder / setting
    if path.is_dir():
        return Source(str(path), tuple(_refuse_none(_parts_below(path), path)))
    if _WILDCARDS.search(setting) and not path.exists():
        return Source(str(path), tuple(_matches(setting, folder)))
    return Source.of(path)


def _matches(pattern: str, folder: Path) -> Iterator[Part]:
    """Yield the files that match, by name; the folders that vary may be named `key=value`."""
    path = folder / pattern
    first = next(index for index, step in enumerate(path.parts) if _WILDCARDS.search(step))
    root = Path(*path.parts[:first])
    found = sorted(
        file
        for file in root.glob(str(Path(*path.parts[first:])))
        if not _is_hidden(file.name) and not file.is_dir()
    )
    if not found:
        there = "" if root.is_dir() else f": there is no folder {root}"
        near = sorted(file.name for file in root.iterdir()) if root.is_dir() else []
        if near:
            more = ", …" if len(near) > _MAX_SHOWN else ""
            there = f"; {root} has {', '.join(near[:_MAX_SHOWN])}{more}"
        raise DataError(f"{path}: no file matches this pattern{there}")
    for file in found:
        yield Part(file, _partition(file.relative_to(root).parts[:-1]))


def _parts_below(root: Path) -> Iterator[Part]:
    """Yield a folder's files, by name, and those in its folders that are named `key=value`."""
    keys: dict[tuple[str, ...], Path] = {}
    for file in _files_below(root):
        partition = _partition(file.relative_to(root).parts[:-1])
        keys.setdefault(tuple(key for key, _ in partition), file)
        if len(keys) > 1:
            one, other = keys.values()
            raise DataError(
                f"{root}: {one} and {other} lie in folders with different columns in their names; "
                "name the files of one table by a pattern"
            )
        yield Part(file, partition)


def _files_below(folder: Path) -> Iterator[Path]:
    for entry in sorted(folder.iterdir()):
        if _is_hidden(entry.name):
            continue
        if not entry.is_dir():
            if suffix_of(entry.name) is None:
                raise DataError(
                    f"{entry}: not a table by its name, in a folder of parts; remove it, or name "
                    f"the parts by a pattern, as in {folder}/*.csv"
                )
            yield entry
        elif "=" in entry.name:
            yield from _files_below(entry)
        else:
            raise DataError(
                f"{entry}: a folder within a folder of parts, and not named key=value; name the "
                f"parts by a pattern, as in {folder}/*/*.csv"
            )


def _refuse_none(parts: Iterable[Part], folder: Path) -> Sequence[Part]:
    found = list(parts)
    if not found:
        raise DataError(f"{folder}: a folder without files of rows")
    return found


def _partition(folders: Sequence[str]) -> Partition:
    found = []
    for name in folders:
        key, is_pair, value = name.partition("=")
        if is_pair and key:
            found.append((unquote(key), None if value == _NO_VALUE else unquote(value)))
    return tuple(found)


def _is_hidden(name: str) -> bool:
    """Say whether programs keep something for themselves there: `_SUCCESS`, `.part-0.crc`."""
    return name.startswith((".", "_"))


def moved(setting: DataPath, source: Path, destination: Path) -> DataPath:
    """Return a setting that is relative to one folder as relative to another."""
    if not isinstance(setting, str):
        return tuple(str(moved(item, source, destination)) for item in setting)
    if setting == STANDARD_INPUT or _WEB.match(setting) or Path(setting).is_absolute():
        return setting
    return os.path.relpath(source.resolve() / setting, destination.resolve())


def setting_text(setting: str | Sequence[str]) -> str:
    """Return a setting as one line names it."""
    if isinstance(setting, str):
        return setting
    more = len(setting) - 1
    return setting[0] + (f" and {more} more" if more else "")


def words_of(setting: DataPath, folder: Path) -> tuple[str, ...]:
    """Return a setting as words of a command line, relative to the working folder."""
    items = (setting,) if isinstance(setting, str) else setting
    return tuple(os.path.normpath(folder / item) for item in items)


def bytes_of(setting: DataPath, folder: Path) -> int:
    """Return the size of the files that a setting names; 0 where that can't be told."""
    try:
        files = [part.file for part in find_source(setting, folder).parts]
        return sum(file.stat().st_size for file in files if file.is_file())
    except (DataError, OSError):
        return 0


def as_setting(words: Sequence[str]) -> DataPath:
    """Return what words of a command line name as a setting."""
    return words[0] if len(words) == 1 else tuple(words)
