"""The targets, which task a column's cells call for, and the target fitted to them.

A network predicts one of them, or several: see `several_targets`.
"""

from collections.abc import Sequence
from typing import Annotated, get_args

import polars as pl
from pydantic import Field

from dlcli.columns.cells import parse_numbers, to_labels
from dlcli.columns.column_statistics import ColumnStatistics
from dlcli.columns.labels import MAX_LABELS
from dlcli.columns.numeric import are_numbers
from dlcli.targets.base import TargetSettings
from dlcli.targets.class_target import ClassTarget
from dlcli.targets.label_sets import are_lists
from dlcli.targets.multilabel_target import MultilabelTarget
from dlcli.targets.number_target import ForecastTarget, NumberTarget
from dlcli.targets.ordinal_target import OrdinalTarget
from dlcli.targets.task import Task

OneTarget = ClassTarget | OrdinalTarget | MultilabelTarget | NumberTarget | ForecastTarget

TARGETS: tuple[type[OneTarget], ...] = get_args(OneTarget)
AnyOneTarget = Annotated[OneTarget, Field(discriminator="kind")]

_MAX_NUMBERED_CLASSES = 20
_MIN_ROWS = 3  # for each of them, on average


def fit_target(statistics: ColumnStatistics, task: Task, settings: TargetSettings) -> OneTarget:
    """Fit to the training rows' statistics; DataError where they can't be learned from."""
    return target_type(task).fit(statistics, task, settings)


def target_type(task: Task) -> type[OneTarget]:
    """Return what a target of a task is."""
    return next(target for target in TARGETS if task in target.tasks())


def fit_forecast(
    numbers: Sequence[ColumnStatistics], horizon: int, settings: TargetSettings
) -> ForecastTarget:
    """Fit to the training steps' statistics of each column that is forecast; DataError."""
    fitted = [NumberTarget.fit(one, "regression", settings) for one in numbers]
    return ForecastTarget.of(fitted, horizon=horizon)


def infer_task(statistics: ColumnStatistics) -> tuple[Task, str]:
    """Infer the task from the target's statistics, with the reason."""
    known, labels = statistics.num_known, statistics.labels
    assert labels is not None, "the target's labels are gathered"
    many = labels.are_too_many
    if not many and labels.cells.dtype == pl.String and are_lists(labels.cells.to_list()):
        return "multilabel", f"lists of labels, {len(labels.cells)} different ones"
    num_labels = MAX_LABELS + 1 if many else to_labels(labels.cells).n_unique()
    distinct = f"more than {MAX_LABELS:,}" if many else str(num_labels)
    if known and not statistics.are_names and are_numbers(statistics):
        numbers = None if many else parse_numbers(labels.cells).unique()
        if numbers is None or len(numbers) > _MAX_NUMBERED_CLASSES:
            return "regression", f"{distinct} different numbers"
        if not (numbers == numbers.floor()).all():
            return "regression", f"{distinct} different numbers"
        if len(numbers) > 2 and known < _MIN_ROWS * len(numbers):
            return "regression", f"{distinct} different numbers in {known} rows"
        reason = f"whole numbers with {distinct} different values"
    else:
        reason = f"{distinct} different labels"
        if statistics.code is not None:
            reason += f": {statistics.code}"
    return ("binary" if num_labels <= 2 else "multiclass"), reason
