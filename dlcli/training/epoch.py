"""An epoch under way: where it is, and the figures of its steps."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from dlcli.training.device import GradientScaler
from dlcli.training.divergence import StepFigures, diverged, layer_of

CHECK_STEPS = 64  # between two looks at whether everything is finite: a look makes the CPU wait


@dataclass(frozen=True)
class PendingStep:
    """A step whose figures are still on the device."""

    step: int  # from 1, over the whole run
    lr: float
    num_rows: int
    figures: Tensor  # the loss and the norms of the gradient, [1 + parameters]
    weight: Tensor | None = None  # of its rows, []; None: each counts once


@dataclass
class EpochSoFar:
    """What an epoch's result will be made of. Whatever was read was finite."""

    number: int = 1  # from 1
    num_steps: int = 0
    num_rows: int = 0
    summed_loss: float = 0.0  # of the steps that were read, each times its rows, or their weight
    weight: float = 0.0  # of the rows of the steps that were read; 0 where each counts once
    last: StepFigures | None = None  # that was read; of an earlier epoch before this one's first
    started: float = field(default_factory=time.perf_counter)
    unread: list[PendingStep] = field(default_factory=list)

    def add(self, taken: PendingStep) -> None:
        """Count a step."""
        self.num_steps += 1
        self.num_rows += taken.num_rows
        self.unread.append(taken)

    def read(self, names: Sequence[str], scaler: GradientScaler) -> None:
        """Read the steps that are still on the device; DivergedError where one is not finite.

        The sum is the same to the bit whenever it is read: it takes one step after the other.
        """
        if not self.unread:
            return
        read: list[list[float]] = torch.stack([taken.figures for taken in self.unread]).tolist()
        weights = [taken.weight for taken in self.unread if taken.weight is not None]
        totals = torch.stack(weights).tolist() if weights else [None] * len(read)
        for taken, (loss, *norm), total in zip(self.unread, read, totals, strict=True):
            figures = StepFigures(taken.step, taken.lr, loss, norm)
            # A gradient that overflows fp16 is the scaler's affair, until there is no scale left.
            overflow = not math.isfinite(figures.gradient_norm) and not (
                scaler.enabled and scaler.scale >= 1
            )
            if not math.isfinite(loss) or overflow:
                what = "the loss"
                if math.isfinite(loss):
                    bad = next(i for i, size in enumerate(norm) if not math.isfinite(size))
                    what = f"the gradient of {layer_of(names[bad])}"
                what += " is not finite"
                raise diverged(what, self.number, taken.step, taken.lr, self.last, names)
            self.summed_loss += loss * (taken.num_rows if total is None else total)
            self.weight += total or 0.0
            self.last = figures
        self.unread.clear()

    @property
    def mean_loss(self) -> float:
        """The mean over the rows whose steps were read, each by the weights of its own step."""
        return self.summed_loss / (self.weight or self.num_rows)

    @property
    def seconds(self) -> float:
        """How long it has been trained, interruptions left out."""
        return time.perf_counter() - self.started
