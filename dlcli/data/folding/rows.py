"""A config's rows → folds of them, and the data of each: fitted and encoded by its own rows."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from dlcli.columns.cells import read_cells, to_labels
from dlcli.columns.column_statistics import CellCount
from dlcli.config import LoadedConfig
from dlcli.config.sections.split import SplitConfig
from dlcli.data.dataset import Dataset, fit_dataset, open_rows
from dlcli.data.folding.cutting import Fold, chain_folds, draw_folds, draw_group_folds
from dlcli.data.held_rows import HeldRows, strata_of
from dlcli.data.splits import TimeReader
from dlcli.data.splits.groups import group_codes, group_labels, group_note
from dlcli.data.stream import Block, Reading, drain
from dlcli.errors import DataError, Problem, counted
from dlcli.seeds import derive_seed
from dlcli.tables.reading import concatenate
from dlcli.tables.sources import Source
from dlcli.tables.table import Table
from dlcli.targets.family import target_type

MIN_ROWS = 2  # that a fold holds out, and as many classes have


@dataclass(frozen=True)
class FoldedRows:
    """All rows but the test rows, cut into folds; those of one repeat follow each other.

    Kinds of columns, features and task are those of all these rows, so that a column is the same
    kind in every fold. Whatever else is fitted is fitted to the training rows of each fold alone.
    """

    loaded: LoadedConfig  # with these settled
    whole: Dataset  # everything fitted to all rows: parts "train" and, if there is one, "test"
    rows: Table  # those of the part "train" of it, as they are in their file
    folds: tuple[Fold, ...]  # of `rows`; folds × repeats of them
    num_folds: int  # of a repeat
    files: Mapping[str, Source]
    test_rows: Table | None
    test_key: str  # of the file that they are in

    @property
    def num_repeats(self) -> int:
        """How often the rows are cut."""
        return len(self.folds) // self.num_folds

    @property
    def held_out(self) -> np.ndarray:
        """Say of each row whether a fold holds it out; the earliest in time are in none."""
        found = np.zeros(len(self.rows), bool)
        for fold in self.folds[: self.num_folds]:
            found[fold.validation] = True
        return found

    def dataset(
        self, number: int, loaded: LoadedConfig | None = None, *, with_test: bool = False
    ) -> Dataset:
        """Return the data of the fold with this number, from 0, fitted and encoded.

        Its parts are "train", "validation" (the rows that it holds out) and, where they are asked
        for and there are some, "test". `loaded` is another config, of the same folds and split.
        Raises ConfigError and DataError as reading the data does.
        """
        fold = self.folds[number]
        parts = {"train": self.rows.take(fold.train), "validation": self.rows.take(fold.validation)}
        source = self._source({"path": parts}, with_test=with_test)
        loaded = self.loaded if loaded is None else settle(loaded, self.whole)
        try:
            return drain(fit_dataset(_as_split(loaded), source))
        except DataError as error:
            raise DataError(
                f"fold {number % self.num_folds + 1} of {self.num_folds}: {error}"
            ) from None

    def halves(self, number: int) -> np.ndarray:
        """Return which half of the rows that a fold holds out each is in, bool [rows].

        Halves are alike as folds are: by classes, groups and times. Where the rows are of one
        group, or of one time, they are drawn row by row.
        """
        held = self.rows.take(self.folds[number].validation)
        split, seed = self.loaded.config.data.split, derive_seed(self.seed, "halves", number)
        strata = strata_of(held, self.loaded.config.data, self.loaded.config.data.targets[0])
        if split.time is not None:
            times = TimeReader(split.time).read(held)
            is_late: np.ndarray = times > np.median(times)
            if is_late.any():
                return is_late
        elif split.group is not None:
            groups = group_codes(held, split.group)
            if groups.max():
                return _in_first(draw_group_folds(groups, 2, seed=seed, strata=strata), len(held))
        return _in_first(draw_folds(len(held), 2, seed=seed, strata=strata), len(held))

    @property
    def seed(self) -> int:
        """The seed of the folds."""
        return self.loaded.config.split_seed

    def _source(self, parts: Mapping[str, dict[str, Table]], *, with_test: bool) -> HeldRows:
        of_key = {key: dict(tables) for key, tables in parts.items()}
        if with_test and self.test_rows is not None:
            of_key.setdefault(self.test_key, {})["test"] = self.test_rows
        return _held(self.loaded, self.files, of_key)


def fold_rows(
    loaded: LoadedConfig, num_folds: int, repeats: int = 1, found: list[Problem] | None = None
) -> FoldedRows:
    """Read a config's rows and cut them; what `reading_folds` does, its progress dropped."""
    return drain(reading_folds(loaded, num_folds, repeats, found))


def reading_folds(
    loaded: LoadedConfig, num_folds: int, repeats: int = 1, found: list[Problem] | None = None
) -> Generator[Reading, None, FoldedRows]:
    """Read a config's rows, keep the test rows apart, and cut all others into folds.

    Rows that `data.split` would validate on are among them. Classes are spread evenly, groups stay
    whole, and of rows with times, each fold holds out later ones than it trains on. Each repeat
    cuts anew, but by times. Raises what `read_dataset` does, ConfigError for rows that can't be
    folded, DataError where there are too few for so many folds.
    """
    if loaded.config.data.validation_path is not None:
        raise loaded.error(
            ("data", "validation_path"),
            "folds are cut from the rows of data.path, and hold out rows in turn: list these files "
            "in data.path as well, or leave them out",
        )
    if loaded.config.data.window is not None:
        raise loaded.error(
            ("data", "window"),
            "windows of different folds would have targets in common; train without folds, on a "
            "split by time",
        )
    if len(loaded.config.data.targets) > 1:
        raise loaded.error(
            ("data", "target"),
            "folds are for one target, and there are several: train without folds, with rows held "
            "out by data.split, or fold each target by itself",
        )
    loaded, source, reason = yield from open_rows(loaded, found)
    if not isinstance(source, HeldRows):
        because = "" if reason is None else f" ({reason})"
        raise loaded.error(
            ("data", "streaming"),
            f"folds need the rows in memory, and these are streamed{because}; set data.streaming: "
            "false if they fit, or use a file with a part of the rows",
        )
    rows, test_rows, test_key = _take_apart(source)
    whole_source = _whole(loaded, source, rows, test_rows, test_key)
    whole = yield from fit_dataset(_as_split(loaded), whole_source)
    loaded = settle(loaded, whole)
    cuts = [
        _cut(
            loaded,
            rows,
            num_folds,
            loaded.config.data.targets[0],
            derive_seed(loaded.config.split_seed, repeat),
        )
        for repeat in range(repeats)
    ]
    folds = tuple(fold for cut in cuts for fold in cut)
    _refuse_lone_classes(loaded, rows, loaded.config.data.targets[0], folds)
    return FoldedRows(loaded, whole, rows, folds, num_folds, source.files, test_rows, test_key)


def settle(loaded: LoadedConfig, whole: Dataset) -> LoadedConfig:
    """Return a config with the task, features and kinds that all rows have, where it leaves them.

    Which rows validate is not left to its split any more.
    """
    data = loaded.config.data
    used = {column.name: column.kind for column in whole.fitted.columns}
    features = data.features or tuple(used)
    update = {
        "task": whole.config_task,
        "features": features,
        "kinds": {**{name: used[name] for name in features if name in used}, **data.kinds},
    }
    data = data.model_copy(update=update)
    return replace(loaded, config=loaded.config.model_copy(update={"data": data}))


def _as_split(loaded: LoadedConfig) -> LoadedConfig:
    """Return a config that asks for no rows in any part: its rows are split already."""
    split = loaded.config.data.split
    parts = split.model_copy(update={"validation": 0.0, "test": 0.0})
    data = loaded.config.data.model_copy(update={"split": parts})
    return replace(loaded, config=loaded.config.model_copy(update={"data": data}))


def _take_apart(source: HeldRows) -> tuple[Table, Table | None, str]:
    """Return the rows that are folded in the order of their file, the test rows, and their key."""
    folded: list[Table] = []
    test_rows, test_key = None, "path"
    for key in source.files:
        for block in source.blocks(key):
            for part, table in block.tables():
                if part == "test":
                    test_rows, test_key = table, key
                else:
                    folded.append(table)
    rows = folded[0] if len(folded) == 1 else concatenate(folded)
    return rows.take(np.argsort(rows.numbers, kind="stable")), test_rows, test_key


def _whole(
    loaded: LoadedConfig, source: HeldRows, rows: Table, test_rows: Table | None, test_key: str
) -> HeldRows:
    """Return the rows as one training part beside the test rows, with what is said of both."""
    parts: dict[str, dict[str, Table]] = {"path": {"train": rows}}
    if test_rows is not None:
        parts.setdefault(test_key, {})["test"] = test_rows
    counts = {key: [*source.blocks(key)][:1] for key in source.files}
    held = _held(loaded, source.files, parts, counts)
    notes: tuple[str, ...] = ()
    split = loaded.config.data.split
    if source.cuts is not None:
        notes = tuple(replace(source.cuts, validation=None).notes(str(split.time)))
    elif split.group is not None and test_rows is not None:
        labels = group_labels(concatenate([rows, test_rows]), split.group)
        places = np.arange(len(labels))
        parts_of = {"train": places[: len(rows)], "test": places[len(rows) :]}
        notes = (group_note(labels, parts_of),)
    return replace(held, split_notes=notes)


def _held(
    loaded: LoadedConfig,
    files: Mapping[str, Source],
    parts: Mapping[str, Mapping[str, Table]],
    counts: Mapping[str, list[Block]] | None = None,
) -> HeldRows:
    """Return tables as the parts of files; `counts` are blocks that stand for all of a file."""
    held: dict[str, list[Block]] = {}
    headers = {}
    for key, tables in parts.items():
        blocks = [
            Block(rows, {part: np.arange(len(rows))}, 0, len(rows), CellCount(), CellCount())
            for part, rows in tables.items()
        ]
        for known in (counts or {}).get(key, ()):
            blocks[0] = replace(known, rows=blocks[0].rows, parts=blocks[0].parts)
            blocks[1:] = [replace(block, num_rows=0) for block in blocks[1:]]
        held[key] = blocks
        headers[key] = blocks[0].rows.take(np.empty(0, np.int64))
    named = {key: file for key, file in files.items() if key in parts}
    return HeldRows(loaded.config.data, named, loaded.config.split_seed, headers, held)


def _in_first(folds: list[Fold], num_rows: int) -> np.ndarray:
    found = np.zeros(num_rows, bool)
    found[folds[0].validation] = True
    return found


def _cut(loaded: LoadedConfig, rows: Table, num_folds: int, target: str, seed: int) -> list[Fold]:
    config = loaded.config.data
    split, source = config.split, rows.source
    if len(rows) < MIN_ROWS * num_folds:
        most = len(rows) // MIN_ROWS
        raise DataError(
            f"{source}: {counted(len(rows), 'row')} besides the test rows are too few for "
            f"{num_folds} folds, which hold out at least {MIN_ROWS} each; "
            + (f"take at most {most} folds, or add rows" if most > 1 else "add rows")
        )
    if split.time is not None:
        times = TimeReader(split.time).read(rows)
        _refuse_few(len(np.unique(times)), num_folds + 1, "different time", split, source)
        return chain_folds(times, num_folds)
    strata = strata_of(rows, config, target)
    if split.group is None:
        return draw_folds(len(rows), num_folds, seed=seed, strata=strata)
    groups = group_codes(rows, split.group)
    _refuse_few(int(groups.max()) + 1, num_folds, "group", split, source)
    return draw_group_folds(groups, num_folds, seed=seed, strata=strata)


def _refuse_few(number: int, needed: int, what: str, split: SplitConfig, source: str) -> None:
    """Raise DataError where there are fewer groups or times than folds need."""
    if number >= needed:
        return
    column = split.group or split.time
    spare = needed - number
    most = (needed if split.group else needed - 1) - spare
    raise DataError(
        f"{source}: '{column}' has {counted(number, what)} besides the test rows, and so many "
        f"folds need {needed}: "
        + (f"take at most {most} folds, or " if most > 1 else "")
        + f"name another column in data.split.{'group' if split.group else 'time'}"
    )


def _refuse_lone_classes(
    loaded: LoadedConfig, rows: Table, target: str, folds: tuple[Fold, ...]
) -> None:
    """Raise DataError for a class that no row of a fold trains, while others are held out."""
    config = loaded.config.data
    strata = strata_of(rows, config, target)
    task = config.task_of(target)
    if strata is None or task is None or not target_type(task).has_classes:
        return
    present = np.unique(strata)
    for fold in folds:
        lacking = np.setdiff1d(present, strata[fold.train])
        if not len(lacking):
            continue
        first = int(np.flatnonzero(strata == lacking[0])[0])
        label = to_labels(read_cells(rows, target, config.missing_values, takes_lists=True))[first]
        why = "is in one row only"
        if config.split.group is not None:
            why = f"is in too few of '{config.split.group}'"
        elif config.split.time is not None:
            why = f"comes only at times of '{config.split.time}' that are held out"
        raise DataError(
            f"{rows.place(first)}: the class {label!r} of '{target}' {why}, so that a fold "
            "would hold it out and train on none; add rows of it, remove it, or merge it with "
            "another class"
        )
