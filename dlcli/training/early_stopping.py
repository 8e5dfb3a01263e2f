"""Which epoch's weights are the best, and when waiting for better ones is over."""

import math
from collections.abc import Mapping
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
    reference_epoch: NonNegativeInt = 0  # whose figure that is
    num_waited: NonNegativeInt = 0
    watches_loss_instead: bool = False  # as the metric had no value


@dataclass
class Watch:
    """Follows one validation figure: the loss, from the first epoch whose metric has no value.

    The best epoch is the first with the best figure. Waiting starts anew only when a figure is
    better by more than `min_delta` than the one that it last started with. With a factor, waiting
    is the longer the later that was: RealMLP's rule (pytabkit 1.7), by which the last epoch is
    patience + factor × the epoch that was the best.
    """

    metric: MetricName = "loss"
    patience: int | None = None  # None: never stops
    patience_factor: float = 1.0
    min_delta: float = 0.0
    standing: EarlyStoppingState = field(default_factory=EarlyStoppingState)

    @classmethod
    def of(cls, config: EarlyStopping | None) -> "Watch":
        """Follow what the config says: the validation loss where it says nothing."""
        if config is None:
            return cls()
        return cls(config.metric, config.patience, config.patience_factor, config.min_delta)

    @property
    def watched(self) -> str:
        """The figure that it follows now."""
        return "loss" if self.standing.watches_loss_instead else self.metric

    def observe(self, epoch: int, figures: Mapping[str, float | None]) -> bool:
        """Take note of an epoch's figures, the loss among them; return whether it is the best."""
        figure = _known(figures.get(self.watched))
        if figure is None and self.watched != "loss":
            self.standing = EarlyStoppingState(watches_loss_instead=True)
            figure = _known(figures["loss"])
        standing = self.standing
        if self._is_better(figure, standing.reference, self.min_delta):
            standing.reference, standing.reference_epoch = figure, epoch
            standing.num_waited = 0
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
        if self.patience is None:
            return False
        since = self.standing.reference_epoch
        next_epoch = since + self.standing.num_waited + 1
        return next_epoch > self.patience_factor * since + self.patience

    def _is_better(self, figure: float | None, than: float | None, by: float) -> bool:
        if figure is None or than is None:
            return figure is not None
        gain = figure - than if is_higher_better(self.watched) else than - figure
        return gain > by


def _known(figure: float | None) -> float | None:
    return None if figure is None or math.isnan(figure) else figure
