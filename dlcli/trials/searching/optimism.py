"""How much better the best settings look on the rows that chose them than on others.

Bootstrap bias correction, after Tsamardinos, Greasidou and Borboudakis, *Bootstrapping the
out-of-sample predictions for efficient and accurate cross-validation* (2018, arXiv:1708.07180):
blocks of validation rows are resampled, the settings that are best on those drawn are judged by
those that were not drawn.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dlcli.metrics import is_higher_better
from dlcli.trials.searching.search import Entry

_NUM_RESAMPLES = 2000
_MIN_BLOCKS = 5


@dataclass(frozen=True)
class Optimism:
    """The metric of the best settings: as the search saw it, and as other rows would."""

    seen: float  # on the rows that chose them
    expected: float  # on others, estimated
    low: float  # 95 % interval of that
    high: float
    num_settings: int  # that they were chosen from
    num_blocks: int

    @property
    def difference(self) -> float:
        """Expected less seen: above 0 for a loss, below 0 for an accuracy, or about 0."""
        return self.expected - self.seen


def selection_optimism(entries: Sequence[Entry], metric: str) -> Optimism | str:
    """Return the estimate for the settings that were tried for all epochs, or why there is none."""
    last = max((entry.rung for entry in entries), default=0)
    full = [entry for entry in entries if entry.rung == last and entry.figure is not None]
    blocks = [entry.blocks for entry in full if entry.blocks is not None]
    if len(blocks) < 2:
        return "fewer than two settings were tried for all epochs"
    values = np.array(blocks, np.float64)  # [settings, blocks], None as not a number
    if values.shape[1] < _MIN_BLOCKS:
        return "the validation rows are too few to be resampled"
    if not np.isfinite(values).all():
        return f"{metric} has no value on some blocks of validation rows"
    sign = -1.0 if is_higher_better(metric) else 1.0
    others = _others(sign * values)
    expected = sign * float(others.mean())
    low, high = sorted((sign * np.quantile(others, [0.025, 0.975])).tolist())
    best = int(np.argmin((sign * values).mean(1)))
    return Optimism(float(values[best].mean()), expected, low, high, *values.shape)


def _others(losses: np.ndarray) -> np.ndarray:
    """Return the mean loss on the blocks not drawn of the settings best on those drawn."""
    number = losses.shape[1]
    drawn = np.random.default_rng(0).multinomial(
        number, np.full(number, 1 / number), size=_NUM_RESAMPLES
    )
    drawn = drawn[(drawn == 0).any(1)]
    chosen = np.argmin(losses @ drawn.T, axis=0)  # of each resample
    is_other = drawn == 0
    means: np.ndarray = (losses[chosen] * is_other).sum(1) / is_other.sum(1)
    return means
