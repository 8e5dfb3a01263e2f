"""A path setting → the files that it names, in their order.

A setting is a file, a list of files, a pattern, a folder of parts, or a folder of images. Folders
of parts named `key=value`, as Spark and pandas write them, hold a column that is in none of their
files.
"""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Protocol
from urllib.parse import unquote

from dlcli.errors import DataError
from dlcli.images.folders import has_image_suffix, has_images
from dlcli.tables.databases import address
from dlcli.tables.databases.query import Query
from dlcli.tables.formats.family import suffix_of
from dlcli.tables.image_files import ImageFiles, relative_files
from dlcli.tables.names import normalise_name

DataPath = str | tuple[str, ...]
STANDARD_INPUT = "-"
_ADDRESS = re.compile(r"^([a-z][a-z0-9+.-]+)://", re.IGNORECASE)
_WEB = ("http", "https", "ftp", "ftps", "sftp", "s3", "s3a", "gs", "gcs", "abfs", "abfss", "hf")
_WILDCARDS = re.compile(r"[*?[]")
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"  # what Spark and Hive write for null
_MAX_SHOWN = 5  # files that a message names

Partition = tuple[tuple[str, str | None], ...]  # columns and their value, from folders' names


@dataclass(frozen=True)
class Selection:
    """What is read of files that hold several tables."""

    query: str | None = None  # to a database
    sheet: str | None = None  # of a workbook; None: the only one with rows

    def over(self, other: "Selection") -> "Selection":
        """Return the same, and what the other says where this one says nothing."""
        return Selection(self.query or other.query, self.sheet or other.sheet)


EVERYTHING = Selection()


class MadeRows(Protocol):
    """Rows that are no file's, but made of a database or of files' names."""

    settings: ClassVar[tuple[str, ...]]  # keys of a config's `data` that say which

    @property
    def name(self) -> str:
        """What messages call them."""

    def file(self) -> Path:
        """Return an Arrow file with the rows; DataError where they can't be made."""

    def checksum(self) -> str:
        """Return the SHA-256 of all that the rows stand for."""


@dataclass(frozen=True)
class Part:
    """A file of a table, and what the names of its folders say of all its rows."""

    file: Path
    partition: Partition = ()
    sheet: str | None = None
    made: MadeRows | None = None  # the rows that are meant, not the file's bytes

    @property
    def is_standard_input(self) -> bool:
        """Whether it is no file but what another program sends."""
        return str(self.file) == STANDARD_INPUT

    @property
    def name(self) -> str:
        """What messages call it."""
        if self.made is not None:
            return self.made.name
        return "standard input" if self.is_standard_input else str(self.file)

    @property
    def images(self) -> ImageFiles | None:
        """The images that its rows stand for, if they do."""
        return self.made if isinstance(self.made, ImageFiles) else None

    @property
    def folder(self) -> Path:
        """What paths in its cells are relative to."""
        return self.file.parent if self.images is None else self.images.root

    def path(self) -> Path:
        """Return the file with its rows; of those that are made, which they are then, a copy."""
        return self.file if self.made is None else self.made.file()


@dataclass(frozen=True)
class Source:
    """A table's files, in order."""

    name: str  # what messages call all of them
    parts: tuple[Part, ...]

    def __str__(self) -> str:
        return self.name

    @classmethod
    def of(cls, file: Path, sheet: str | None = None) -> "Source":
        """Return the source that is one file."""
        part = Part(file, sheet=sheet)
        return cls(part.name, (part,))

    @property
    def is_standard_input(self) -> bool:
        """Whether it is no file but what another program sends."""
        return any(part.is_standard_input for part in self.parts)

    def with_image_column(self, name: str) -> "Source":
        """Return the source with a name for the column of images, if it consists of images."""
        images = self.parts[0].images
        if images is None:
            return self
        made = ImageFiles(images.root, images.files, name)
        return replace(self, parts=(replace(self.parts[0], made=made),))

    @property
    def is_one_file(self) -> bool:
        """Whether it is a single file, whose folders' names say nothing."""
        return len(self.parts) == 1 and not self.parts[0].partition


def find_source(
    setting: DataPath, folder: Path = Path(), selection: Selection = EVERYTHING
) -> Source:
    """Return the files that a setting names, relative to a folder, and what is read of them.

    A file need not be there; DataError for a pattern that matches none, a folder without parts,
    an address on the web, and a database without a query.
    """
    if isinstance(setting, str):
        return _one_source(setting, folder, selection)
    if all(map(_is_image_file, setting)):
        files = [folder / item for item in setting]
        return Source(setting_text(setting), (_images(files, folder),))
    sources = [_one_source(item, folder, selection) for item in setting]
    parts = tuple(part for source in sources for part in source.parts)
    seen = [part.file.resolve() for part in parts]
    for index, part in enumerate(parts):
        if not isinstance(part.made, Query) and part.file.resolve() in seen[:index]:
            raise DataError(f"{part.file}: listed twice, so its rows would count twice")
    return Source(setting_text([source.name for source in sources]), parts)


def _one_source(setting: str, folder: Path, selection: Selection) -> Source:
    setting = address.fill_in(setting)
    if not setting.strip():  # as of a variable that isn't set: the working folder is `.`
        raise DataError("an empty path names no file; name one, or a folder of parts")
    if "\0" in setting:  # no system takes such a name
        raise DataError(f"{setting!r}: there is no such file")
    if address.is_address(setting):
        return _query(setting, folder, selection)
    address.refuse_other(setting)
    if setting == STANDARD_INPUT:
        return Source.of(Path(setting))
    if found := _ADDRESS.match(setting):
        scheme = found[1].lower()
        if scheme == "file":
            raise DataError(f"{setting}: an address; name the file by its path")
        what = "an address on the web" if scheme in _WEB else "an address"
        raise DataError(
            f"{address.without_password(setting)}: {what} ({scheme}), which dlcli doesn't read; "
            "download it, and name the file"
        )
    path = folder / setting
    if address.is_sqlite_file(path):
        return _query(setting, folder, selection)
    if path.is_dir():
        if has_images(path):
            _refuse_tables_beside(path)
            return Source(str(path), (Part(path, made=ImageFiles(path)),))
        parts = _refuse_none(_parts_below(path), path)
    elif _WILDCARDS.search(setting) and not path.exists():
        parts = list(_matches(setting, folder))
        if all(has_image_suffix(part.file.name) for part in parts):
            return Source(str(path), (_images([part.file for part in parts], folder),))
    elif has_image_suffix(setting):
        return Source(str(path), (_images([path], folder),))
    else:
        return Source.of(path, selection.sheet)
    if len(parts) == 1 and not parts[0].partition:
        return Source.of(parts[0].file, selection.sheet)
    return Source(str(path), tuple(replace(part, sheet=selection.sheet) for part in parts))


def _query(setting: str, folder: Path, selection: Selection) -> Source:
    """Return the rows of a query to a database; DataError where none is given."""
    file = None if address.is_postgresql(setting) else address.sqlite_file(setting) or setting
    name = address.without_password(setting) if file is None else str(folder / file)
    if file is not None and not (folder / file).is_file():
        raise DataError(f"{name}: there is no such file")
    if selection.query is None:
        from dlcli.tables.databases.sqlite import tables_of

        kind = "a PostgreSQL database" if file is None else "an SQLite database"
        tables = "" if file is None else f"; its tables: {tables_of(name)}"
        raise DataError(f"{name}: {kind}; say which rows with data.query, an SQL SELECT{tables}")
    query = Query(setting if file is None else name, selection.query, is_file=file is not None)
    return Source(name, (Part(Path() if file is None else folder / file, made=query),))


def _is_image_file(setting: str) -> bool:
    """Say whether a setting is an image file by its name, and neither an address nor a pattern."""
    is_address = address.is_address(setting) or _ADDRESS.match(setting)
    return has_image_suffix(setting) and not is_address and not _WILDCARDS.search(setting)


def _images(files: Sequence[Path], folder: Path) -> Part:
    """Return image files as rows, with paths relative to a folder; DataError for one named twice.

    What messages call them is the first.
    """
    seen = set()
    for file in files:
        if (real := file.resolve()) in seen:
            raise DataError(f"{file}: listed twice, so it would count twice")
        seen.add(real)
    return Part(files[0], made=relative_files(files, folder))


def _refuse_tables_beside(folder: Path) -> None:
    """Raise DataError for a table in a folder of images: which of both is meant isn't said."""
    for file in sorted(folder.iterdir()):
        if file.suffix.lower() != ".txt" and not _is_hidden(file.name) and suffix_of(file.name):
            raise DataError(
                f"{file}: a table beside images; to read its rows, name it, or a pattern such as "
                f"{folder}/*{file.suffix}; to read the images alone, move it out of the folder"
            )


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
        raise DataError(f"{folder}: a folder without files of rows, and without images")
    return found


def _partition(folders: Sequence[str]) -> Partition:
    found = []
    for name in folders:
        key, is_pair, value = name.partition("=")
        if is_pair and key:
            cell = None if value == _NO_VALUE else unquote(value)
            found.append((normalise_name(unquote(key)), cell))
    return tuple(found)


def _is_hidden(name: str) -> bool:
    """Say whether programs keep something for themselves there: `_SUCCESS`, `.part-0.crc`."""
    return name.startswith((".", "_"))


def moved(setting: DataPath, source: Path, destination: Path) -> DataPath:
    """Return a setting that is relative to one folder as relative to another."""
    if not isinstance(setting, str):
        return tuple(str(moved(item, source, destination)) for item in setting)
    if (file := address.sqlite_file(setting)) is not None:
        return f"sqlite:///{moved(file, source, destination)}"
    is_address = address.is_address(address.fill_in(setting)) or _ADDRESS.match(setting)
    if setting == STANDARD_INPUT or is_address or Path(setting).is_absolute():
        return setting
    return os.path.relpath(source.resolve() / setting, destination.resolve())


def setting_text(setting: str | Sequence[str]) -> str:
    """Return a setting as one line names it."""
    if isinstance(setting, str):
        return address.without_password(setting)
    more = len(setting) - 1
    return setting[0] + (f" and {more} more" if more else "")


def words_of(setting: DataPath, folder: Path) -> tuple[str, ...]:
    """Return a setting as words of a command line, relative to the working folder."""
    items = (setting,) if isinstance(setting, str) else setting
    return tuple(
        item if address.is_address(address.fill_in(item)) else os.path.normpath(folder / item)
        for item in items
    )


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
