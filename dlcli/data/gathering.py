"""Streamed files → the facts of every column of every part, in one pass."""

import time
from collections.abc import Generator, Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from dlcli.columns.column_statistics import CellCount, ColumnStatistics
from dlcli.columns.family import column_statistics, needs_labels
from dlcli.data.fitting import feature_names
from dlcli.data.splits import PARTS, draw_rows
from dlcli.data.stream import Reading, Stream
from dlcli.seeds import derive_seed
from dlcli.tables.table import Table

SAMPLE_ROWS = 10_000  # of which medians are taken


@dataclass
class PartFacts:
    """What one part's rows have shown."""

    header: Table
    columns: dict[str, ColumnStatistics] = field(default_factory=dict)
    num_rows: int = 0
    sampled: np.ndarray = field(default_factory=lambda: np.empty(0))  # what drew the sample's rows


@dataclass
class FileFacts:
    """What one file's rows have shown, those without a target among them."""

    header: Table
    num_rows: int = 0
    missing_target: CellCount = field(default_factory=CellCount)


@dataclass(frozen=True)
class Gathered:
    """What all files have shown."""

    parts: dict[str, PartFacts]
    files: dict[str, FileFacts]


def gather(stream: Stream) -> Generator[Reading, None, Gathered]:
    """Read all files once, and return what they have shown.

    Columns that turn out to be categorical only after blocks that looked otherwise are read once
    more. Raises DataError where a file can't be read as a table.
    """
    gathered = yield from _pass(stream, None)
    parts = gathered.parts
    unknown = [
        name
        for name, facts in parts["train"].columns.items()
        if needs_labels(facts) and any(_lacks_labels(part, name) for part in parts.values())
    ]
    if unknown:
        again = yield from _pass(stream, unknown)
        for name, part in again.parts.items():
            parts[name].columns.update(part.columns)
    return gathered


def _lacks_labels(part: PartFacts, name: str) -> bool:
    return name in part.columns and part.columns[name].labels is None


def _pass(stream: Stream, labelled: list[str] | None) -> Generator[Reading, None, Gathered]:
    """Gather the facts of every column, or of the `labelled` ones, with their labels."""
    started = time.perf_counter()
    parts: dict[str, PartFacts] = {}
    files: dict[str, FileFacts] = {}
    purpose = "statistics" if labelled is None else f"categories of {', '.join(labelled)}"
    for key, path in stream.files.items():
        header = stream.header(key)
        file = files[key] = FileFacts(header)
        for part in PARTS:
            parts.setdefault(part, PartFacts(header))
        for block in stream.blocks(key):
            rows = block.rows
            file.num_rows += len(rows)
            file.missing_target += _missing(rows, stream.config.target)
            for part, chosen in block.parts.items():
                if not len(chosen):
                    continue
                if not parts[part].num_rows:
                    parts[part].header = header
                taken = rows if len(chosen) == len(rows) else rows.take(chosen)
                names = labelled or [stream.config.target, *_names(stream, header)]
                drawn = draw_rows(block.first, len(rows), seed=derive_seed(stream.seed, "sample"))
                _add(parts[part], taken, drawn[chosen], names, stream, bool(labelled))
            yield Reading(purpose, path, file.num_rows, time.perf_counter() - started)
        yield Reading(purpose, path, file.num_rows, time.perf_counter() - started, is_over=True)
    return Gathered(parts, files)


def _missing(rows: Table, name: str) -> CellCount:
    gaps = rows.column(name).is_null().arg_true()
    return CellCount(len(gaps), int(rows.numbers[gaps[0]])) if len(gaps) else CellCount()


def _names(stream: Stream, header: Table) -> Iterable[str]:
    known = set(header.frame.columns)
    return [name for name in feature_names(stream.config, header.frame.columns) if name in known]


def _add(
    part: PartFacts,
    rows: Table,
    drawn: np.ndarray,
    names: Iterable[str],
    stream: Stream,
    wants_labels: bool,
) -> None:
    """Add a block's rows; of their values, keep those of the rows with the smallest draws."""
    config = stream.config
    everything = np.concatenate([part.sampled, drawn])
    kept = np.arange(len(everything))
    if len(everything) > SAMPLE_ROWS:
        kept = np.sort(np.argpartition(everything, SAMPLE_ROWS)[:SAMPLE_ROWS])
    part.sampled = everything[kept]
    part.num_rows += len(rows)
    for name in names:
        facts = column_statistics(
            rows,
            name,
            config.missing_values,
            kind=config.kinds.get(name),
            wants_labels=wants_labels or name == config.target,
        )
        before = part.columns.get(name)
        values = facts.sample if before is None else np.concatenate([before.sample, facts.sample])
        merged = facts if before is None else before + facts
        part.columns[name] = replace(merged, sample=values[kept])
