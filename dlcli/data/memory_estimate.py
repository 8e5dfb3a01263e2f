"""Whether a table fits in memory."""

import math
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from dlcli.columns.cells import read_cells
from dlcli.columns.cells.named_files import may_name_images
from dlcli.columns.family import kind_named
from dlcli.columns.image import FileColumn
from dlcli.config.sections.data import DataConfig
from dlcli.images.opening import SUFFIXES
from dlcli.tables.reading import open_part, sample_part
from dlcli.tables.sources import Part, Source
from dlcli.tables.table import Table

SHARE = 0.25  # of the free memory: encoding copies, and so does splitting
_MAX_EXPANSION = 40  # times a CSV file's bytes, at most, that its table and its rows take
_HEAD_BYTES = 2**16  # of a text file, among which names of images are looked for
_SAMPLE_ROWS = 100  # whose images are looked for
_BYTES_A_NUMBER = 4
_BYTES_A_TEXT = 16  # in a column, beside what is written in it


def exceeds_memory(sources: Iterable[Source], config: DataConfig) -> str | None:
    """Say why sources are too large to be held in memory; None where they are not, or none can say.

    Their tables, the float32 rows that they become, and the pixels of the images that they name may
    take a share of the free memory.
    """
    free = free_bytes()
    if free is None:
        return None
    needed = sum(_table_bytes(source, config, SHARE * free) for source in sources)
    if needed <= SHARE * free:
        return None
    return (
        f"the table would take about {_gib(needed)} of memory, more than {SHARE:.0%} of the "
        f"{_gib(free)} that are free"
    )


def free_bytes() -> int | None:
    """Return the memory that this process may still take, in bytes; None where none can say."""
    found = [_free_of_machine(), _free_of_group()]
    return min((size for size in found if size is not None), default=None)


def _table_bytes(source: Source, config: DataConfig, enough: float) -> float:
    """Estimate a table's bytes, and its rows', from the first block of its largest file."""
    files = [part for part in source.parts if part.path().is_file()]
    sizes = [part.path().stat().st_size for part in files]
    if len(files) < len(source.parts) or not any(sizes):
        return 0.0  # which its reader will say
    size, largest = max(sizes), files[sizes.index(max(sizes))]
    with open_part(largest, config.text_format) as opened:
        is_plain = opened.form.is_stream and not opened.is_compressed
    is_small = is_plain and sum(sizes) * _MAX_EXPANSION <= enough
    if is_small and not _may_name_images(largest, config):
        return 0.0
    block, num_rows, form = sample_part(largest, config.text_format)
    if not len(block):
        return 0.0
    num_texts = block.frame.dtypes.count(pl.String())
    num_categorical = num_texts if form.is_typed else 0  # of a CSV file's columns, few are
    numbers_a_row = block.frame.width + num_categorical * (config.one_hot_max - 1)
    cells = block.frame.estimated_size() / len(block) + num_texts * _BYTES_A_TEXT
    pixels = _num_images(replace(block, folders=(largest.folder,)), config)
    pixels *= math.prod(config.images.shape)
    return num_rows * (cells + numbers_a_row * _BYTES_A_NUMBER + pixels) * sum(sizes) / size


def _may_name_images(part: Part, config: DataConfig) -> bool:
    """Say whether some of the first cells of a plain text file may name images."""
    if any(issubclass(kind_named(kind), FileColumn) for kind in config.kinds.values()):
        return True
    with part.path().open("rb") as file:
        head = file.read(_HEAD_BYTES).lower()
    return any(suffix.encode() in head for suffix in SUFFIXES)


def _num_images(block: Table, config: DataConfig) -> int:
    """Return how many columns of a block name images that will be decoded."""
    found = 0
    for name in filter(config.may_be_feature, block.frame.columns):
        if name in config.kinds:
            found += issubclass(kind_named(config.kinds[name]), FileColumn)
        elif block.frame[name].dtype == pl.String:
            cells = block.take(np.arange(min(len(block), _SAMPLE_ROWS)))
            found += may_name_images(read_cells(cells, name, config.missing_values), cells)
    return found


def _free_of_machine() -> int | None:
    """Return what the system says is there without swapping."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    names = getattr(os, "sysconf_names", {})
    for pages in ("SC_AVPHYS_PAGES", "SC_PHYS_PAGES"):
        if pages in names:
            return os.sysconf(pages) * os.sysconf("SC_PAGE_SIZE")
    return None


def _free_of_group() -> int | None:
    """Return what a container's limit leaves."""
    for limit, used in (
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        (
            "/sys/fs/cgroup/memory/memory.limit_in_bytes",
            "/sys/fs/cgroup/memory/memory.usage_in_bytes",
        ),
    ):
        try:
            return int(Path(limit).read_text()) - int(Path(used).read_text())
        except (OSError, ValueError):  # no such group, or "max"
            continue
    return None


def _gib(num_bytes: float) -> str:
    return f"{num_bytes / 2**30:.3g} GiB"
