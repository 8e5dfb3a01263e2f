"""Whether predictions are worse for short or for long texts."""

from dataclasses import dataclass

import numpy as np

from dlcli.columns.ragged import RaggedColumn
from dlcli.data.fields import lengths_of
from dlcli.explaining.explained_model import ExplainedModel
from dlcli.explaining.reasons.sampling import SampledRows, sample_rows, work_per_row
from dlcli.explaining.weighted import mean_and_error

_MAX_ROWS, _MIN_ROWS = 10_000, 100
_PRODUCTS = 3e9  # multiplications per second, of layers that compute step by step, too
_NUM_BINS = 5
_Z = 1.96


@dataclass(frozen=True)
class LengthBin:
    """Rows whose texts are about as long."""

    shortest: int  # tokens
    longest: int
    num_rows: int
    mean: float
    low: float  # of the mean's 95 % interval
    high: float


@dataclass(frozen=True)
class ErrorsByLength:
    """How well texts of each length are predicted."""

    column: str
    element: str  # what lengths are counted in: "word"
    sample: SampledRows
    is_number: bool  # means are of absolute errors rather than shares that are right
    bins: tuple[LengthBin, ...]  # of about as many rows each, the shortest first


def errors_by_length(
    model: ExplainedModel, column: RaggedColumn, *, seconds: float
) -> ErrorsByLength:
    """Return the accuracy, or the mean absolute error, of texts by their length."""
    max_rows = int(seconds * _PRODUCTS / work_per_row(model.plan))
    sample = sample_rows(model, "lengths", min(_MAX_ROWS, max(_MIN_ROWS, max_rows)))
    encoded = sample.rows.encoded
    lengths = encoded.inputs[lengths_of(column.field)].cpu().numpy()
    values, weights = _values(model, sample), model.weights(encoded)
    groups = model.groups_of(sample.rows)
    ends = np.unique(
        np.quantile(lengths, np.arange(1, _NUM_BINS + 1) / _NUM_BINS, method="higher").astype(int)
    )
    places, bins = np.searchsorted(ends, lengths), []
    for place in range(len(ends)):
        rows = places == place
        of_rows = None if weights is None else weights[rows]
        if of_rows is not None and not of_rows.sum():
            continue
        mean, error = mean_and_error(
            values[rows],
            of_rows,
            None if groups is None else np.unique(groups[rows], return_inverse=True)[1],
        )
        inside = lengths[rows]
        interval = mean - _Z * error, mean + _Z * error
        if model.target.class_names:
            interval = _wilson(mean, error, len(inside))
        bins.append(LengthBin(int(inside.min()), int(inside.max()), len(inside), mean, *interval))
    return ErrorsByLength(
        column.name, column.element, sample, not model.target.score_names, tuple(bins)
    )


def _values(model: ExplainedModel, sample: SampledRows) -> np.ndarray:
    """Return 1 where a row is right, or the share of its labels, or the absolute error, [rows]."""
    predictions = model.predict(sample.rows.encoded.inputs)
    truth = model.truth(sample.rows.encoded)
    right: np.ndarray
    if model.target.has_labels:
        right = ((predictions >= 0.5) == (truth > 0.5)).mean(axis=1)
        return right
    if model.target.class_names:
        right = (predictions.argmax(axis=1) == truth).astype(float)
        return right
    errors: np.ndarray = np.abs(predictions - truth).reshape(len(truth), -1).mean(axis=1)
    return errors


def _wilson(share: float, error: float, num_rows: int) -> tuple[float, float]:
    """Return the interval of a share, which has a width where all rows are right, too."""
    number = share * (1 - share) / error**2 if error else num_rows
    middle = (share + _Z**2 / (2 * number)) / (1 + _Z**2 / number)
    half = share * (1 - share) / number + (_Z / (2 * number)) ** 2
    reach = _Z * half**0.5 / (1 + _Z**2 / number)
    return float(max(0.0, middle - reach)), float(min(1.0, middle + reach))
