"""Which epoch's weights are the best, and when waiting for better ones is over."""

import math
from dataclasses import dataclass

from dlcli.config.training import EarlyStopping, Metric

_SMALLER_IS_BETTER = ("loss", "rmse", "mae")


@dataclass
class Watch:
    """Follows one validation figure.

    The best epoch is the first with the best figure, or the first of all while no figure has a
    value. Waiting starts anew only when a figure is better by more than `min_delta` than the one
    that it last started with.
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
        figure = math.nan if value is None else value
        if self._is_better(figure, self.reference, self.min_delta):
            self.reference, self.num_waited = figure, 0
        else:
            self.num_waited += 1
        if self._is_better(figure, self.best, 0.0):
            self.best, self.best_epoch = figure, epoch
        elif not self.best_epoch:
            self.best_epoch = epoch
        return self.best_epoch == epoch

    @property
    def is_over(self) -> bool:
        """Whether patience is used up."""
        return self.patience is not None and self.num_waited >= self.patience

    def _is_better(self, figure: float, than: float, by: float) -> bool:
        gain = than - figure if self.metric in _SMALLER_IS_BETTER else figure - than
        return gain > by or (math.isnan(than) and not math.isnan(figure))
