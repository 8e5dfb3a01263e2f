"""What streamed files are fitted to, and every check that rows in memory go through as well."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass

from dlcli.columns.column_statistics import ColumnStatistics
from dlcli.columns.numeric import refuse_mixed
from dlcli.config import LoadedConfig
from dlcli.config.sections.data import DataConfig
from dlcli.data.fitted import FittedData
from dlcli.data.fitting import ColumnReport, feature_names, fit_to_facts_of
from dlcli.data.gathering import SAMPLE_ROWS, FileFacts, PartFacts, gather
from dlcli.data.stream import Reading, Stream
from dlcli.data.target import (
    class_labels,
    infer_task_from,
    metrics_of,
    missing_target,
    refuse_unfit,
)
from dlcli.errors import DataError
from dlcli.targets.task import Task


@dataclass(frozen=True)
class StreamFit:
    """What one pass over the files leads to."""

    fitted: FittedData
    task: Task
    num_rows: dict[str, int]  # of each part that has some, "train" first
    columns: tuple[ColumnReport, ...]
    notes: tuple[str, ...]


def fit_stream(loaded: LoadedConfig, stream: Stream) -> Generator[Reading, None, StreamFit]:
    """Read the files once, fit to their training rows, and check the rows of the other parts.

    Raises ConfigError where the config and the data don't fit, DataError where the data can't be
    used, both with the words and the places of `load_dataset`.
    """
    gathered = yield from gather(stream)
    config, parts, notes = loaded.config.data, gathered.parts, list[str]()
    for file in gathered.files.values():
        notes += _refuse_missing_target(file, config)
    task = config.task
    whole = _whole_target(stream, parts)
    if task is None:
        refuse_mixed(whole, is_target=True)
        task, reason = infer_task_from(whole)
        notes.append(f"task: {task}, as '{config.target}' has {reason} (data.task)")
    if config.split.column is None and task != "regression":
        _refuse_own_classes(whole)
    refuse_empty({name: part.num_rows for name, part in parts.items()}, whole.source, config)
    train = parts["train"]
    fitted, columns, said = fit_to_facts_of(
        loaded, feature_names(config, train.header.frame.columns), train.columns.__getitem__, task
    )
    notes += said
    for name, part in parts.items():
        if name != "train" and part.num_rows:
            notes += [f"{name} rows: {odd}" for odd in check_part(fitted, part)]
    notes += _approximations(config, fitted, train)
    num_rows = {name: part.num_rows for name, part in parts.items() if part.num_rows}
    return StreamFit(fitted, task, num_rows, columns, tuple(notes))


def check_stream(fitted: FittedData, stream: Stream) -> Generator[Reading, None, list[str]]:
    """Read files once, as rows to be encoded by what was fitted before, and say what is odd.

    Raises DataError where encoding would, before anything is encoded.
    """
    gathered = yield from gather(stream)
    notes: list[str] = []
    for file in gathered.files.values():
        notes += _refuse_missing_target(file, stream.config)
    for part in gathered.parts.values():
        if part.num_rows:
            notes += check_part(fitted, part)
    return notes


def check_part(fitted: FittedData, part: PartFacts) -> Iterator[str]:
    """Yield what is odd about rows that something fitted will encode; DataError as encoding."""
    for column in fitted.columns:
        part.header.column(column.name)
        facts = part.columns[column.name]
        column.refuse_other(facts)
        odd = column.find_unseen(facts)
        if odd is not None:
            yield str(odd)
    refuse_unfit(fitted.target, part.columns[fitted.target.name])


def refuse_empty(num_rows: dict[str, int], source: str, config: DataConfig) -> None:
    """Raise DataError where a part that the config asks for has no rows."""
    wanted = {
        "train": True,
        "validation": config.split.validation > 0,
        "test": config.split.test > 0,
    }
    for name, count in num_rows.items():
        if wanted[name] and not count:
            raise DataError(
                f"{source}: too few rows for the split: {sum(num_rows.values())} in all leave none "
                f"for {name}; change data.split or add rows"
            )


def _refuse_missing_target(file: FileFacts, config: DataConfig) -> Iterator[str]:
    """Yield what was left out for want of a target; DataError where nothing may be, or all is."""
    source, missing = file.header.source, file.missing_target
    if not file.num_rows:
        raise DataError(f"{source}: no rows below the header")
    if not missing.count:
        return
    if not config.drop_missing_target:
        place = f"{source}, {file.header.unit} {missing.number}"
        raise missing_target(config.target, place, missing.count, file.num_rows)
    if missing.count == file.num_rows:
        raise DataError(f"{source}: the target '{config.target}' is missing in every row")
    yield (
        f"{source}: {missing.count} of {file.num_rows} rows left out, without '{config.target}' "
        "(data.drop_missing_target)"
    )


def _whole_target(stream: Stream, parts: dict[str, PartFacts]) -> ColumnStatistics:
    """Return the facts of the target in all rows of `path`, whatever part they are in."""
    source = str(stream.files["path"])
    facts = [
        part.columns[stream.config.target]
        for part in parts.values()
        if part.num_rows and part.header.source == source
    ]
    whole = facts[0]
    for more in facts[1:]:
        whole += more
    return whole


def _refuse_own_classes(whole: ColumnStatistics) -> None:
    assert whole.labels is not None, "the target's labels are gathered"
    if whole.labels.are_too_many or whole.num_known <= 2:
        return
    if class_labels(whole.labels.cells).n_unique() == whole.num_known:
        raise DataError(
            f"{whole.source}: the target '{whole.name}' has a class of its own in each row; there "
            "is nothing to learn"
        )


def _approximations(config: DataConfig, fitted: FittedData, train: PartFacts) -> Iterator[str]:
    """Yield what is not as it would be with all rows in memory."""
    if config.split.validation or config.split.test:
        yield (
            "each row is drawn for its part by itself, so classes are in their shares only on "
            "average (data.split, data.streaming)"
        )
    if "roc_auc" in metrics_of(fitted.target):
        yield (
            "roc_auc takes scores that are alike in their first three digits for equal "
            "(data.streaming)"
        )
    has_medians = any(column.fills_with_median for column in fitted.columns)
    if train.num_rows > SAMPLE_ROWS and has_medians:
        yield (
            f"medians, which stand for missing numbers, are those of {SAMPLE_ROWS:,} training rows "
            "drawn at random (data.streaming)"
        )
