"""Warnings about a table: useless columns, imbalance, repeated rows, leakage, dates."""

from collections import Counter
from collections.abc import Iterator, Mapping

import polars as pl

from dlcli.columns.base import Column
from dlcli.columns.family import infer_kind, statistics_of_cells
from dlcli.data.fields import Examples
from dlcli.data.survey.leakage import share_predicted
from dlcli.errors import are, counted
from dlcli.losses import default_loss
from dlcli.targets.label_sets import LISTS, labels_in
from dlcli.targets.task import Task

_MIN_ROWS = 20  # needed to recognise an identifier
_IMBALANCE = 5  # the ratio of the largest class to the smallest
_FEW_ROWS_OF_CLASS = 10
_LEAKAGE = 0.99  # fraction of the target that one column predicts


def why_useless(cells: pl.Series) -> str | None:
    """Say why a column, null where missing, carries no information; None if it may."""
    inference = infer_kind(cells)
    if inference.kind is None:
        return inference.reason
    if cells.n_unique() == 1:
        return f"it is {cells[0]} in every row"
    known = cells.drop_nulls()
    return inference.kind.names_rows(known) if len(known) >= _MIN_ROWS else None


def code_findings(features: Mapping[str, pl.Series], target: pl.Series) -> Iterator[str]:
    """Yield which columns read as numbers and are codes, with the key for where they are none."""
    for cells in (target, *features.values()):
        code = statistics_of_cells(cells).code if cells.dtype == pl.String else None
        if code is None:
            continue
        what, key = "categories", f"data.kinds: {{{cells.name}: numeric}}"
        if cells is target:
            what, key = "classes", "data.task: regression and loss: mse"
        yield f"'{cells.name}' has {code}: treated as {what}; where they are amounts, set {key}"


def class_findings(labels: pl.Series, task: Task) -> Iterator[str]:
    """Yield what is unusual about the classes of a target."""
    counts = dict(labels.value_counts(sort=True).iter_rows())
    commonest, most = next(iter(counts.items()))
    rarest, fewest = list(counts.items())[-1]
    if most > _IMBALANCE * fewest:
        loss = default_loss(task).type
        yield (
            f"the classes are imbalanced: {most:,} of {len(labels):,} rows are '{commonest}', "
            f"{fewest:,} {are(fewest)} '{rarest}'. Always predicting '{commonest}' has an accuracy "
            f"of {most / len(labels):.3f}, so look at balanced_accuracy; if every class matters "
            f"equally, set loss: {{type: {loss}, class_weights: balanced}}"
        )
    few = [f"'{label}'" for label, count in counts.items() if count < _FEW_ROWS_OF_CLASS]
    if few:
        yield (
            f"fewer than {_FEW_ROWS_OF_CLASS} rows are of class {', '.join(few[:10])}: too few to "
            "learn from or to evaluate on (data.target)"
        )


def label_findings(cells: pl.Series) -> Iterator[str]:
    """Yield what is unusual about lists of labels, null where missing."""
    known = cells.drop_nulls().to_list()
    counts = Counter(label for cell in known for label in labels_in(cell, LISTS) or ())
    few = [f"'{label}'" for label, count in counts.items() if count < _FEW_ROWS_OF_CLASS]
    if few:
        yield (
            f"fewer than {_FEW_ROWS_OF_CLASS} rows have {', '.join(sorted(few)[:10])}: too few to "
            "learn from or to evaluate on (data.target)"
        )
    num_empty = known.count("[]")
    if num_empty:
        yield (
            f"{num_empty:,} of {len(known):,} rows have an empty list: it counts as having no "
            "label, not as missing (data.target)"
        )


def row_findings(features: pl.DataFrame, target: pl.Series, task: Task) -> Iterator[str]:
    """Yield what is unusual about the rows as a whole."""
    both = features.with_columns(target.alias(""))
    repeated = len(both) - both.n_unique()
    if repeated:
        yield (
            f"{repeated:,} of {len(both):,} rows {are(repeated)} the same as an earlier row: one "
            "may train where the other tests (data.split)"
        )
    contradicting = both.n_unique() - features.n_unique()
    if contradicting and task != "regression":
        yield (
            f"{counted(contradicting, 'row')} with another '{target.name}' than a row with equal "
            "features: no network can predict both (data.features)"
        )


def column_findings(
    columns: Mapping[str, pl.Series],
    kinds: Mapping[str, type[Column]],
    target: pl.Series,
    task: Task,
) -> Iterator[str]:
    """Yield what is unusual about single columns, null where missing."""
    for name, cells in columns.items():
        missing = cells.null_count() / len(cells)
        if missing > 0.5:
            yield f"'{name}' is missing in {missing:.0%} of the rows (data.features)"
        share = share_predicted(cells, kinds[name], target, task)
        if share is not None and share >= _LEAKAGE:
            what = f"'{target.name}' in {share:.1%} of the rows"
            if task == "regression":
                what = f"{share:.1%} of the variance of '{target.name}'"
            yield (
                f"'{name}' alone predicts {what}: if it is known only once '{target.name}' is, it "
                "is target leakage; take it out of data.features"
            )
    times = [
        name
        for name, kind in kinds.items()
        if kind.axis == "time" and not columns[name].null_count()
    ]
    if times:
        yield (
            f"'{times[0]}' is a time, and test rows are drawn from all times: to evaluate on the "
            f"future, set data.split.time: {times[0]}"
        )


def repeated_rows(train: Examples, other: Examples) -> int:
    """Return how many rows of a part also occur in the training rows, target included."""
    known = set(train.row_bytes())
    return sum(row in known for row in other.row_bytes())
