"""How good a network is, as parts of a page."""

from collections.abc import Iterator
from typing import assert_never

from dlcli.data.target import ClassTarget
from dlcli.explaining.judging.baselines import MAX_CODES
from dlcli.explaining.judging.bootstrap import NUM_RESAMPLES, Estimate
from dlcli.explaining.judging.quality import ClassQuality, Figure, NumberQuality, Quality
from dlcli.report.page import PageSection
from dlcli.report.quality.class_section import class_parts
from dlcli.report.quality.largest_errors import errors_part
from dlcli.report.quality.number_pictures import prediction_picture, residual_picture
from dlcli.report.quality.text import figure_text, number, range_text, with_range
from dlcli.report.table import TextTable

_FEW_ROWS = 200  # of which all residuals are shown
_FEW_ROWS = 30  # too few to tell by resamples how far figures are off
_SELDOM = 0.05


def quality_parts(quality: Quality) -> list[PageSection]:
    """Return figures against simpler predictors, where it errs, and the rows it errs most on."""
    parts = [PageSection("How good it is", tuple(_verdict(quality)), (_figures(quality),))]
    details, target = quality.details, quality.target
    match details:
        case ClassQuality():
            assert isinstance(target, ClassTarget), "as its details are"
            parts += class_parts(quality, details, target.classes)
        case NumberQuality():
            pictures = (prediction_picture(details, target.name), residual_picture(details))
            parts.append(
                PageSection("Where its numbers are off", (describe_bias(details),), (), pictures)
            )
        case _:
            assert_never(details)
    return [*parts, errors_part(quality.errors)]


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
    yield f"{where}: {headline.name} {with_range(headline.network)}."
    if quality.part == "validation":
        yield "By these rows its best epoch was chosen: new ones are likely to go a little worse."
    if quality.part == "train":
        yield "That says little about rows that it has not seen, and neither does the rest of this."
    yield _against(headline, headline.over_trivial, headline.trivial, "one answer for all rows")
    yield (
        f"{_against(headline, headline.over_linear, headline.linear, 'a linear model')} By the "
        f"loss it is {_standing(loss.over_linear)} ({figure_text(loss.network.value)} against "
        f"{figure_text(loss.linear.value)})."
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
    values = f"{figure.name} {figure_text(figure.network.value)} against {figure_text(other.value)}"
    standing = _standing(ahead)
    if standing == "worse":
        behind = Estimate(*(-(value or 0.0) for value in (ahead.value, ahead.high, ahead.low)))
        return f"It is worse than {name}: {values}, behind by {with_range(behind, 2)}."
    if ahead.low == ahead.high == 0:
        return f"It is no better than {name}: {values}, the same on every resample."
    by = with_range(ahead, 2)
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
            figure_text(own.network.value),
            range_text(own.network),
            figure_text(own.linear.value),
            with_range(own.over_linear, 2),
            figure_text(own.trivial.value),
            with_range(own.over_trivial, 2),
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
    if is_number and not loss.is_squared_error:
        yield "It is fitted to squared errors, not to the network's loss."
    if linear.one_hots:
        yield (
            f"Of each embedded column it has at most the {MAX_CODES} most frequent values, with a "
            "weight each."
        )
    if not linear.is_settled:
        yield "Its fit was stopped before it had settled: it may be a little better than this."
    yield f"one answer: {loss.best_constant_text}."
    missing = [own.name for own in quality.figures if own.network.value is None]
    if missing:
        yield f"–: these rows define no {', '.join(missing)}."


def describe_bias(details: NumberQuality) -> str:
    """Say whether numbers are off by more than chance on average."""
    residuals = details.truth - details.answers
    mean, deviation = float(residuals.mean()), float(residuals.std())
    reach = 1.96 * deviation / len(residuals) ** 0.5
    way = "above" if mean >= 0 else "below"
    said = f"On average the truth is {number(abs(mean))} {way} what it says"
    if abs(mean) > reach:
        return f"{said}, more than chance explains (95 %: up to {number(reach, 2)} either way)."
    return f"{said}, which may be chance (95 %: up to {number(reach, 2)} either way)."
