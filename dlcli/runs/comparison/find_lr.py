"""`dlcli find-lr`: a learning-rate range test on a config's optimizer."""

import json
import math
from collections.abc import Generator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from dlcli.config.sections.compare import Candidate
from dlcli.errors import ConfigError, DivergedError
from dlcli.files import atomic_file
from dlcli.runs.comparison.setup import build_resolver
from dlcli.runs.folder.lock import hold_run_folder
from dlcli.runs.folder.run_folder import RunFolder, write_config
from dlcli.runs.preparation import Prepared
from dlcli.runs.training.signals import SignalName, stop_signals
from dlcli.training.device import Placement, choose_placement, configure_torch, memory_explained
from dlcli.trials.constant_baseline import constant_baseline
from dlcli.trials.range_test import RangeReading, RangeTest, rising_rates
from dlcli.trials.running.backend import Backend
from dlcli.trials.running.executor import Executor, StepLosses

_DECADES_AROUND = 4  # on either side of the optimizer's default rate


@dataclass(frozen=True)
class Range:
    """What to test; rates default to four decades around the optimizer's default."""

    lowest: float | None = None
    highest: float | None = None
    num_steps: int = 300
    num_seeds: int = 5


@dataclass(frozen=True)
class RangeTestStarted:
    """All checks passed; the test starts."""

    prepared: Prepared
    placement: Placement
    lowest: float
    highest: float
    num_steps: int
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class RangeTestStep:
    """A step of every seed was taken."""

    num_steps: int


@dataclass(frozen=True)
class RangeTestFinished:
    """The test is over; the folder has all but the picture."""

    reading: RangeReading
    folder: RunFolder
    document: dict[str, Any]  # of find_lr.json


@dataclass(frozen=True)
class RangeTestStopped:
    """A signal stopped it; nothing is kept."""

    signal: SignalName


Event = RangeTestStarted | RangeTestStep | RangeTestFinished | RangeTestStopped


def find_lr(
    prepared: Prepared,
    wanted: Range,
    *,
    run_dir: Path | None = None,
    backend: Backend | None = None,
) -> Generator[Event, None, None]:
    """Test, yielding events; the last is `RangeTestFinished` or `RangeTestStopped`.

    Without a `backend`, this process takes the steps. Raises DlcliErrors; DivergedError where not
    one step can be taken.
    """
    config = prepared.config
    if not config.optimizer.follows_lr:
        raise ConfigError(
            f"optimizer.type: {config.optimizer.type} takes the learning rate of the first step "
            "only, so that rates can't be tested one step after the other; test another optimizer"
        )
    lowest, highest = _ends(prepared, wanted)
    placement = choose_placement(config.training.device, config.training.precision)
    configure_torch(placement)
    seeds = tuple((config.seed + index) % 2**63 for index in range(wanted.num_seeds))
    lrs = rising_rates(lowest, highest, wanted.num_steps)
    what = f"{len(seeds)} networks of {prepared.plan.num_parameters:,} parameters and their rows"
    with (
        memory_explained(placement.device, what, "try fewer --seeds or a smaller batch"),
        ExitStack() as stack,
    ):
        resolver = build_resolver(prepared, placement)
        executor = Executor(resolver, backend=backend)
        stop_signal = stack.enter_context(stop_signals())
        folder = stack.enter_context(hold_run_folder(run_dir, config.name, resume=False))
        yield RangeTestStarted(prepared, placement, lowest, highest, wanted.num_steps, seeds)
        constant = constant_baseline(resolver.base, resolver.base.train)
        rule = RangeTest(seeds, lrs, constant=constant)
        for stage in rule.stages():
            for event in stack.enter_context(closing(executor.execute(stage))):
                goes_on = True
                if isinstance(event, StepLosses):
                    goes_on = rule.observe(event.losses)
                    yield RangeTestStep(len(rule.losses))
                if signal := stop_signal():
                    yield RangeTestStopped(signal)
                    return
                if not goes_on:
                    break
        if not any(map(math.isfinite, rule.losses[0])):
            raise DivergedError(
                f"the first step's loss, at lr {lowest:g}, is not finite for any seed: look at the "
                "data's scale (data.scale), or at the layers"
            )
        reading = rule.conclude()
        write_config(folder, config, prepared.folder)
        document = _write(folder, reading, config.optimizer.type, seeds)
        yield RangeTestFinished(reading, folder, document)


def _ends(prepared: Prepared, wanted: Range) -> tuple[float, float]:
    """Return the lowest and the highest rate; ConfigError where they can't be."""
    default = Candidate.model_validate(prepared.config.optimizer.type).optimizer.lr
    lowest = wanted.lowest or default / 10**_DECADES_AROUND
    highest = wanted.highest or default * 10**_DECADES_AROUND
    if lowest >= highest:
        raise ConfigError(
            f"--lowest {lowest:g} --highest {highest:g}: rates rise, so the highest must be above "
            "the lowest"
        )
    return lowest, highest


def _write(
    folder: RunFolder, reading: RangeReading, optimizer: str, seeds: tuple[int, ...]
) -> dict[str, Any]:
    """Write the suggestion, and the losses of every step."""
    document = {
        "optimizer": optimizer,
        "suggestion": reading.suggestion,
        "lowest_loss_at": reading.lowest_at,
        "falls_from": reading.begins_at,
        "reason": reading.reason,
        "seeds": list(seeds),
        "steps": len(reading.lrs),
    }
    num_seeds = len(seeds)
    losses = pl.DataFrame(
        {
            "lr": [lr for lr in reading.lrs for _ in seeds],
            "seed": list(seeds) * len(reading.lrs),
            "loss": [loss for step in reading.losses for loss in step],
            "smoothed": [loss for loss in reading.smoothed for _ in range(num_seeds)],
        },
        schema_overrides={"seed": pl.UInt64},
    )
    with atomic_file(folder.rates) as file:
        losses.write_parquet(file)
    with atomic_file(folder.found_rate) as file:
        file.write(json.dumps(document, indent=2, allow_nan=False).encode() + b"\n")
    return document
