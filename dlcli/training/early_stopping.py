"""Which epoch's weights are the best, and when waiting for better ones is over."""

import math
from dataclasses import dataclass

from dlcli.config.training import EarlyStopping, Metric

_SMALLER_IS_BETTER = ("loss", "rmse", "mae")


@dataclass
class Watch:
    """Follows one validation figure.

    The best epoch is the first with the best figure; waiting starts anew only when a figure is
    better by more than `min_delta` than the one that it last started with.
    """

    metric: Metric = "loss"
    patience: int | None = None  # None: never stops
    min_delta: float = 0.0
    best: float = math.nan
    best_epoch: int = 0
    reference: float = math.nan
    num_waited: int = 0

    @classmethod
    def of(cls, config: EarlyStopping | None) -> "Watch":
        """Follow what the config says: the validation loss where it says nothing."""
        if config is None:
            return cls()
        return cls(config.metric, config.patience, config.min_delta)

    def observe(self, epoch: int, value: float | None) -> bool:
        """Take note of an epoch's figure; return whether it is the best so far."""
        if self._is_better(value, self.reference, self.min_delta):
            self.reference, self.num_waited = value, 0  # type: ignore[assignment]
        else:
            self.num_waited += 1
        if not self._is_better(value, self.best, 0.0):
            return False
        self.best, self.best_epoch = value, epoch  # type: ignore[assignment]
        return True

    @property
    def is_over(self) -> bool:
        """Whether patience is used up."""
        return self.patience is not None and self.num_waited >= self.patience

    def _is_better(self, value: float | None, than: float, by: float) -> bool:
        if value is None or math.isnan(value):
            return False
        gain = than - value if self.metric in _SMALLER_IS_BETTER else value - than
        return math.isnan(than) or gain > by
