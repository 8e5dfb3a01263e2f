"""What every schedule says about itself: its settings and its learning rates."""

import math
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar, NamedTuple

from pydantic import Field

from dlcli.section import Fraction, NonNegativeFloat, NonNegativeInt, Section

Flat = Annotated[Fraction, Field(description="fraction of the steps before the way down begins")]


@dataclass(frozen=True)
class ScheduleState:
    """What a schedule remembers of the validation losses so far. Checkpoints hold these names."""

    factor: NonNegativeFloat = 1.0  # that the learning rate has been reduced by
    best: float | None = None  # the lowest loss; None before the first
    num_bad_epochs: NonNegativeInt = 0  # without improvement
    cooldown_left: NonNegativeInt = 0


class Position(NamedTuple):
    """Where a run is; steps and epochs are counted from 0 at the end of the warm-up."""

    base_lr: float
    step: int
    num_steps: int  # from the warm-up to the end of the run
    epoch: int
    state: ScheduleState


class RunLength(NamedTuple):
    """How long a run is for its schedule: from the end of the warm-up on."""

    base_lr: float
    num_steps: int
    steps_per_epoch: int
    given: str  # the settings that it follows from, in words

    @property
    def num_epochs(self) -> int:
        """The epochs that begin, counted from the end of the warm-up."""
        return -(-self.num_steps // self.steps_per_epoch)

    @property
    def num_whole_epochs(self) -> int:
        """The epochs of the run that no step of the warm-up is in."""
        return self.num_steps // self.steps_per_epoch


class ScheduleConfig(Section):
    """A schedule: a section of the config with torch.optim.lr_scheduler's names and rates."""

    type: str
    warmup_epochs: NonNegativeFloat = Field(
        0.0, description="warm-up length in epochs (may be fractional)"
    )

    needs_validation: ClassVar[bool] = False
    is_constant: ClassVar[bool] = False  # the warm-up aside
    warms_up: ClassVar[bool] = False  # by itself

    @property
    @abstractmethod
    def spreads_over_epochs(self) -> bool:
        """Whether all rates change with the run's number of epochs."""

    @property
    @abstractmethod
    def is_constant_within_epoch(self) -> bool:
        """Whether all steps of an epoch have one rate; epochs count from the end of the warm-up."""

    @property
    def epochs_to_wait(self) -> int | None:
        """How many epochs without improvement let it act; None: it follows no loss."""
        return None

    @property
    def least_gain(self) -> float:
        """The relative decrease of the loss below which it sees no improvement."""
        return 0.0

    @abstractmethod
    def lr(self, at: Position) -> float:
        """Return the learning rate of a step after the warm-up."""

    def observe(self, state: ScheduleState, loss: float) -> ScheduleState:  # noqa: ARG002
        """Return the state after an epoch, past the warm-up, with this validation loss."""
        return state

    def unused_settings(self, run: RunLength) -> Iterator[tuple[str, str]]:  # noqa: ARG002
        """Yield each setting that changes no rate of such a run, and why."""
        yield from ()

    def rates(self) -> dict[str, float]:
        """Return its settings that are learning rates themselves, by name; those of 0 left out."""
        return {}


class ScheduledNumber(Section):
    """A number that changes with every step of a run."""

    type: str

    @property
    @abstractmethod
    def highest(self) -> float:
        """The highest number that it can be."""

    @abstractmethod
    def factor(self, share: float) -> float:
        """Return the number over the highest one, at a share of the run's steps, 0 to 1."""

    def at(self, share: float) -> float:
        """Return the number at a share of the run's steps, 0 to 1."""
        return self.highest * self.factor(share)


def is_flat(gamma: float) -> Iterator[tuple[str, str]]:
    """Yield a factor of 1, which reduces nothing."""
    if gamma == 1:
        yield "gamma", "does nothing: a rate times 1 stays as it is; give less than 1"


def half_cosine(start: float, end: float, share: float) -> float:
    """Go from start to end along half a cosine."""
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2
