"""A config's `data` → training, validation and test rows, encoded by what training rows show."""

import sys
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from dlcli.columns.unseen import UnseenCells
from dlcli.config import LoadedConfig
from dlcli.config.sections.data import DataConfig
from dlcli.data.checks import FileStatistics, name_problems, refuse_missing_target, without_unknown
from dlcli.data.encoding import EncodedParts
from dlcli.data.fields import Examples
from dlcli.data.fitted import FittedData
from dlcli.data.fitting import ColumnReport, Fit, fit_rows
from dlcli.data.held_rows import hold_rows, read_tables
from dlcli.data.image_checksums import images_checksum, images_key
from dlcli.data.kept_rows import KeptParts, KeptRows, max_rows_of, parts_to_keep
from dlcli.data.memory_estimate import exceeds_memory
from dlcli.data.splits import PARTS
from dlcli.data.stream import (
    Reading,
    RowSource,
    Stream,
    drain,
    missing_targets,
    weigh_rows,
)
from dlcli.data.text_files import recognition_notes
from dlcli.data.weights import all_weightless, weightless_notes
from dlcli.data.windows.fitting import fit_windows, windows_by_part
from dlcli.data.windows.windows import Windows
from dlcli.errors import ConfigError, DataError, Problem
from dlcli.tables.reading import checksum, read_table
from dlcli.tables.sources import Source, find_source
from dlcli.tables.table import Table
from dlcli.tables.text.text_format import TextFormat
from dlcli.targets.base import TargetValues
from dlcli.targets.task import AnyTask, Task, a_target


@dataclass(frozen=True)
class Dataset:
    """Everything that training needs of the data, and what was decided about it."""

    fitted: FittedData
    task: AnyTask
    parts: Mapping[str, Examples]  # by name, "train" first; one without rows is left out
    num_rows: Mapping[str, int]  # of each part
    columns: tuple[ColumnReport, ...]
    notes: tuple[str, ...]
    checksums: dict[str, str]  # SHA-256 of each source and its images, by its config key
    target_values: Mapping[str, TargetValues]  # of each part that was read to its end
    text_settings: Mapping[str, Any] | None  # how its text files are written; None: none is one
    stream: Stream | None = None  # where the rows are read from instead, if there are no parts
    kept: KeptRows = field(default_factory=KeptRows)  # as they are in the files
    num_bins: int | None = None  # of each numeric column, as the layers asked for; None: none did

    @property
    def windows(self) -> dict[str, Windows]:
        """The parts that are windows over series."""
        return {name: part for name, part in self.parts.items() if isinstance(part, Windows)}

    @property
    def config_task(self) -> Task | dict[str, Task]:
        """The task as a config gives it: of several targets, by name."""
        tasks = {target.name: target.task for target in self.fitted.target.parts}
        found = {name: task for name, task in tasks.items() if task != "several"}
        return found if len(found) > 1 else next(iter(found.values()))

    @property
    def target_text(self) -> str:
        """What is predicted, at the beginning of a sentence."""
        if self.task != "several":
            return a_target(self.task)
        parts = self.fitted.target.parts
        return f"the data with the targets {' and '.join(repr(one.name) for one in parts)}"

    def decoding(self) -> Generator[Reading, None, None]:
        """Decode the files that cells of held rows name, if they do; DataError.

        Otherwise they are decoded when a part is first asked for.
        """
        if isinstance(self.parts, EncodedParts):
            yield from self.parts.decoding()

    def some_rows(self, part: str, chosen: np.ndarray) -> Examples:
        """Return some held rows, by their indices, int64 [chosen]; DataError."""
        if isinstance(self.parts, EncodedParts):
            return self.parts.some(part, chosen)
        return self.parts[part].take(chosen)


def load_dataset(loaded: LoadedConfig, found: list[Problem] | None = None) -> Dataset:
    """Read, split, fit and encode; what `read_dataset` does, its progress dropped."""
    return drain(read_dataset(loaded, found))


def read_dataset(
    loaded: LoadedConfig,
    found: list[Problem] | None = None,
    *,
    max_blocks: int | None = None,
    before: FittedData | None = None,
    kept: KeptParts = "none",
) -> Generator[Reading, None, Dataset]:
    """Read, split, fit and encode, or leave the rows to be streamed.

    What was fitted `before` to columns of the same name and kind is kept; and so are rows as they
    are in the files, of the parts that `kept` says.
    Raises ConfigError where the config and the data don't fit, DataError where the data can't be
    used, StorageError where it can't be read. With `found`, names of columns that aren't there are
    added to it and left out, so that the rest can be checked. With `max_blocks`, of a streamed
    file only so many blocks are read, and nothing is said of the rest.
    """
    if loaded.config.data.window is not None:
        return _windowed(loaded, found)
    loaded, source, reason = yield from open_rows(loaded, found, max_blocks)
    return (
        yield from fit_dataset(
            loaded, source, reason=reason, max_blocks=max_blocks, before=before, kept=kept
        )
    )


def fit_dataset(
    loaded: LoadedConfig,
    source: RowSource,
    *,
    reason: str | None = None,
    max_blocks: int | None = None,
    before: FittedData | None = None,
    kept: KeptParts = "none",
) -> Generator[Reading, None, Dataset]:
    """Fit and encode rows that are split, or leave them to be streamed, for a `reason`.

    All else is as `read_dataset` has it.
    """
    parts: Mapping[str, Examples] = {}
    notes = []
    if isinstance(source, Stream):
        fit = yield from fit_rows(loaded, source, before)
        if reason is not None:
            notes = [f"rows are streamed from disk: {reason} (data.streaming)"]
        notes += fit.notes
        kept_rows = KeptRows(
            max_rows_of(fit.fitted.input_fields), parts_to_keep(kept, fit.num_rows)
        )
    else:
        fit = drain(fit_rows(loaded, source, before))
        notes += fit.notes
        blocks = [block for key in source.files for block in source.blocks(key)]
        tables = dict(table for block in blocks for table in block.tables())
        kept_rows = KeptRows(
            max_rows_of(fit.fitted.input_fields), parts_to_keep(kept, fit.num_rows)
        )
        parts = encoded = EncodedParts(fit.fitted)
        for name in fit.num_rows:
            examples, unseen = fit.fitted.encode(tables[name], decodes=False)
            encoded.add(name, examples, tables[name])
            kept_rows.keep_evenly(name, tables[name])
            notes += [f"{name} rows: {cells}" for cells in unseen]
    return Dataset(
        fitted=fit.fitted,
        num_bins=loaded.config.model.num_bins,
        task=fit.task,
        parts=parts,
        num_rows=fit.num_rows,
        columns=fit.columns,
        notes=tuple(notes),
        checksums=_checksums(loaded, source, fit.fitted) if max_blocks is None else {},
        target_values=fit.target_values if source.is_held or max_blocks is None else {},
        text_settings=fit.text_settings,
        stream=source if isinstance(source, Stream) else None,
        kept=kept_rows,
    )


def _windowed(loaded: LoadedConfig, found: list[Problem] | None) -> Dataset:
    """Read the table of a forecast, fit and cut windows; all as `read_dataset` has it."""
    config, files = loaded.config.data, find_sources(loaded)
    table = read_tables(config, files)["path"]
    loaded = _with_known_names(loaded, table, found)
    fit = fit_windows(loaded, table)
    return Dataset(
        fitted=fit.fitted,
        task=fit.fitted.target.task,
        parts=fit.parts,
        num_rows={name: len(part) for name, part in fit.parts.items()},
        columns=fit.columns,
        notes=fit.notes,
        checksums={key: checksum(file) for key, file in files.items()},
        target_values={name: TargetValues() for name in fit.parts},
        text_settings=fit.text_settings,
        num_bins=loaded.config.model.num_bins,
    )


def _checksums(loaded: LoadedConfig, source: RowSource, fitted: FittedData) -> dict[str, str]:
    """Return the checksums of files and, by keys of their own, of the images that they name."""
    found = {key: checksum(file) for key, file in source.files.items()}
    for key, file in source.files.items():
        of_images = images_checksum(fitted, file, loaded.config.data.text_format)
        if of_images is not None:
            found[images_key(key)] = of_images
    return found


def _kept_rows(fit: Fit, kept: KeptParts) -> KeptRows:
    return KeptRows(max_rows_of(fit.fitted.input_fields), parts_to_keep(kept, fit.num_rows))


def load_tables(loaded: LoadedConfig, max_rows: int | None = None) -> dict[str, Table]:
    """Return the rows of each part that has some as they stand in the files.

    Of a part with more than `max_rows` (None: all are returned), so many: evenly taken from all
    where rows are held, the first ones where they are streamed. Raises what `load_dataset` does.
    """
    _, source, _ = drain(open_rows(loaded))
    kept = KeptRows(sys.maxsize if max_rows is None else max_rows)
    for key in source.files:
        parts = source.possible_parts(key)
        for block in source.blocks(key):
            for part, rows in block.tables():
                if source.is_held:
                    kept.keep_evenly(part, rows)
                else:
                    kept.keep_first(part, rows)
            if not source.is_held and all(map(kept.is_full, parts)):
                break
    found = {name: kept.table(name) for name in PARTS}
    return {name: rows for name, rows in found.items() if rows is not None}


def load_windows(loaded: LoadedConfig, fitted: FittedData) -> dict[str, Windows]:
    """Return the windows of each part of a run's own table, encoded as they were; DataError."""
    config = loaded.config.data
    source = find_sources(loaded)["path"]
    return windows_by_part(fitted, read_table(source, config.text_format), config)


def open_stream(loaded: LoadedConfig) -> Stream:
    """Return the stream of a config's files; DataError where they can't be split."""
    return drain(_unsettled(loaded).settle())


def _unsettled(loaded: LoadedConfig) -> Stream:
    return Stream(loaded.config.data, find_sources(loaded), loaded.config.split_seed)


def open_rows(
    loaded: LoadedConfig, found: list[Problem] | None = None, max_blocks: int | None = None
) -> Generator[Reading, None, tuple[LoadedConfig, RowSource, str | None]]:
    """Return the config with names of columns that are there, its rows, and why they are streamed.

    Raises what `read_dataset` does.
    """
    config, files = loaded.config.data, find_sources(loaded)
    reason = exceeds_memory(files.values(), config) if config.streaming == "auto" else None
    if config.streaming is True or reason is not None:
        stream = replace(_unsettled(loaded), max_blocks=max_blocks)
        loaded = _with_known_names(loaded, stream.header("path"), found)
        stream = yield from replace(stream, config=loaded.config.data).settle()
        return loaded, stream, reason
    tables = read_tables(config, files)
    loaded = _with_known_names(loaded, tables["path"], found)
    return loaded, hold_rows(loaded.config.data, files, tables, loaded.config.split_seed), None


def find_sources(loaded: LoadedConfig) -> dict[str, Source]:
    """Return the files of each config key that names some; DataError where there are none."""
    found = {
        key: find_source(name, loaded.folder, loaded.config.data.selection)
        for key in ("path", "validation_path", "test_path")
        if (name := getattr(loaded.config.data, key)) is not None
    }
    for key, source in found.items():
        if source.is_standard_input:
            raise DataError(
                f"data.{key}: standard input can be read only once, and training reads its rows "
                "more than once; save them to a file, and name that"
            )
    return found


def _with_known_names(
    loaded: LoadedConfig, table: Table, found: list[Problem] | None
) -> LoadedConfig:
    """Return the config with names of columns that are there; ConfigError where others can't go."""
    problems = list(name_problems(loaded, table))
    if not problems:
        return loaded
    sound = without_unknown(loaded.config.data, table.frame.columns)
    if found is None or sound is None:
        raise ConfigError(*loaded.in_order([*(found or []), *problems]))
    found += problems
    return replace(loaded, config=loaded.config.model_copy(update={"data": sound}))


def encode_rows(
    fitted: FittedData, source: Source, config: DataConfig, said: TextFormat
) -> tuple[Examples, list[str], list[UnseenCells]]:
    """Read and encode a whole source that has the target, as training did.

    `said` is how it is written, if it is a text file. Returns notes on how that is and on rows that
    are left out, and what is unseen. Raises DataError where it can't be used.
    """
    rows, notes = judged_rows(fitted, source, config, said)
    examples, unseen = fitted.encode(rows)
    return examples, notes, unseen


def judged_rows(
    fitted: FittedData, source: Source, config: DataConfig, said: TextFormat
) -> tuple[Table, list[str]]:
    """Read a whole source that has the target, as `encode_rows` does; return the rows that count.

    Beside them notes on how it is written and on rows that are left out; DataError.
    """
    rows = fitted.clean(read_table(source, fitted.text_format(said)))
    missing = missing_targets(rows, config)
    notes = [*recognition_notes([rows])]
    notes += refuse_missing_target(FileStatistics(rows, len(rows), missing), config)
    kept, weightless = weigh_rows(rows, config)
    if len(weightless):
        if not len(kept):
            raise all_weightless(str(config.weight), rows.place(int(weightless[0])))
        notes += weightless_notes(len(weightless))
    if len(kept) < len(rows):
        rows = rows.take(kept)
    return rows, notes
