"""How good a network is, as sections of a page: first its metrics, beside those of baselines."""

from collections.abc import Iterator
from typing import assert_never

from dlcli.explaining.quality.baselines import MAX_CODES
from dlcli.explaining.quality.bootstrap import NUM_RESAMPLES, is_by_percentiles
from dlcli.explaining.quality.quality import ClassQuality, LabelQuality, NumberQuality, Quality
from dlcli.explaining.quality.thumbnails import MAX_SIDE
from dlcli.report.page import PageSection
from dlcli.report.quality.calibration import calibration_section
from dlcli.report.quality.comparing import compare, difference, standing
from dlcli.report.quality.gradient_boosting import trees_section
from dlcli.report.quality.largest_errors import errors_section
from dlcli.report.quality.per_class import per_class_section
from dlcli.report.quality.per_label import per_label_section
from dlcli.report.quality.residuals import residuals_section
from dlcli.report.quality.surest_images import surest_section
from dlcli.report.table import TextTable
from dlcli.report.text import interval_text, metric_text, with_interval

_FEW_ROWS = 30  # of fewer rows, bootstrap intervals are too narrow
_RARELY = 0.05  # probability of seeing no error at the error rate that is named


def quality_sections(quality: Quality) -> list[PageSection]:
    """Return metrics beside baselines, results by class or residuals, and the largest errors."""
    sections = [PageSection("Metrics", tuple(_verdict(quality)), (_metrics(quality),))]
    details, target = quality.details, quality.target
    if quality.trees is not None:
        sections.append(trees_section(quality, quality.trees))
    match details:
        case ClassQuality():
            sections.append(per_class_section(details, target.class_names))
            sections.append(calibration_section(quality, details))
        case LabelQuality():
            sections.append(per_label_section(details, target.score_names))
        case NumberQuality():
            sections.append(residuals_section(details, target.name))
        case _:
            assert_never(details)
    sections.append(errors_section(quality.errors))
    if quality.surest is not None:
        sections.append(surest_section(quality.surest, len(target.class_names)))
    return sections


def _verdict(quality: Quality) -> Iterator[str]:
    headline, loss, rows = quality.metrics[0], quality.metrics[-1], f"{quality.num_rows:,}"
    match quality.part:
        case "test":
            where = f"On the {rows} test rows, which were not used in training"
        case "validation":
            where = f"On the {rows} validation rows (there are no test rows)"
        case "train":
            where = f"On {rows} training rows (there are no held-out rows)"
        case _:
            assert_never(quality.part)
    yield f"{where}: {headline.name} {with_interval(headline.network)}."
    if quality.weight is not None:
        yield (
            f"Each row counts as much as '{quality.weight}' says (data.weight): in all metrics and "
            "losses, in the baselines and in what is fitted."
        )
    if quality.part == "validation":
        yield (
            "The best epoch was chosen on these rows, so results on new rows are likely to be "
            "slightly worse."
        )
    if quality.part == "train":
        yield "This says little about new rows; the same holds for the rest of this page."
    is_class = isinstance(quality.details, ClassQuality)
    constant = "the majority-class baseline" if is_class else "the constant baseline"
    yield compare(headline, headline.over_constant, headline.constant, constant)
    yield (
        f"{compare(headline, headline.over_linear, headline.linear, 'a linear model')} By loss, "
        f"it is {standing(loss.over_linear)} ({metric_text(loss.network.value)} against "
        f"{metric_text(loss.linear.value)})."
    )
    if quality.target.class_names and headline.network.value == 1.0:
        rate = 1 - _RARELY ** (1 / quality.num_rows)
        yield (
            "Without a single error the intervals are too narrow: if "
            f"{rate:.2%} of new rows were misclassified, {rows} rows would still all be right in 1 "
            "of 20 cases."
        )
    if (quality.num_groups or quality.num_rows) < _FEW_ROWS:
        few = f"{rows} rows"
        if quality.num_groups is not None:
            few = f"{quality.num_groups} groups of '{quality.group}'"
        yield f"With only {few}, these intervals are too narrow: treat them as a rough guide."


def _metrics(quality: Quality) -> TextTable:
    titles = (
        *("metric", "network", "95 % interval", "linear model", "difference"),
        *("constant baseline", "difference"),
    )
    rows = tuple(
        (
            metric.name,
            metric_text(metric.network.value),
            interval_text(metric.network),
            metric_text(metric.linear.value),
            difference(metric.over_linear),
            metric_text(metric.constant.value),
            difference(metric.over_constant),
        )
        for metric in quality.metrics
    )
    return TextTable(titles, rows, " ".join(_notes(quality)))


def _notes(quality: Quality) -> Iterator[str]:
    """Explain the table's columns."""
    what = "the rows, which assumes that rows are independent"
    if quality.num_groups is not None:
        what = (
            f"the {quality.num_groups:,} groups of '{quality.group}' (data.split.group), as rows "
            "of one aren't independent"
        )
    num_resamples = quality.num_resamples
    how = "percentile bootstrap over"
    if not is_by_percentiles(num_resamples):
        how = "1.96 standard errors to each side, by a bootstrap over"
    fewer = f" (not {NUM_RESAMPLES:,}, to be quick)" if num_resamples < NUM_RESAMPLES else ""
    yield (
        f"95 % interval: {how} {num_resamples:,} resamples{fewer} of {what}; "
        "difference, with its interval: on the same resamples, positive where the network is "
        "better."
    )
    linear, loss = quality.linear, quality.loss
    is_number = isinstance(quality.details, NumberQuality)
    kind = "a ridge regression" if is_number else "a logistic regression"
    if isinstance(quality.details, LabelQuality):
        kind += " of each label"
    by = "the leave-one-out error" if is_number else "the loss on a fifth of these rows"
    rows = f"{linear.num_rows:,} training rows"
    if linear.num_rows < quality.num_train:
        rows = f"{linear.num_rows:,} of {quality.num_train:,} training rows (sampled, to be quick)"
    yield (
        f"linear model: {kind} on the same encoded features of {rows}, with an L2 penalty of "
        f"{linear.penalty:.2g} per row, chosen by {by}."
    )
    if quality.has_images:
        yield f"It sees images as {MAX_SIDE} × {MAX_SIDE} pixels at most."
    if is_number and not loss.is_squared_error:
        yield "It minimises squared errors, not the network's loss."
    if linear.one_hots:
        yield (
            f"For each embedded column it has one weight for each of at most the {MAX_CODES} most "
            "frequent values."
        )
    if not linear.is_settled:
        yield "Its fit was stopped before it converged: it may be slightly better than shown."
    quantity = "" if quality.target.is_linear else f", of {quality.target.loss_quantity}"
    yield f"constant baseline: predicts {loss.best_constant_text}{quantity}."
    if quantity:
        yield (
            f"The network and the linear model learn {quality.target.loss_quantity}, whose loss is "
            "shown; the other metrics are in the target's own units, where medians are predicted."
        )
    missing = [metric.name for metric in quality.metrics if metric.network.value is None]
    if missing:
        yield f"–: {', '.join(missing)} is undefined on these rows."
