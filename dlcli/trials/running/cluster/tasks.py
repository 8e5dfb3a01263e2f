"""What a node of a cluster does: a stack of trials, or the steps of a range test.

A task that is done again, as its node died, yields the same as before, event by event: Ray goes
on after the events that have arrived.
"""

import socket
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from dlcli.optimizers.base import OptimizerConfig
from dlcli.training.device import configure_torch
from dlcli.training.rows.batches import Rows
from dlcli.trials.running.cluster.versions import Versions, make_probe, refuse_other_versions
from dlcli.trials.running.rate_steps import take_steps
from dlcli.trials.running.workers import Event, Job, execute_here
from dlcli.trials.setup import ResolvedTrial, SharedSetup
from dlcli.trials.trial import Trial

STEPS_AT_ONCE = 10  # of a range test, in one message
_PARTS = ("train", "validation", "test")
_REPORT_SECONDS = 0.5  # about, between two reports on the steps of a job
_STEP_SECONDS = 1e-4  # at least, of a step
_MULTIPLICATIONS_A_SECOND = 3e9  # of one core, as a rough guess

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class PackedSetup:
    """A setup whose rows are arrays, which all processes of a node read from the same memory."""

    bare: SharedSetup  # its rows have no tensors
    arrays: dict[str, tuple[Arrays, Arrays]]  # inputs and targets, by part of the data

    @classmethod
    def of(cls, setup: SharedSetup) -> "PackedSetup":
        """Pack the setup of rows that are on the CPU."""
        parts = {name: rows for name in _PARTS if (rows := getattr(setup, name)) is not None}
        arrays = {
            name: (
                {field: tensor.numpy() for field, tensor in rows.inputs.items()},
                {field: tensor.numpy() for field, tensor in rows.targets.items()},
            )
            for name, rows in parts.items()
        }
        empty = {name: Rows({}, {}, len(rows)) for name, rows in parts.items()}
        return cls(_with_rows(setup, empty), arrays)

    def unpack(self) -> SharedSetup:
        """Return the setup, in the same memory; its rows are for reading alone."""
        parts = {}
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The given NumPy array is not writable")
            for name, (inputs, targets) in self.arrays.items():
                parts[name] = Rows(
                    {field: torch.from_numpy(array) for field, array in inputs.items()},
                    {field: torch.from_numpy(array) for field, array in targets.items()},
                    len(getattr(self.bare, name)),
                )
        return _with_rows(self.bare, parts)


def _with_rows(setup: SharedSetup, parts: Mapping[str, Rows]) -> SharedSetup:
    validation, test = parts.get("validation"), parts.get("test")
    return replace(setup, train=parts["train"], validation=validation, test=test)


@dataclass(frozen=True)
class PackedTrials:
    """Trials of one setup, without it."""

    trials: tuple[tuple[Trial, OptimizerConfig], ...]

    @classmethod
    def of(cls, trials: Sequence[ResolvedTrial]) -> "PackedTrials":
        """Take trials of one setup."""
        return cls(tuple((trial.trial, trial.optimizer) for trial in trials))

    def unpack(self, setup: SharedSetup) -> tuple[ResolvedTrial, ...]:
        """Return them with their setup."""
        return tuple(ResolvedTrial(trial, setup, optimizer) for trial, optimizer in self.trials)


def train_trials(
    packed: PackedSetup, trials: PackedTrials, is_stacked: bool, versions: Versions
) -> Iterator[Event]:
    """Train trials, as a job of one thread; ConfigError where other versions are installed."""
    _refuse_other_versions(versions)
    setup = packed.unpack()
    configure_torch(setup.placement)
    job = Job(trials.unpack(setup), is_stacked)
    yield from execute_here(job, steps_a_report=_steps_a_report(job))


def take_range_steps(
    packed: PackedSetup,
    trials: PackedTrials,
    lrs: Sequence[float],
    num_threads: int,
    versions: Versions,
) -> Iterator[tuple[tuple[float, ...], ...]]:
    """Yield the losses of each trial at each learning rate, several steps at once.

    ConfigError where other versions are installed.
    """
    _refuse_other_versions(versions)
    setup = packed.unpack()
    configure_torch(setup.placement)
    block: list[tuple[float, ...]] = []
    for losses in take_steps(trials.unpack(setup), lrs, num_threads):
        block.append(losses)
        if len(block) == STEPS_AT_ONCE:
            yield tuple(block)
            block.clear()
    if block:
        yield tuple(block)


def _refuse_other_versions(versions: Versions) -> None:
    """Look again: the node may have joined a moment ago."""
    refuse_other_versions(versions, make_probe()(), socket.gethostname())


def _steps_a_report(job: Job) -> int:
    """Guess how many steps take as long as is between two reports, by the job alone."""
    setup = job.trials[0].setup
    rows = setup.settings.rows_per_batch(len(setup.train)) * setup.settings.accumulate_batches
    # A backward pass takes about twice what a forward pass does.
    work = 3 * rows * setup.plan.multiply_adds * (len(job.trials) if job.is_stacked else 1)
    return max(1, int(_REPORT_SECONDS / (_STEP_SECONDS + work / _MULTIPLICATIONS_A_SECOND)))
