"""Columns of images: of cells that name files, which are decoded."""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, Self, final

import numpy as np
import polars as pl

from dlcli.columns.bad_cells import BadCells, CellError
from dlcli.columns.base import (
    Axis,
    Column,
    Embedding,
    EncodingSettings,
    Inference,
    SimpleLayers,
)
from dlcli.columns.cells import FEATURE, ColumnUse, read_cells, unparsed
from dlcli.columns.cells.named_files import (
    NamedFiles,
    UnusableFile,
    look_at_files,
    paths_of,
    unusable_file,
)
from dlcli.columns.column_statistics import ColumnStatistics
from dlcli.columns.unseen import UnseenCells
from dlcli.images.opening import ImageFileError
from dlcli.images.settings import ImageSettings
from dlcli.tables.table import Table

_CHANNELS = {1: "grey", 3: "RGB"}


@dataclass(frozen=True)
class Pixels:
    """A column that reaches the network as whole numbers of a shape, by a field of its own."""

    column: str
    field: str
    shape: tuple[int, int, int]  # [channels, height, width]
    simple_layers: ClassVar[SimpleLayers] = (
        {
            "type": "conv2d",
            "out_channels": 16,
            "kernel_size": 3,
            "padding": 1,
            "activation": "relu",
        },
        {"type": "global_avg_pool"},
    )


class FileColumn(Column):
    """A kind whose cells are paths, relative to the folder of the file that names them.

    A file is decoded once, before the first step of training; that its header is sound is known
    before. There is no value for a missing one.
    """

    @abstractmethod
    def look(self, rows: Table, missing_values: tuple[str, ...]) -> NamedFiles:
        """Return what the headers of the files say."""

    @abstractmethod
    def decode(
        self, rows: Table, missing_values: tuple[str, ...]
    ) -> Iterator[np.ndarray | UnusableFile]:
        """Yield each row's value [*shape], or why there is none, in their order."""

    @property
    @abstractmethod
    def pixels(self) -> Pixels:
        """What the network is given."""

    def check(self, rows: Table, missing_values: tuple[str, ...]) -> None:
        """Raise CellError where there is no sound header; nothing is decoded."""
        found = self.look(rows, missing_values)
        if found.num_unusable:
            raise self.refusal(rows, found)

    def refusal(self, rows: Table, found: NamedFiles) -> CellError:
        """Return the error for files of some rows that can't be used."""
        return _unusable(self.name, rows.source, rows.position_of, found)

    def encode(
        self, rows: Table, missing_values: tuple[str, ...]
    ) -> tuple[np.ndarray, UnseenCells | None]:
        """Return values [rows, *shape]; CellError where a file can't be used."""
        return self.read(rows, missing_values), None

    def read(
        self, rows: Table, missing_values: tuple[str, ...], *, fills: bool = False
    ) -> np.ndarray:
        """Return values [rows, *shape], uint8; CellError where a file can't be used.

        If it `fills`, those of missing cells are zeros.
        """
        values = np.zeros((len(rows), *self.pixels.shape), np.uint8)
        found = NamedFiles()
        for row, value in enumerate(self.decode(rows, missing_values)):
            if not isinstance(value, UnusableFile):
                values[row] = value
            elif value.cell is not None or not fills:
                found += NamedFiles.of_one(value)
        if found.num_unusable:
            raise self.refusal(rows, found)
        return values

    def find_bad(self, rows: Table, missing_values: tuple[str, ...]) -> list[BadCells]:
        """Return the cells without a file that can be used; each is decoded."""
        found: dict[str, np.ndarray] = {}
        for row, value in enumerate(self.decode(rows, missing_values)):
            if isinstance(value, UnusableFile):
                found.setdefault(value.what, np.zeros(len(rows), bool))[row] = True
        return [BadCells(self.name, what, bad, is_needed=True) for what, bad in found.items()]


@final
class ImageColumn(FileColumn):
    """Image files, decoded to pixels of one size, uint8 [channels, height, width].

    The network scales them by the mean and the standard deviation of each channel.
    """

    axis: ClassVar[Axis] = "pixels"
    is_scalar: ClassVar[bool] = False
    settings: ClassVar[Mapping[str, str]] = {"images": "no feature is an image"}

    kind: Literal["image"] = "image"
    images: ImageSettings

    @classmethod
    def parse(cls, cells: pl.Series) -> pl.Series:
        """Return paths, null where a cell is missing or no text."""
        if cells.dtype == pl.String:
            return cells
        return pl.Series(cells.name, [None] * len(cells), dtype=pl.String)

    @classmethod
    def infer(cls, statistics: ColumnStatistics) -> Inference | None:
        """Take text that names images throughout, some of which are there."""
        files = statistics.images
        if files is None or files.num_named < statistics.num_known or not files.num_there:
            return None
        return Inference(cls, f"names of images, {files.num_there:,} of which are there")

    @classmethod
    def names_rows(cls, cells: pl.Series) -> str | None:
        """Say of none: what an image shows is more than its name."""
        del cells
        return None

    @classmethod
    def refuse_other(cls, statistics: ColumnStatistics, use: ColumnUse = FEATURE) -> None:
        """Raise CellError where a cell names no image with a sound header."""
        name, files = statistics.name, statistics.images
        if not statistics.num_known:
            return
        if files is None:
            kinds = [found.cells for found in statistics.kinds.values()]
            first = min([*kinds, statistics.others], key=lambda one: one.number or np.inf)
            place, count = statistics.place(first), statistics.num_known
            raise unparsed(name, first.cell, place, "the path of an image", count=count, use=use)
        if files.num_unusable:
            raise _unusable(name, statistics.source, statistics.position_of, files)

    @classmethod
    def fit(cls, statistics: ColumnStatistics, settings: EncodingSettings) -> Self:
        """Fit nothing: the scaling of pixels is part of the network."""
        return cls(name=statistics.name, images=settings.images)

    def look(self, rows: Table, missing_values: tuple[str, ...]) -> NamedFiles:
        """Return what the headers of the files say."""
        return look_at_files(read_cells(rows, self.name, missing_values), rows)

    def decode(
        self, rows: Table, missing_values: tuple[str, ...]
    ) -> Iterator[np.ndarray | UnusableFile]:
        """Yield each image, uint8 [channels, height, width], or why there is none; in order."""
        from dlcli.images.decoding import decode_many  # few commands need it

        cells = read_cells(rows, self.name, missing_values)
        named = (path for path in paths_of(cells, rows) if path is not None)
        images = decode_many(named, self.images)
        for cell, number in zip(cells, rows.numbers.tolist(), strict=True):
            found = None if cell is None else next(images)
            if found is None or isinstance(found, ImageFileError):
                yield unusable_file(cell, number, found)
            else:
                yield found

    def find_unseen(self, statistics: ColumnStatistics) -> list[UnseenCells]:
        """Return none: images are all different."""
        del statistics
        return []

    def is_constant(self, statistics: ColumnStatistics) -> bool:
        """Say whether all rows have the same image."""
        labels = statistics.labels
        assert labels is not None, "the labels of such a column are gathered"
        return not labels.are_too_many and len(labels.cells) == 1

    @property
    def field(self) -> str:
        """A field of its own."""
        return self.pixels.field

    @property
    def pixels(self) -> Pixels:
        """What the network is given."""
        return Pixels(self.name, f"image {self.name}", self.images.shape)

    @property
    def num_slots(self) -> int:
        """Its channels."""
        return self.images.num_channels

    @property
    def parts(self) -> tuple[str, ...]:
        """Its channels."""
        return ("grey",) if self.images.channels == "grey" else ("red", "green", "blue")

    def continued(self, before: Self) -> Self:
        """Return what was decoded before."""
        return before

    @property
    def embedding(self) -> Embedding | None:
        """None: pixels are no codes."""
        return None

    @property
    def indicates_missing(self) -> bool:
        """No: a missing image is refused."""
        return False

    @property
    def saw_missing(self) -> bool:
        """No: a missing image is refused."""
        return False

    def encoding_in_short(self, settings: EncodingSettings) -> str:
        """Say how it is encoded, for the screen."""
        del settings
        channels, height, width = self.images.shape
        return f"{height} × {width} {_CHANNELS[channels]}, {self.images.fit}"

    def encoding_in_full(self) -> str:
        """Say how it is encoded, for a page."""
        channels, height, width = self.images.shape
        return (
            f"{height} × {width} pixels, {_CHANNELS[channels]} ({self.images.fit}), scaled by the "
            "mean and standard deviation of each channel"
        )


def _unusable(
    name: str, source: str, position_of: Callable[[int], str], found: NamedFiles
) -> CellError:
    """Return the error for files that can't be used, each with its row; of many, the first."""
    count = found.num_unusable
    lines = [f"  {position_of(file.number)}: {file.reason}" for file in found.unusable]
    if count > len(lines):
        lines.append(f"  and {count - len(lines):,} more: in all, {found.summary}")
    what = "1 cell has" if count == 1 else f"{count:,} cells have"
    return CellError(
        "\n".join([f"{source}: column '{name}': {what} no image that can be used:", *lines]),
        "mend the files, or remove these rows",
        new_file="mend the files",
        is_needed=True,
    )
