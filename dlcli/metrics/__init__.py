"""Metrics: how good predictions are, a class for each."""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag

from dlcli.metrics.base import Metric
from dlcli.metrics.classification import Accuracy, BalancedAccuracy, MacroF1
from dlcli.metrics.multilabel import MicroF1, SubsetAccuracy
from dlcli.metrics.ordinal import QuadraticKappa, RankError
from dlcli.metrics.regression import R2, MeanAbsoluteErrorMetric, RootMeanSquaredError
from dlcli.metrics.roc_auc import RocAuc
from dlcli.targets.task import AnyTask

__all__ = [
    "ALL_METRICS",
    "METRICS",
    "Metric",
    "MetricName",
    "figure_names",
    "figures_of",
    "headlines",
    "is_higher_better",
    "is_share",
    "label_of",
    "metric_of",
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
    from dlcli.targets.base import Target, TargetValues

# The names that a config may watch: the loss, or a metric; of several targets, NAME.METRIC.
if TYPE_CHECKING:
    MetricName = str
else:
    _NAMES = ("loss", *(metric.name for metric in ALL_METRICS))

    def _check_figure(name: str) -> str:
        if metric_of(name) not in _NAMES:
            raise ValueError(f"after the target's name must be one of {', '.join(_NAMES)}")
        return name

    _OfTarget = Annotated[
        str,
        AfterValidator(_check_figure),
        Field(json_schema_extra={"pattern": rf"^.+\.({'|'.join(_NAMES)})$"}),
    ]

    def _form_of_name(name: object) -> str:
        return "of_target" if isinstance(name, str) and "." in name else "plain"

    MetricName = Annotated[
        Annotated[Literal[_NAMES], Tag("plain")] | Annotated[_OfTarget, Tag("of_target")],
        Discriminator(_form_of_name),
    ]


def metrics_for(task: AnyTask) -> tuple[Metric, ...]:
    """Return a task's metrics, its headline first."""
    return tuple(metric for metric in ALL_METRICS if task in metric.tasks)


def figure_names(task: AnyTask) -> tuple[str, ...]:
    """Return the names of all the numbers that say how good predictions are, the loss first."""
    return ("loss", *(metric.name for metric in metrics_for(task)))


def figures_of(target: "Target") -> tuple[str, ...]:
    """Return those names of a target; of several, the loss, and NAME.FIGURE for all of each."""
    if len(target.parts) == 1:
        return figure_names(target.task)
    of_each = (f"{part.name}.{name}" for part in target.parts for name in figure_names(part.task))
    return ("loss", *of_each)


def headlines(target: "Target") -> tuple[str, ...]:
    """Return the name of the headline metric of a target, or of each of several."""
    if len(target.parts) == 1:
        return (metrics_for(target.task)[0].name,)
    return tuple(f"{part.name}.{metrics_for(part.task)[0].name}" for part in target.parts)


def metric_of(figure: str) -> str:
    """Return the metric of a figure, of one of several targets too: NAME.METRIC."""
    return figure.rpartition(".")[2]


def why_undefined(name: str, values: "TargetValues | None") -> str | None:
    """Say why a figure has no value on rows with such targets; None where it has, or may have."""
    if values is None:
        return None
    target, _, name = name.rpartition(".")
    values = values.of_targets.get(target, values)
    if values.are_all_missing:
        return f"'{target}' is missing in all of them"
    found = (metric.why_undefined(values) for metric in ALL_METRICS if metric.name == name)
    return next(found, None)


def is_higher_better(name: str) -> bool:
    """Say in which direction a figure gets better; a lower loss is better."""
    return any(metric.is_higher_better for metric in ALL_METRICS if metric.name == metric_of(name))


def is_share(name: str) -> bool:
    """Say whether a figure lies between 0 and 1; a loss doesn't."""
    return any(metric.is_share for metric in ALL_METRICS if metric.name == metric_of(name))


def label_of(name: str) -> str:
    """Return a figure's name on pages."""
    target, _, metric = name.rpartition(".")
    label = next((one.label for one in ALL_METRICS if one.name == metric), metric)
    return f"{target}: {label}" if target else label
