"""The learning rate of every step of a run that has not begun: what its config says."""

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from dlcli.config import Config
from dlcli.config.text.parsing import format_path
from dlcli.errors import counted
from dlcli.runs.preparation import Prepared
from dlcli.schedules.base import ScheduledNumber
from dlcli.section import Section
from dlcli.training.schedules import Schedule

_BLOCK_STEPS = 65_536
_POINTS = 512  # of a picture


@dataclass(frozen=True)
class Rates:
    """The rates of a run, as far as they don't depend on its losses."""

    optimizer: str
    schedule: Schedule
    others: tuple[tuple[str, ScheduledNumber], ...] = ()  # numbers that change too, by their keys

    @property
    def title(self) -> str:
        """The schedule, and how many steps it has."""
        run = self.schedule
        warmup = f", warm-up over {run.num_warmup_steps:,} of them" * bool(run.num_warmup_steps)
        return (
            f"{run.config.type}: {self.optimizer}'s learning rate, {run.base_lr:g}, over "
            f"{counted(run.num_epochs, 'epoch')} of {counted(run.steps_per_epoch, 'step')}, "
            f"{counted(run.num_steps, 'step')}{warmup}"
        )

    @property
    def note(self) -> str | None:
        """What the rates depend on; None: they are certain."""
        wait = self.schedule.config.epochs_to_wait
        if wait is None:
            return None
        return (
            "as long as the validation loss improves: the rate falls once it has not improved for "
            f"{counted(wait, 'epoch')} after the warm-up (schedule.patience)"
        )

    def points(self) -> list[tuple[int, float]]:
        """Return steps, from 1, and rates: all of them, or evenly many with the first and last."""
        num_steps = self.schedule.num_steps
        num_points = min(num_steps, _POINTS)
        steps = {index * (num_steps - 1) // max(num_points - 1, 1) for index in range(num_points)}
        return [(step + 1, self.schedule.lr(step)) for step in sorted(steps)]

    def turns(self) -> Iterator[tuple[str, int]]:
        """Yield what happens at which step, from 1."""
        yield "first step", 1
        if self.schedule.num_warmup_steps:
            yield "last step of the warm-up", self.schedule.num_warmup_steps
            yield "first step after it", self.schedule.num_warmup_steps + 1
        yield "last step", self.schedule.num_steps

    def other_numbers(self) -> Iterator[str]:
        """Say of each other number that changes how it begins and ends."""
        last = (self.schedule.num_steps - 1) / self.schedule.num_steps
        for key, number in self.others:
            ends = f"{number.at(0):.6g} at the first step, {number.at(last):.6g} at the last"
            yield f"{key}: {number.type}, at most {number.highest:g}: {ends}"

    def blocks(self) -> Iterator[pl.DataFrame]:
        """Yield every step with its epoch, both from 1, and its rate."""
        run = self.schedule
        for start in range(0, run.num_steps, _BLOCK_STEPS):
            steps = range(start, min(start + _BLOCK_STEPS, run.num_steps))
            yield pl.DataFrame(
                {
                    "step": [step + 1 for step in steps],
                    "epoch": [step // run.steps_per_epoch + 1 for step in steps],
                    "lr": [run.lr(step) for step in steps],
                }
            )


def rates_of(prepared: Prepared) -> Rates:
    """Return the rates of a run on its training rows."""
    config, num_rows = prepared.config, prepared.dataset.num_rows["train"]
    schedule = Schedule.of(config.schedule, config.optimizer.lr, config.training, num_rows)
    return Rates(config.optimizer.type, schedule, tuple(scheduled_numbers(config)))


def scheduled_numbers(config: Config) -> Iterator[tuple[str, ScheduledNumber]]:
    """Yield the numbers that change with every step besides the learning rate, by their keys."""
    sections: list[tuple[tuple[str | int, ...], Section]] = [(("optimizer",), config.optimizer)]
    sections += config.model.walk()
    for path, section in sections:
        for key in type(section).model_fields:
            if isinstance(number := getattr(section, key), ScheduledNumber):
                yield format_path((*path, key)), number
