"""Rows → the statistics of the columns of each part, in one pass."""

import time
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from dlcli.columns.column_statistics import CellCount, ColumnStatistics
from dlcli.columns.family import ColumnKind, column_statistics, needs_labels
from dlcli.columns.running_statistics import Sample
from dlcli.config.sections.data import DataConfig
from dlcli.data.checks import FileStatistics
from dlcli.data.splits import PARTS, draw_rows
from dlcli.data.stream import Reading, RowSource
from dlcli.data.weights import all_weightless, read_weights
from dlcli.seeds import derive_seed
from dlcli.tables.table import Table
from dlcli.targets.base import present

SAMPLE_ROWS = 10_000  # of a stream, of which medians are taken


@dataclass
class PartStatistics:
    """The rows of one part."""

    header: Table
    columns: dict[str, ColumnStatistics] = field(default_factory=dict)
    num_rows: int = 0
    weightless: CellCount = field(default_factory=CellCount)  # more rows, which don't count
    draws: np.ndarray = field(default_factory=lambda: np.empty(0))  # those of the sample's rows
    weight: float = 0.0  # of all rows: their number, where they have none
    target_weights: dict[str, float] = field(default_factory=dict)  # of those with each target


@dataclass(frozen=True)
class DataStatistics:
    """The rows of all parts and of all files."""

    parts: dict[str, PartStatistics]
    files: dict[str, FileStatistics]

    def target_in(self, source: str, target: str) -> ColumnStatistics:
        """Return the statistics of the target in all rows of a file, whatever part they are in."""
        found = [
            part.columns[target]
            for part in self.parts.values()
            if part.num_rows and part.header.source == source
        ]
        whole = found[0]
        for more in found[1:]:
            whole += more
        return whole


def feature_names(config: DataConfig, header: Table) -> list[str]:
    """Return the columns that may become features: `features`, or all with a name and no role."""
    nameless = {*header.nameless}
    return [
        name
        for name in config.features or [*header.frame.columns]
        if config.may_be_feature(name) and name != config.split.column
        if config.features is not None or name not in nameless
    ]


def gather_statistics(source: RowSource) -> Generator[Reading, None, DataStatistics]:
    """Read all rows once, and return their statistics.

    Of held rows, only the training rows' features are looked at: encoding checks the others, and
    takes no further pass over a file. Columns that turn out to be categorical only after blocks
    that looked otherwise are read once more, and so are those of other parts with cells that
    don't look like what the training rows have: 1 where these have true. Raises DataError where a
    file can't be read.
    """
    found = yield from _pass(source, None)
    parts = list(found.parts.values())
    anew: dict[str, ColumnKind | None] = {}
    for name, statistics in found.parts["train"].columns.items():
        if name in source.config.kinds:
            continue
        others = [part.columns[name] for part in parts if name in part.columns]
        kind = statistics.only_kind
        if needs_labels(statistics) and any(part.labels is None for part in others):
            anew[name] = None
        elif kind is not None and any(part.other_than(kind).count for part in others):
            anew[name] = kind
    if anew:
        again = yield from _pass(source, anew)
        for part_name, part in again.parts.items():
            found.parts[part_name].columns.update(part.columns)
    return found


def _pass(
    source: RowSource, anew: Mapping[str, ColumnKind | None] | None
) -> Generator[Reading, None, DataStatistics]:
    """Gather the statistics of every column, or of some: with their labels, or as of a kind."""
    started = time.perf_counter()
    parts: dict[str, PartStatistics] = {}
    files: dict[str, FileStatistics] = {}
    config = source.config
    purpose = "statistics"
    if anew is not None:
        purpose = f"{'values' if all(anew.values()) else 'categories'} of {', '.join(anew)}"
        kinds = {name: kind for name, kind in anew.items() if kind is not None}
        config = config.model_copy(update={"kinds": {**config.kinds, **kinds}})
    for key, named in source.files.items():
        header = source.header(key)
        file = files[key] = FileStatistics(header)
        columns = header.frame.columns
        features = [name for name in feature_names(source.config, header) if name in columns]
        for part in PARTS:
            parts.setdefault(part, PartStatistics(header))
        for block in source.blocks(key):
            file.num_rows += block.num_rows
            file.missing_target += block.missing_target
            file.missing_group += block.missing_group
            file.add_notes(block.rows)
            for part, cells in block.weightless.items():
                if not parts[part].num_rows:
                    parts[part].header = header
                parts[part].weightless += cells
            for part, rows in block.tables():
                if not parts[part].num_rows:
                    parts[part].header = header
                is_encoded_next = source.is_held and part != "train"
                names = anew or [*config.targets, *([] if is_encoded_next else features)]
                draws = None
                if not source.is_held:
                    seed = derive_seed(source.seed, "sample")
                    draws = draw_rows(block.first, len(block.rows), seed=seed)[block.parts[part]]
                _add(parts[part], rows, draws, names, config, wants_labels=bool(anew))
            yield Reading(purpose, named.name, file.num_rows, time.perf_counter() - started)
        yield Reading(
            purpose, named.name, file.num_rows, time.perf_counter() - started, is_over=True
        )
    _refuse_weightless(parts, source.config)
    return DataStatistics(parts, files)


def _refuse_weightless(parts: dict[str, PartStatistics], config: DataConfig) -> None:
    """Raise DataError where all rows of a part have the weight 0."""
    for name, part in parts.items():
        if part.weightless.count and not part.num_rows:
            header = part.header
            place = header.place_of(part.weightless.number)
            raise all_weightless(str(config.weight), place, name)


def _add(
    part: PartStatistics,
    rows: Table,
    draws: np.ndarray | None,
    names: Iterable[str],
    config: DataConfig,
    *,
    wants_labels: bool,
) -> None:
    """Add a block's rows; with a draw for each, keep the values of those with the smallest ones."""
    part.num_rows += len(rows)
    kept, weights = None, None
    if config.weight is not None:
        weights = read_weights(rows, config.weight, config.missing_values)
    if draws is not None:
        draws = np.concatenate([part.draws, draws])
        kept = np.arange(len(draws))
        if len(draws) > SAMPLE_ROWS:
            kept = np.sort(np.argpartition(draws, SAMPLE_ROWS)[:SAMPLE_ROWS])
        part.draws = draws[kept]
    part.weight += float(len(rows) if weights is None else weights.sum())
    for name in names:
        known, of_known = rows, weights
        if name in config.targets:
            if len(config.targets) > 1:
                known, of_known = _with_target(rows, name, config, weights)
            weight = float(len(known) if of_known is None else of_known.sum())
            part.target_weights[name] = part.target_weights.get(name, 0.0) + weight
        found = column_statistics(
            known,
            name,
            config.missing_values,
            kind=config.kinds.get(name),
            wants_labels=wants_labels or name in config.targets,
            wants_logs=name in config.targets and config.settings_of(name).target_scale == "log",
            weights=of_known,
            text=config.text,
        )
        if known is not rows:  # the sample is of all rows, and targets need none
            found = replace(found, sample=Sample(np.empty(0)))
        before = part.columns.get(name)
        if before is not None:
            found = replace(before + found, sample=before.sample + found.sample)
        part.columns[name] = (
            found
            if kept is None or known is not rows
            else replace(found, sample=found.sample.take(kept))
        )


def _with_target(
    rows: Table, name: str, config: DataConfig, weights: np.ndarray | None
) -> tuple[Table, np.ndarray | None]:
    """Return the rows that have one of several targets, with their weights."""
    known = present(rows, [name], config.missing_values)
    return rows.take(known), None if weights is None else weights[known]
