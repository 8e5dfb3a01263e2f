"""Per-label results, where rows have several labels at once."""

from collections.abc import Sequence

import numpy as np

from dlcli.explaining.quality.quality import LabelQuality
from dlcli.numbers import percent_text
from dlcli.report.page import PageSection
from dlcli.report.table import TextTable
from dlcli.report.text import amount_text, labels, listed, metric_text

_MAX_LABELS = 40  # in a table
_MAX_NAME_LENGTH = 24


def per_label_section(details: LabelQuality, names: Sequence[str]) -> PageSection:
    """Return how well each label is recognised: all of them, or those with the lowest F1."""
    actual, predicted, right = details.actual, details.predicted, details.right
    with np.errstate(invalid="ignore", divide="ignore"):
        recall, precision = right / actual, right / predicted
        f1 = 2 * right / (actual + predicted)
    chosen = np.arange(len(names))
    note = (
        "share: of the rows that have the label. A label is predicted above a probability of 0.5."
    )
    if len(names) > _MAX_LABELS:
        chosen = np.argsort(f1, kind="stable")[:_MAX_LABELS]
        note += f" The {_MAX_LABELS} of {len(names)} labels with the lowest F1 are listed."
    shown = labels(names, _MAX_NAME_LENGTH)
    rows = tuple(
        (
            shown[k],
            amount_text(actual[k]),
            percent_text(float(actual[k] / details.total)),
            *(
                metric_text(float(column[k]), 3)
                for column in (recall, precision, f1, details.areas)
            ),
        )
        for k in chosen
    )
    size = "weight" if np.issubdtype(actual.dtype, np.floating) else "rows"
    titles = ("label", size, "share", "recall", "precision", "F1", "ROC AUC")
    num_wrong = float((actual + predicted - 2 * right).sum())
    sentences = [
        f"Of {amount_text(details.total * len(names))} labels of rows, present or absent, "
        f"{percent_text(num_wrong / (details.total * len(names)))} are predicted wrongly."
    ]
    absent = [name for name, number in zip(names, actual, strict=True) if not number]
    if absent:
        sentences.append(f"No row has {listed(absent)}.")
    return PageSection("Per-label results", tuple(sentences), (TextTable(titles, rows, note),))
