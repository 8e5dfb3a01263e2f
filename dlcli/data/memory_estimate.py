"""Whether a table fits in memory."""

import os
from collections.abc import Iterable
from pathlib import Path

import polars as pl

from dlcli.config.sections.data import DataConfig
from dlcli.tables.reading import open_part, sample_part
from dlcli.tables.sources import Source

SHARE = 0.25  # of the free memory: encoding copies, and so does splitting
_MAX_EXPANSION = 40  # times a CSV file's bytes, at most, that its table and its rows take
_BYTES_A_NUMBER = 4
_BYTES_A_TEXT = 16  # in a column, beside what is written in it


def exceeds_memory(sources: Iterable[Source], config: DataConfig) -> str | None:
    """Say why sources are too large to be held in memory; None where they are not, or none can say.

    Their tables, and the float32 rows that they become, may take a share of the free memory.
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
    if is_plain and sum(sizes) * _MAX_EXPANSION <= enough:
        return 0.0
    block, num_rows, form = sample_part(largest, config.text_format)
    if not len(block):
        return 0.0
    num_texts = block.frame.dtypes.count(pl.String())
    num_categorical = num_texts if form.is_typed else 0  # of a CSV file's columns, few are
    numbers_a_row = block.frame.width + num_categorical * (config.one_hot_max - 1)
    cells = block.frame.estimated_size() / len(block) + num_texts * _BYTES_A_TEXT
    return num_rows * (cells + numbers_a_row * _BYTES_A_NUMBER) * sum(sizes) / size


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
