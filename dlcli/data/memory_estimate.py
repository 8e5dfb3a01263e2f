"""Whether a table fits in memory."""

import os
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import polars as pl

from dlcli.config.sections.data import DataConfig
from dlcli.tables.reading import read_blocks

SHARE = 0.25  # of the free memory: encoding copies, and so does splitting
_MAX_EXPANSION = 40  # times a CSV file's bytes, at most, that its table and its rows take
_BYTES_A_NUMBER = 4
_BYTES_A_TEXT = 16  # in a column, beside what is written in it


def exceeds_memory(files: Iterable[Path], config: DataConfig) -> str | None:
    """Say why files are too large to be held in memory; None where they are not, or none can say.

    Their tables, and the float32 rows that they become, may take a share of the free memory.
    """
    free = free_bytes()
    if free is None:
        return None
    needed = sum(_table_bytes(file, config, SHARE * free) for file in files)
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


def _table_bytes(file: Path, config: DataConfig, enough: float) -> float:
    """Estimate a table's bytes, and its rows', from its first block."""
    if not file.is_file():
        return 0.0  # which its reader will say
    size, is_csv = file.stat().st_size, file.suffix.lower() == ".csv"
    if is_csv and size * _MAX_EXPANSION <= enough:
        return 0.0
    block = next(islice(read_blocks(file, config.text_format), 1))
    if not len(block):
        return 0.0
    num_texts = block.frame.dtypes.count(pl.String())
    num_categorical = 0 if is_csv else num_texts  # of a CSV file's columns, few are
    numbers_a_row = block.frame.width + num_categorical * (config.one_hot_max - 1)
    num_rows = size / _bytes_a_row(block.frame) if is_csv else _num_parquet_rows(file)
    cells = block.frame.estimated_size() / len(block) + num_texts * _BYTES_A_TEXT
    return num_rows * (cells + numbers_a_row * _BYTES_A_NUMBER)


def _bytes_a_row(frame: pl.DataFrame) -> float:
    """Return what a row of text takes in its CSV file, separators included."""
    cells = frame.select(pl.all().str.len_bytes().fill_null(0).sum()).sum_horizontal().item()
    return float(cells) / len(frame) + frame.width


def _num_parquet_rows(file: Path) -> int:
    return int(pl.scan_parquet(file).select(pl.len()).collect().item())


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
