"""Metrics: how good predictions are, a class for each."""

from typing import TYPE_CHECKING, Literal

from dlcli.metrics.base import Metric
from dlcli.metrics.classification import Accuracy, BalancedAccuracy, MacroF1
from dlcli.metrics.multilabel import MicroF1, SubsetAccuracy
from dlcli.metrics.ordinal import QuadraticKappa, RankError
from dlcli.metrics.regression import R2, MeanAbsoluteErrorMetric, RootMeanSquaredError
from dlcli.metrics.roc_auc import RocAuc
from dlcli.targets.task import Task

__all__ = [
    "ALL_METRICS",
    "METRICS",
    "Metric",
    "MetricName",
    "figure_names",
    "is_higher_better",
    "is_share",
    "label_of",
    "metrics_for",
    "why_undefined",
]

# A task's headline metric is its first one.
METRICS: tuple[type[Metric], ...] = (
    Accuracy,
    BalancedAccuracy,
    MacroF1,
    MicroF1,
    SubsetAccuracy,
    RocAuc,
    RankError,
    QuadraticKappa,
    RootMeanSquaredError,
    MeanAbsoluteErrorMetric,
    R2,
)
ALL_METRICS: tuple[Metric, ...] = tuple(member() for member in METRICS)

if TYPE_CHECKING:
    from dlcli.targets.base import TargetValues

# The names that a config may watch: the loss, or a metric.
if TYPE_CHECKING:
    MetricName = str
else:
    MetricName = Literal[("loss", *(metric.name for metric in ALL_METRICS))]


def metrics_for(task: Task) -> tuple[Metric, ...]:
    """Return a task's metrics, its headline first."""
    return tuple(metric for metric in ALL_METRICS if task in metric.tasks)


def figure_names(task: Task) -> tuple[str, ...]:
    """Return the names of all the numbers that say how good predictions are, the loss first."""
    return ("loss", *(metric.name for metric in metrics_for(task)))


def why_undefined(name: str, values: "TargetValues | None") -> str | None:
    """Say why a figure has no value on rows with such targets; None where it has, or may have."""
    if values is None:
        return None
    found = (metric.why_undefined(values) for metric in ALL_METRICS if metric.name == name)
    return next(found, None)


def is_higher_better(name: str) -> bool:
    """Say in which direction a figure gets better; a lower loss is better."""
    return any(metric.is_higher_better for metric in ALL_METRICS if metric.name == name)


def is_share(name: str) -> bool:
    """Say whether a figure lies between 0 and 1; a loss doesn't."""
    return any(metric.is_share for metric in ALL_METRICS if metric.name == name)


def label_of(name: str) -> str:
    """Return a figure's name on pages."""
    return next((metric.label for metric in ALL_METRICS if metric.name == name), name)
