"""What `dlcli init` sees in columns of images before anything is decided."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from dlcli.columns.cells.named_files import paths_of
from dlcli.images.decoding import decode_many
from dlcli.images.opening import ImageFileError, read_header
from dlcli.images.settings import ImageSettings
from dlcli.tables.table import Table

_MAX_SAMPLED = 400  # images of which headers and colours are looked at
_COLOUR_SIZE = (48, 48)
_SAME_ASPECT = 0.1  # of logarithms of height over width: stretching is hardly seen
_GREY = 6  # of 255: colours that differ by less are the noise of JPEG


@dataclass(frozen=True)
class SeenImages:
    """The images that columns name."""

    columns: tuple[str, ...]
    size: tuple[int, int]  # height and width of the median image
    are_alike: bool  # in height over width
    are_grey: bool


def look_at_images(columns: Mapping[str, pl.Series], rows: Table) -> SeenImages:
    """Look at an even sample of the images that columns name; at least one can be used.

    Those that can't are refused, each by its name, where the rows are read.
    """
    paths = [path for path in _paths_in(columns.values(), rows) if path is not None]
    chosen = np.unique(np.linspace(0, len(paths) - 1, min(len(paths), _MAX_SAMPLED)).astype(int))
    sampled = [paths[index] for index in chosen]
    sizes = np.array([size for path in sampled if (size := _size_of(path)) is not None])
    height, width = np.median(sizes, axis=0).round().astype(int)
    return SeenImages(
        tuple(columns),
        (int(height), int(width)),
        are_alike=bool(np.ptp(np.log(sizes[:, 0] / sizes[:, 1])) < _SAME_ASPECT),
        are_grey=_are_grey(sampled),
    )


def _paths_in(columns: Iterable[pl.Series], rows: Table) -> Iterator[Path | None]:
    for cells in columns:
        yield from paths_of(cells, rows)


def _size_of(path: Path) -> tuple[int, int] | None:
    try:
        header = read_header(path)
    except ImageFileError:
        return None
    return header.height, header.width


def _are_grey(paths: Sequence[Path]) -> bool:
    for image in decode_many(paths, ImageSettings(size=_COLOUR_SIZE)):
        if isinstance(image, ImageFileError):
            continue
        spread = image.max(axis=0).astype(int) - image.min(axis=0)
        if spread.mean() > _GREY:
            return False
    return True
