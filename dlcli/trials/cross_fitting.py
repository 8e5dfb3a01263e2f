"""Predictions for rows that a fold holds out, none of them by weights that the row itself chose.

A trial keeps the weights of the epoch that is the best on all rows that it holds out, so that its
figure on these rows is too good: the best of many epochs is the best by chance, too. Here the rows
are two halves, and those of one are predicted by the epoch that is the best on the other. Each half
has its own patience, as when training ends must not follow from the rows that are predicted: where
a trial would stop before that, it goes on for the sake of its halves, and keeps nothing else of it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from dlcli.config.sections.training import EarlyStopping
from dlcli.training.early_stopping import Watch

Figure = Callable[[Tensor], float | None]  # of the rows of a mask, bool [rows]


@dataclass
class CrossFitted:
    """The outputs for a trial's held-out rows, epoch by epoch."""

    halves: Tensor  # bool [rows], on the CPU: whether a row is in the second one
    watches: tuple[Watch, Watch]  # of the first half and of the second
    outputs: Tensor | None = None  # [rows, outputs] on the CPU; None before the first epoch
    _masks: tuple[Tensor, Tensor] = field(init=False)

    def __post_init__(self) -> None:
        self._masks = (~self.halves, self.halves)

    @classmethod
    def of(cls, halves: Tensor, stopping: EarlyStopping | None) -> "CrossFitted":
        """Watch each half as early stopping watches all rows."""
        return cls(halves, (Watch.of(stopping), Watch.of(stopping)))

    @property
    def is_over(self) -> bool:
        """Whether both halves have their epoch: their patience is used up."""
        return all(watch.is_over for watch in self.watches)

    def observe(
        self, epoch: int, losses: tuple[float, float], outputs: Tensor, metric: Figure | None
    ) -> None:
        """Take note of an epoch's loss on each half and its outputs for all rows.

        `metric` returns the value of the metric that is watched, where that isn't the loss.
        """
        if self.outputs is None:
            self.outputs = outputs.clone()
        for index, watch in enumerate(self.watches):
            if watch.is_over:
                continue
            figures: dict[str, float | None] = {"loss": losses[index]}
            if metric is not None:
                figures[watch.metric] = metric(self._masks[index])
            if watch.observe(epoch, figures):
                other = self._masks[1 - index]
                self.outputs[other] = outputs[other]


def mean_losses(each: Tensor, weights: Tensor | None, halves: Tensor) -> tuple[float, float]:
    """Return the mean of rows' losses [rows] on each half, by how much rows count.

    A half without rows has the mean of all of them.
    """
    counts = torch.ones_like(each) if weights is None else weights.to(each.dtype)
    found = []
    for mask in (~halves, halves):
        some = counts * mask if bool(mask.any()) else counts
        found.append(float((each * some).sum() / some.sum()))
    return found[0], found[1]
