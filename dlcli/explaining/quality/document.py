"""How good a network is beside baselines, as plain data."""

from dataclasses import asdict
from typing import Any

from dlcli.explaining.quality.quality import Quality
from dlcli.explaining.unavailable import Unavailable


def baselines_document(quality: Quality) -> dict[str, Any]:
    """Return the metrics of the network and of the baselines, with their intervals, by name.

    `over_…` are differences on the same resamples, above 0 where the network is better. `trees` is
    null where it wasn't compared, and `trees_unavailable` says why.
    """
    reason = None
    if isinstance(quality.trees, Unavailable):
        reason = quality.trees.reason
    elif quality.trees is None:
        reason = "it takes longer than a quick page may; `dlcli report RUN --json` has it"
    metrics = {metric.name: asdict(metric) for metric in quality.metrics}
    for figures in metrics.values():
        del figures["name"]
    return {
        "part": quality.part,
        "rows": quality.num_rows,
        "resamples": quality.num_resamples,
        "metrics": metrics,
        "trees_unavailable": reason,
    }
