"""How sections say whether a network is better than a baseline."""

from dlcli.explaining.quality.bootstrap import Estimate
from dlcli.explaining.quality.quality import MetricComparison
from dlcli.report.text import interval_text, metric_text, with_interval


def compare(metric: MetricComparison, ahead: Estimate, other: Estimate, name: str) -> str:
    """Say whether the network is better than a simpler predictor."""
    network, baseline = metric_text(metric.network.value), metric_text(other.value)
    found = standing(ahead)
    if ahead.low == ahead.high == 0:
        return f"The network is no better than {name}: {metric.name} is {network} for both."
    values = f"{metric.name} {network} against {baseline}"
    if found == "no better":
        return (
            f"The network is no better than {name}: {values}; the difference of "
            f"{with_interval(ahead, 2)} may be due to chance."
        )
    if found == "worse":
        ahead = Estimate(*(-(value or 0.0) for value in (ahead.value, ahead.high, ahead.low)))
    return f"The network is {found} than {name}, by {with_interval(ahead, 2)}: {values}."


def standing(ahead: Estimate) -> str:
    """Say whether the network is better, no better or worse, by an interval of the difference."""
    if ahead.low is not None and ahead.low > 0:
        return "better"
    return "worse" if ahead.high is not None and ahead.high < 0 else "no better"


def difference(estimate: Estimate) -> str:
    """Write a difference with its interval."""
    value = metric_text(estimate.value, 2)
    return value if estimate.low is None else f"{value} ({interval_text(estimate, 2)})"
