"""The network beside gradient boosting."""

from collections.abc import Iterator

from dlcli.explaining.quality.boosted_trees import DEFAULTS, MAX_CATEGORIES, BoostedTrees
from dlcli.explaining.quality.quality import NumberQuality, Quality
from dlcli.explaining.unavailable import Unavailable
from dlcli.report.page import PageSection
from dlcli.report.quality.comparing import compare, difference, standing
from dlcli.report.table import TextTable
from dlcli.report.text import interval_text, metric_text

_TITLE = "Gradient boosting"


def trees_section(quality: Quality, trees: BoostedTrees | Unavailable) -> PageSection:
    """Return the metrics of trees on the same rows, and say plainly where they are better."""
    if isinstance(trees, Unavailable):
        return PageSection(_TITLE, (f"The network is not compared with trees: {trees.reason}.",))
    return PageSection(_TITLE, (_verdict(quality),), (_metrics(quality, trees),))


def _verdict(quality: Quality) -> str:
    headline, loss = quality.metrics[0], quality.metrics[-1]
    assert headline.trees is not None, "trees are compared"
    assert headline.over_trees is not None, "trees are compared"
    assert loss.trees is not None, "trees are compared"
    assert loss.over_trees is not None, "trees are compared"
    network, trees = metric_text(loss.network.value), metric_text(loss.trees.value)
    if "worse" in (standing(headline.over_trees), standing(loss.over_trees)):
        return (
            f"Trees do better here: their {headline.name} is {metric_text(headline.trees.value)}, "
            f"the network's {metric_text(headline.network.value)}; their loss is {trees}, the "
            f"network's {network}."
        )
    return (
        f"{compare(headline, headline.over_trees, headline.trees, 'gradient-boosted trees')} By "
        f"loss, it is {standing(loss.over_trees)} ({network} against {trees})."
    )


def _metrics(quality: Quality, trees: BoostedTrees) -> TextTable:
    titles = ("metric", "network", "gradient boosting", "95 % interval", "difference")
    rows = tuple(
        (
            metric.name,
            metric_text(metric.network.value),
            metric_text(metric.trees.value),
            interval_text(metric.trees),
            difference(metric.over_trees),
        )
        for metric in quality.metrics
        if metric.trees is not None and metric.over_trees is not None
    )
    return TextTable(titles, rows, " ".join(_notes(quality, trees)))


def _notes(quality: Quality, trees: BoostedTrees) -> Iterator[str]:
    rows, are_all = f"{trees.num_rows:,} training rows", trees.num_rows == quality.num_train
    if not are_all:
        rows = f"{trees.num_rows:,} of {quality.num_train:,} training rows"
    settings = trees.settings
    how = ", with its defaults," if settings == DEFAULTS else ""
    yield (
        f"HistGradientBoosting of scikit-learn {trees.version}{how} on the same "
        f"columns of {rows}, categories as such; difference: on the same resamples, positive where "
        "the network is better."
    )
    if settings != DEFAULTS:
        yield (
            f"To take no longer than this page has for it: {settings.num_iterations} iterations of "
            f"trees with {settings.num_leaves} leaves, steps of {settings.learning_rate:.2g} and "
            f"{settings.num_bins} bins (by default {DEFAULTS.num_iterations}, "
            f"{DEFAULTS.num_leaves}, {DEFAULTS.learning_rate:g} and {DEFAULTS.num_bins})."
        )
    cuts = [*([] if are_all else ["all rows"]), *([] if settings == DEFAULTS else ["its defaults"])]
    if cuts:
        yield f"With {' and '.join(cuts)} it may be better than shown."
    if trees.ordered:
        yield (
            f"{', '.join(trees.ordered)}: more than {MAX_CATEGORIES} categories, which it takes as "
            "numbers."
        )
    if isinstance(quality.details, NumberQuality) and not quality.loss.is_squared_error:
        yield "It minimises squared errors, not the network's loss."
