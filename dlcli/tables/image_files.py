"""Image files as rows of a table: a folder's, with class and part of each, or files by name."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import ClassVar

import polars as pl

from dlcli.errors import DataError
from dlcli.images.checksums import checksums_of
from dlcli.images.folders import FoundImage, Leftovers, find_images
from dlcli.tables.formats.base import BlockSize, Content
from dlcli.tables.formats.columnar import ArrowFormat
from dlcli.tables.table import Table
from dlcli.tables.unnamed_file import UnnamedFile

IMAGE, LABEL, PART = "image", "label", "part"  # columns; the last two where folders say them
_ROWS = 2**16  # listed at a time


@dataclass
class ImageFiles:
    """Images as rows, as they were when they were first asked for."""

    settings: ClassVar[tuple[str, ...]] = ()

    root: Path  # what paths in the column of images are relative to
    files: tuple[str, ...] | None = None  # relative to the root; None: all that it has
    column: str = IMAGE  # of the paths
    leftovers: Leftovers = field(default_factory=Leftovers)
    _listing: UnnamedFile | None = field(default=None, repr=False, compare=False)

    @property
    def name(self) -> str:
        """What messages call it."""
        if self.files is None:
            return str(self.root)
        more = len(self.files) - 1
        return str(self.root / self.files[0]) + (f" and {more} more" if more else "")

    def file(self) -> Path:
        """Return an Arrow file with a row for each image, which is there as long as this is.

        Raises DataError where the folder's images can't be told apart, or a named file is missing.
        """
        if self._listing is None:
            frame = _frame(self._find(), self.column)
            if not len(frame):
                raise DataError(f"{self.root}: a folder without images")
            self._listing = UnnamedFile(frame.write_ipc)
        return self._listing.path

    def checksum(self) -> str:
        """Return the SHA-256 of the images: of their names, which hold their labels, and bytes."""
        cells = pl.scan_ipc(self.file()).select(self.column).collect()[self.column]
        digest = hashlib.sha256()
        for start in range(0, len(cells), _ROWS):
            paths = cells[start : start + _ROWS].to_list()
            contents = checksums_of(self.root / path for path in paths)
            for path, of_content in zip(paths, contents, strict=True):
                digest.update(f"{len(path)} {path} {of_content}\n".encode())
        return digest.hexdigest()

    def _find(self) -> Iterator[FoundImage]:
        if self.files is None:
            yield from find_images(self.root, self.leftovers)
            return
        for path in self.files:
            if not (self.root / path).exists():
                raise DataError(f"{self.root / path}: there is no such file")
            yield FoundImage(path)


class ImageListingFormat(ArrowFormat):
    """The rows of image files."""

    name = "a folder of images"

    def __init__(self, images: ImageFiles) -> None:
        self._images = images

    def blocks(self, content: Content, size: BlockSize) -> Iterator[Table]:
        """Yield rows whose labels are names as they stand there: 01, 1.0 or NA."""
        notes = tuple(self._images.leftovers.notes(self._images.root))
        for table in super().blocks(content, size):
            yield replace(
                table,
                unit="image",
                missing_values=content.text.missing_values,
                labels=frozenset(table.frame.columns) - {self._images.column},
                notes=(*table.notes, *notes),
            )


def relative_files(files: Sequence[Path], folder: Path) -> ImageFiles:
    """Return image files as rows, with paths relative to a folder."""
    return ImageFiles(folder, tuple(os.path.relpath(file, folder) for file in files))


def _frame(images: Iterable[FoundImage], column: str) -> pl.DataFrame:
    frames = []
    remaining = iter(images)
    while some := list(islice(remaining, _ROWS)):
        columns = {
            LABEL: [image.label for image in some],
            PART: [image.part for image in some],
            column: [image.path for image in some],
        }
        frames.append(pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String)))
    if not frames:
        return pl.DataFrame()
    frame = pl.concat(frames)
    known = (name for name in (LABEL, PART) if name != column and frame[name].null_count() == 0)
    return frame.select(column, *known)
