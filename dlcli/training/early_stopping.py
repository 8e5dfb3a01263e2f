"""Which epoch's weights are the best, and when waiting for better ones is over."""

import math
from dataclasses import dataclass, field

from dlcli.config.sections.training import EarlyStopping
from dlcli.metrics import MetricName, is_higher_better
from dlcli.section import NonNegativeInt


@dataclass
class EarlyStoppingState:
    """What is remembered from epoch to epoch; figures are None until one has a value."""

    best: float | None = None
    best_epoch: NonNegativeInt = 0  # 0: none yet
    reference: float | None = None  # the figure that waiting last started anew with
    num_waited: NonNegativeInt = 0


@dataclass
class Watch:
    """Follows one validation figure.

    The best epoch is the first with the best figure, or the first of all while no figure has a
    value. Waiting starts anew only when a figure is better by more than `min_delta` than the one
    that it last started with.
    """

    metric: MetricName = "loss"
    patience: int | None = None  # None: never stops
    min_delta: float = 0.0
    standing: EarlyStoppingState = field(default_factory=EarlyStoppingState)

    @classmethod
    def of(cls, config: EarlyStopping | None) -> "Watch":
        """Follow what the config says: the validation loss where it says nothing."""
        if config is None:
            return cls()
        return cls(config.metric, config.patience, config.min_delta)

    def observe(self, epoch: int, figure: float | None) -> bool:
        """Take note of an epoch's figure; return whether it is the best so far."""
        standing = self.standing
        if figure is not None and math.isnan(figure):
            figure = None
        if self._is_better(figure, standing.reference, self.min_delta):
            standing.reference, standing.num_waited = figure, 0
        else:
            standing.num_waited += 1
        if self._is_better(figure, standing.best, 0.0):
            standing.best, standing.best_epoch = figure, epoch
        elif not standing.best_epoch:
            standing.best_epoch = epoch
        return standing.best_epoch == epoch

    @property
    def is_over(self) -> bool:
        """Whether patience is used up."""
        return self.patience is not None and self.standing.num_waited >= self.patience

    def _is_better(self, figure: float | None, than: float | None, by: float) -> bool:
        if figure is None or than is None:
            return figure is not None
        gain = figure - than if is_higher_better(self.metric) else than - figure
        return gain > by
