"""What a config names in its files and what rows can be learned from, or why not."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from dlcli.columns.cells import TARGET, to_labels
from dlcli.columns.column_statistics import CellCount, ColumnStatistics
from dlcli.columns.numeric import refuse_mixed
from dlcli.config import LoadedConfig
from dlcli.config.sections.data import DataConfig
from dlcli.errors import DataError, Problem, suggest
from dlcli.tables.image_files import PART
from dlcli.tables.table import Table
from dlcli.targets.base import missing_target, name_targets
from dlcli.targets.family import infer_task, target_type
from dlcli.targets.task import Task

_MAX_ALIKE = 8  # columns with the same reason that have a line each
_MAX_NAMED = 3  # of more of them


@dataclass
class FileStatistics:
    """The rows of one file, those without a target among them."""

    header: Table
    num_rows: int = 0
    missing_target: CellCount = field(default_factory=CellCount)
    missing_group: CellCount = field(default_factory=CellCount)  # among the rows with a target

    def add_notes(self, rows: Table) -> None:
        """Add to the header what there is to say of later rows, as of another file of several."""
        more = tuple(note for note in rows.notes if note not in self.header.notes)
        if more:
            self.header = replace(self.header, notes=(*self.header.notes, *more))


def name_problems(loaded: LoadedConfig, table: Table) -> Iterator[Problem]:
    """Yield a problem for every column that the config names and can't have there."""
    config = loaded.config.data
    named = [
        *_target_paths(config),
        *((("data", "features", index), name) for index, name in enumerate(config.features or ())),
        *((("data", "kinds", name), name) for name in config.kinds),
        *((("data", *role), name) for role, name in config.roles()),
    ]
    if config.window is not None:
        del named[0]  # the first of these
        for key in ("targets", "known"):
            names = enumerate(getattr(config.window, key))
            named += [(("data", "window", key, index), name) for index, name in names]
    known = table.frame.columns
    for path, name in named:
        if name not in known:
            yield loaded.problem(path, f"{table.source} {without_column(name, table)}")
    for name in config.kinds:
        path = ("data", "kinds", name)
        if name in config.targets and config.window is None:
            yield loaded.problem(path, "the target has no kind; set data.task instead")
        elif name == config.split.column:
            yield loaded.problem(path, f"does nothing: '{name}' is the split column")
        elif name == config.weight:
            yield loaded.problem(path, f"does nothing: '{name}' is the weight column")
        elif name in known and not config.may_be_feature(name):
            reason = "not among data.features"
            if name in config.keep:
                reason = "no feature (data.keep)"
            elif config.features is None:
                reason = f"no feature unless data.features names it ({_role_of(name, config)})"
            yield loaded.problem(path, f"does nothing: '{name}' is {reason}")
    if config.features is not None and config.split.column in config.features:
        yield loaded.problem(("data", "features"), "the split column is no feature")
    if PART in table.labels and PART not in (config.split.column, *config.keep):
        yield loaded.problem(
            ("data", "split"),
            f"{table.source} has folders of parts, so write `split: {{column: {PART}}}`; to split "
            f"all images anew, write `keep: [{PART}]` in `data`",
        )


def _target_paths(config: DataConfig) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield the path of each target in the config, and its name."""
    if isinstance(config.target, str):
        yield ("data", "target"), config.target
    else:
        yield from ((("data", "target", index), name) for index, name in enumerate(config.target))


def without_column(name: str, table: Table) -> str:
    """Say that a table has no column of this name, and which it may be."""
    hint = suggest(name, table.frame.columns) or table.known_columns(name)
    return f"has no column '{name}'{hint}"


def without_unknown(config: DataConfig, known: list[str]) -> DataConfig | None:
    """Return the config without the names that are not known; None where it can't do without."""
    needed = [*config.targets, *(name for role, name in config.roles() if role[0] != "keep")]
    if config.window is not None:
        needed += [*config.window.targets, *config.window.known]
    no_features = (*config.targets, config.split.column)
    features = config.features
    if features is not None:
        features = tuple(name for name in features if name in known and name not in no_features)
    if features == () or not set(needed) <= set(known):
        return None
    kinds = {
        name: kind
        for name, kind in config.kinds.items()
        if name in known and name not in no_features
    }
    keep = tuple(name for name in config.keep if name in known)
    return config.model_copy(update={"features": features, "kinds": kinds, "keep": keep})


def role_notes(config: DataConfig, columns: Sequence[str]) -> Iterator[str]:
    """Say which columns are no features because of their role, where `features` doesn't."""
    if config.features is None:
        for role, name in config.roles():
            if role in (("split", "group"), ("split", "time")) and name in columns:
                yield f"'{name}' is no feature, as it is data.split.{role[1]} (data.features)"


def missing_group_notes(file: FileStatistics, config: DataConfig) -> Iterator[str]:
    """Say how rows without a group are treated, if there are any."""
    missing = file.missing_group
    if missing.count:
        place = file.header.place_of(missing.number)
        yield (
            f"{missing.count} of {file.num_rows} rows have no '{config.split.group}', the first "
            f"one at {place}: each is treated as a group of its own (data.split.group)"
        )


def _role_of(name: str, config: DataConfig) -> str:
    """Return the key that gives a column its role."""
    role = next(role for role, column in config.roles() if column == name)
    return ".".join(["data", *(key for key in role if isinstance(key, str))])


def refuse_missing_target(file: FileStatistics, config: DataConfig) -> list[str]:
    """Say how many rows without a target are left out; DataError where none may be, or all are."""
    source, missing = file.header.source, file.missing_target
    if not file.num_rows:
        raise DataError(f"{source}: no rows below the header")
    if not missing.count:
        return []
    if not config.drop_missing_target:
        place = file.header.place_of(missing.number)
        tasks = [config.task_of(name) for name in config.targets]
        hints = [target_type(task).missing_hint for task in tasks if task is not None]
        hint = next(filter(None, hints), "")
        count = missing.count, file.num_rows
        raise missing_target(config.targets, place, *count, config.missing_values, hint=hint)
    if missing.count == file.num_rows:
        raise DataError(f"{source}: {name_targets(config.targets)} missing in every row")
    names = " and ".join(f"'{name}'" for name in config.targets)
    return [
        f"{source}: {missing.count} of {file.num_rows} rows left out, without {names} "
        "(data.drop_missing_target)"
    ]


def choose_task(target: ColumnStatistics, config: DataConfig) -> tuple[Task, list[str]]:
    """Return a target's task by the config, or the one inferred from all rows, and notes.

    Raises DataError where a target is neither classes nor numbers, or has nothing to learn.
    """
    task, notes = config.task_of(target.name), list[str]()
    if task is None:
        refuse_mixed(target, TARGET)
        task, reason = infer_task(target)
        notes.append(f"task: {task}, as '{target.name}' has {reason} (data.task)")
    elif config.task is None:
        notes.append(f"task: {task}, as data.order gives the order of classes (data.task)")
    if config.split.column is None and target_type(task).has_classes:
        _refuse_single_rows(target)
    return task, notes


def _refuse_single_rows(target: ColumnStatistics) -> None:
    """Raise DataError where no two rows have the same class."""
    assert target.labels is not None, "the target's labels are gathered"
    if target.labels.are_too_many or target.num_known <= 2:
        return
    if to_labels(target.labels.cells).n_unique() == target.num_known:
        raise DataError(
            f"{target.source}: the target '{target.name}' has a different class in every row; "
            "there is nothing to learn"
        )


def refuse_empty(num_rows: Mapping[str, int], source: str, config: DataConfig) -> None:
    """Raise DataError where a part that the config asks for has no rows."""
    wanted = {
        "train": True,
        "validation": config.split.validation > 0,
        "test": config.split.test > 0,
    }
    for name, count in num_rows.items():
        if wanted[name] and not count:
            if config.split.group is not None:
                raise DataError(
                    f"{source}: too few groups for the split: none of '{config.split.group}' fell "
                    f"to {name}; change data.split or add rows of other groups"
                )
            raise DataError(
                f"{source}: too few rows for the split: {sum(num_rows.values())} in all leave none "
                f"for {name}; change data.split or add rows"
            )


def describe_left_out(reasons: Mapping[str, str]) -> list[str]:
    """Return a line for each column that is left out; one for many that are for the same reason."""
    alike: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        alike.setdefault(reason, []).append(name)
    lines = []
    for name, reason in reasons.items():
        names = alike[reason]
        if len(names) <= _MAX_ALIKE:
            lines.append(f"'{name}' is left out: {reason} (data.features)")
        elif name == names[0]:
            lines.append(
                f"{len(names):,} columns are left out: {reason}: {shortlist(names)} (data.features)"
            )
    return lines


def shortlist(names: Sequence[str]) -> str:
    """Return the first of some names, and how many more there are."""
    shown = ", ".join(f"'{name}'" for name in names[:_MAX_NAMED])
    return shown if len(names) <= _MAX_NAMED else f"{shown} and {len(names) - _MAX_NAMED:,} more"
