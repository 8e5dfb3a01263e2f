"""How good a network is, as parts of a page."""

from collections.abc import Iterator, Sequence
from typing import assert_never

import numpy as np

from dlcli.config.objectives import (
    BinaryCrossEntropy,
    CrossEntropy,
    Huber,
    MeanAbsoluteError,
    MeanSquaredError,
)
from dlcli.data.target import ClassTarget
from dlcli.explaining.judging.baselines import MOST_CODES
from dlcli.explaining.judging.bootstrap import NUM_RESAMPLES, Estimate
from dlcli.explaining.judging.calibration import Mending
from dlcli.explaining.judging.largest_errors import ErrorRow, LargestErrors
from dlcli.explaining.judging.quality import ClassQuality, Figure, NumberQuality, Quality
from dlcli.report.page import Part
from dlcli.report.quality_pictures import (
    MOST_COUNTED,
    confusion_picture,
    curves_picture,
    gallery,
    labels,
    number,
    prediction_picture,
    reliability_picture,
    residual_picture,
)
from dlcli.report.table import TextTable

_FEW_ROWS = 30  # too few to tell by resamples how far figures are off
_SELDOM = 0.05
_MOST_CLASSES = 20  # in a table
_MOST_PAIRS = 10
_LONGEST_NAME, _LONGEST_CELL = 24, 20
_ROOM = 70  # signs for the cells of a row


def quality_parts(quality: Quality) -> list[Part]:
    """Return figures against simpler predictors, where it errs, and the rows it errs most on."""
    parts = [Part("How good it is", tuple(_verdict(quality)), (_figures(quality),))]
    details, target = quality.details, quality.target
    match details:
        case ClassQuality():
            assert isinstance(target, ClassTarget), "as its details are"
            parts += _class_parts(quality, details, target.classes)
        case NumberQuality():
            pictures = (prediction_picture(details, target.name), residual_picture(details))
            parts.append(Part("Where its numbers are off", (_bias(details),), pictures=pictures))
        case _:
            assert_never(details)
    return [*parts, _errors_part(quality.errors)]


def _class_parts(quality: Quality, details: ClassQuality, classes: Sequence[str]) -> list[Part]:
    pairs = _pairs(details.confusion, classes)
    curves = (curves_picture(details.curves, classes),) if details.curves else ()
    return [
        Part(
            "Which classes it mistakes",
            tuple(_mistakes(details, classes)),
            (_classes(details, classes), *((pairs,) if pairs else ())),
            (confusion_picture(details.confusion, classes), *curves),
        ),
        Part(
            "Whether its probabilities hold",
            tuple(_calibration(quality, details)),
            pictures=(reliability_picture(details),),
        ),
    ]


def _verdict(quality: Quality) -> Iterator[str]:
    headline, loss, rows = quality.figures[0], quality.figures[-1], f"{quality.num_rows:,}"
    match quality.part:
        case "test":
            where = f"On the {rows} test rows, which had no part in its training"
        case "validation":
            where = f"On the {rows} validation rows (there are no test rows)"
        case "train":
            where = f"On {rows} of the rows that it learned from (there are no others)"
        case _:
            assert_never(quality.part)
    yield f"{where}: {headline.name} {_with_range(headline.network)}."
    if quality.part == "validation":
        yield "By these rows its best epoch was chosen: new ones are likely to go a little worse."
    if quality.part == "train":
        yield "That says little about rows that it has not seen, and neither does the rest of this."
    yield _against(headline, headline.over_trivial, headline.trivial, "one answer for all rows")
    yield (
        f"{_against(headline, headline.over_linear, headline.linear, 'a linear model')} By the "
        f"loss it is {_standing(loss.over_linear)} ({_number(loss.network.value)} against "
        f"{_number(loss.linear.value)})."
    )
    if headline.name == "accuracy" and headline.network.value == 1.0:
        rate = 1 - _SELDOM ** (1 / quality.num_rows)
        yield (
            "Where no row is wrong none is in a resample, and the intervals are too narrow: with "
            f"{rate:.2%} of new rows wrong, {rows} rows would still all be right in 1 of 20 cases."
        )
    if quality.num_rows < _FEW_ROWS:
        yield f"Intervals of as few as {rows} rows are too narrow: take them for a hint."


def _against(figure: Figure, ahead: Estimate, other: Estimate, name: str) -> str:
    """Say whether the network is better than a simpler predictor."""
    values = f"{figure.name} {_number(figure.network.value)} against {_number(other.value)}"
    standing = _standing(ahead)
    if standing == "worse":
        behind = Estimate(*(-(value or 0.0) for value in (ahead.value, ahead.high, ahead.low)))
        return f"It is worse than {name}: {values}, behind by {_with_range(behind, 2)}."
    if ahead.low == ahead.high == 0:
        return f"It is no better than {name}: {values}, the same on every resample."
    by = _with_range(ahead, 2)
    if standing == "better":
        return f"It is better than {name}: {values}, ahead by {by}."
    return f"It is no better than {name}: {values}; the difference, {by}, may be chance."


def _standing(ahead: Estimate) -> str:
    if ahead.low is not None and ahead.low > 0:
        return "better"
    return "worse" if ahead.high is not None and ahead.high < 0 else "no better"


def _figures(quality: Quality) -> TextTable:
    titles = (
        "figure",
        "network",
        "95 %",
        "linear model",
        "ahead of it by",
        "one answer",
        "ahead of it by",
    )
    rows = tuple(
        (
            own.name,
            _number(own.network.value),
            _range(own.network),
            _number(own.linear.value),
            _with_range(own.over_linear, 2),
            _number(own.trivial.value),
            _with_range(own.over_trivial, 2),
        )
        for own in quality.figures
    )
    return TextTable(titles, rows, " ".join(_how(quality)))


def _how(quality: Quality) -> Iterator[str]:
    """Say what the figures are, and of what."""
    yield (
        f"95 %: of {NUM_RESAMPLES:,} resamples of the rows (percentile bootstrap), as if each row "
        "had come by itself; ahead: on the same resamples, above 0 where the network is better."
    )
    linear, loss = quality.linear, quality.loss
    is_number = isinstance(quality.details, NumberQuality)
    kind = "a ridge regression" if is_number else "a logistic regression"
    by = "the least leave-one-out error" if is_number else "the loss on a fifth of them"
    rows = f"{linear.num_rows:,} training rows"
    if linear.num_rows < quality.num_train:
        rows = f"{linear.num_rows:,} training rows (drawn from {quality.num_train:,} to be fast)"
    yield (
        f"linear model: {kind} on the same encoded features of {rows}, its penalty "
        f"({linear.penalty:.2g} for a row) chosen by {by}."
    )
    if is_number and not isinstance(loss, MeanSquaredError):
        yield "It is fitted to squared errors, not to the network's loss."
    if linear.one_hots:
        yield (
            f"Of each embedded column it has at most the {MOST_CODES} most frequent values, with a "
            "weight each."
        )
    if not linear.is_settled:
        yield "Its fit was stopped before it had settled: it may be a little better than this."
    match loss:
        case MeanSquaredError():
            yield "one answer: the mean of the training rows."
        case MeanAbsoluteError():
            yield "one answer: the median of the training rows."
        case Huber():
            yield "one answer: the number with the least loss on the training rows."
        case BinaryCrossEntropy() | CrossEntropy():
            yield "one answer: the shares of the classes among the training rows."
            if loss.class_weights is not None:
                yield "With class weights, the least loss of one answer is another answer's."
        case _:
            assert_never(loss)
    missing = [own.name for own in quality.figures if own.network.value is None]
    if missing:
        yield f"–: these rows define no {', '.join(missing)}."


def _mistakes(details: ClassQuality, classes: Sequence[str]) -> Iterator[str]:
    confusion = details.confusion
    num_wrong = int(confusion.sum() - confusion.trace())
    are = "is" if num_wrong == 1 else "are"
    yield f"{num_wrong:,} of {confusion.sum():,} rows {are} taken for another class."
    absent = [name for name, size in zip(classes, confusion.sum(axis=1), strict=True) if not size]
    if absent:
        yield (
            f"No row is of {_listed(absent)}: nothing is known here of how "
            f"{'it is' if len(absent) == 1 else 'they are'} told."
        )
    if not details.curves:
        yield "All rows are of one class, so there are no ROC and precision-recall curves."


def _classes(details: ClassQuality, classes: Sequence[str]) -> TextTable:
    """Return a row for each class, or for those that are told worst."""
    confusion = details.confusion
    right, actual, given = confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0)
    with np.errstate(invalid="ignore"):
        recall, precision = right / actual, right / given
        f1 = 2 * right / (actual + given)
    chosen = np.arange(len(classes))
    note = "ROC area: of the class against the rest."
    if len(classes) > _MOST_CLASSES:
        chosen = np.argsort(f1, kind="stable")[:_MOST_CLASSES]
        note += f" The {_MOST_CLASSES} classes of {len(classes)} with the lowest F1."
    names = labels(classes, _LONGEST_NAME)
    columns = (recall, precision, f1, details.areas)
    rows = tuple(
        (names[k], f"{actual[k]:,}", *(_number(float(column[k]), 3) for column in columns))
        for k in chosen
    )
    return TextTable(("class", "rows", "recall", "precision", "F1", "ROC area"), rows, note)


def _pairs(confusion: np.ndarray, classes: Sequence[str]) -> TextTable | None:
    """Return the most confused pairs of classes, where the matrix has no room for numbers."""
    if len(classes) <= MOST_COUNTED:
        return None
    wrong = confusion * (1 - np.eye(len(classes), dtype=np.int64))
    order = np.argsort(-wrong, axis=None, kind="stable")[:_MOST_PAIRS]
    names, sizes = labels(classes, _LONGEST_NAME), confusion.sum(axis=1)
    rows = tuple(
        (names[true], names[given], str(wrong[true, given]), f"{sizes[true]:,}")
        for true, given in zip(*np.unravel_index(order, wrong.shape), strict=True)
        if wrong[true, given]
    )
    if not rows:
        return None
    return TextTable(
        ("true class", "taken for", "rows", "of"), rows, "The pairs that are mistaken most often."
    )


def _calibration(quality: Quality, details: ClassQuality) -> Iterator[str]:
    own, loss = details.reliability, quality.loss
    sure = float(own.num_rows @ own.confidence / own.num_rows.sum())
    right = float(own.num_rows @ own.accuracy / own.num_rows.sum())
    is_chance = own.error <= details.chance_error
    way = f"it is {'too sure' if sure > right else 'not sure enough'}"
    if abs(sure - right) < own.error / 2:
        way = "it is too sure of some rows and not sure enough of others"
    yield (
        f"It is {sure:.1%} sure on average, and right in {right:.1%} of the rows; the expected "
        f"calibration error is {own.error:.3f}. "
        + (
            "That is no more than chance: of networks whose probabilities are right, one in 20 "
            f"has more than {_number(details.chance_error, 2)} on such rows."
            if is_chance
            else f"That is more than chance, which would stay below "
            f"{_number(details.chance_error, 2)} in 95 of 100 cases: {way}."
        )
    )
    assert isinstance(loss, BinaryCrossEntropy | CrossEntropy), "it is of classes"
    if loss.label_smoothing:
        yield "Label smoothing in training keeps it from being sure."
    if loss.class_weights is not None:
        yield "Class weights in training move its probabilities on purpose."
    yield _mending(details.mending, own.error, quality.part)


def _mending(mending: Mending | None, error: float, part: str) -> str:
    if mending is None:
        return "There are no validation rows to fit a temperature to, which might mend it."
    rows = f"the {mending.num_rows:,} validation rows"
    if mending.temperature is None or mending.reliability is None:
        return (
            f"{rows[0].upper()}{rows[1:]} tell no temperature that might mend it: the best one is "
            "beyond all bounds, as where every row is right."
        )
    after = mending.reliability.error
    said = (
        f"With its outputs divided by {mending.temperature:.3g}, the temperature that fits {rows} "
        f"best, the error is {after:.3f}"
    )
    said += ", which mends nothing." if after >= error else "."
    if mending.is_on_same_rows:
        said += f" It is fitted to the {part} rows that this is told of, and flatters."
    return said


def _bias(details: NumberQuality) -> str:
    residuals = details.truth - details.answers
    mean, deviation = float(residuals.mean()), float(residuals.std())
    reach = 1.96 * deviation / len(residuals) ** 0.5
    way = "above" if mean >= 0 else "below"
    said = f"On average the truth is {number(abs(mean))} {way} what it says"
    if abs(mean) > reach:
        return f"{said}, more than chance explains (95 %: up to {number(reach, 2)} either way)."
    return f"{said}, which may be chance (95 %: up to {number(reach, 2)} either way)."


def _errors_part(errors: LargestErrors) -> Part:
    """Return the rows with the largest losses, with the cells that there is room for."""
    columns = labels(errors.columns, _LONGEST_NAME)
    cells = [[_cell(cell) for cell in row.cells] for row in errors.rows]
    num_shown, used = 0, 0
    for place, column in enumerate(columns):
        used += 2 + max(len(column), *(len(own[place]) for own in cells))
        if used > _ROOM and num_shown:
            break
        num_shown += 1
    note = f"Rows of {errors.source}, those with the largest losses first."
    if num_shown < len(columns):
        note += f" {len(columns) - num_shown} of {len(columns)} columns have no room here."
    is_class = bool(errors.rows) and isinstance(errors.rows[0].truth, str)
    titles = (
        ("true", "predicted", "probability", "of the true one")
        if is_class
        else (
            "true",
            "predicted",
            "true less predicted",
        )
    )
    rows = tuple(
        (row.place, *_answer(row), _number(row.loss, 3), *own[:num_shown])
        for row, own in zip(errors.rows, cells, strict=True)
    )
    picture = gallery(errors)
    said: tuple[str, ...] = ()
    if is_class:
        num_wrong = sum(row.truth != row.answer for row in errors.rows)
        are = "is" if num_wrong == 1 else "are"
        said = (f"{num_wrong} of these {len(rows)} rows {are} taken for another class.",)
    return Part(
        "The largest errors",
        said,
        (TextTable(("row", *titles, "loss", *columns[:num_shown]), rows, note),),
        (picture,) if picture else (),
    )


def _answer(row: ErrorRow) -> tuple[str, ...]:
    if isinstance(row.truth, str):
        names = (_cell(row.truth), _cell(str(row.answer)))
        return (*names, _number(row.probability, 3), _number(row.true_probability, 3))
    answer = float(row.answer)
    return (number(row.truth, 6), number(answer, 6), _number(row.truth - answer, 3))


def _cell(cell: str | None) -> str:
    return "(missing)" if cell is None else labels([cell], _LONGEST_CELL)[0]


def _listed(names: Sequence[str], most: int = 5) -> str:
    shown = labels(names, _LONGEST_NAME)[:most]
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(shown)}{more}"


def _number(value: float | None, digits: int = 4) -> str:
    return "–" if value is None or not np.isfinite(value) else number(value, digits)


def _range(own: Estimate, digits: int = 4) -> str:
    return "–" if own.low is None else f"{_number(own.low, digits)} to {_number(own.high, digits)}"


def _with_range(own: Estimate, digits: int = 4) -> str:
    if own.low is None:
        return _number(own.value, digits)
    return f"{_number(own.value, digits)} (95 %: {_range(own, digits)})"
