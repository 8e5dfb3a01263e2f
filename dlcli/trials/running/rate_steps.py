"""Steps of trials at given learning rates, side by side: what a range test sees of each."""

import math
from collections.abc import Iterator, Sequence
from itertools import count

import torch
from torch import Tensor

from dlcli.network.builder import prepare_to_train
from dlcli.training.engines.threads import choose_threads, using_threads
from dlcli.training.rows.companions import companions_of
from dlcli.training.rows.steps import epoch_steps
from dlcli.trials.running.execution import obstacle_to_stacking
from dlcli.trials.running.stack import Stack
from dlcli.trials.running.stacked_rows import stacked_steps
from dlcli.trials.setup import ResolvedTrial, assemble_trial


def num_threads_of_steps(trials: Sequence[ResolvedTrial]) -> int:
    """Return how many threads share a step of trials of one setup."""
    setup = trials[0].setup
    return choose_threads(setup.settings, setup.plan, len(setup.train)).number


def take_steps(
    trials: Sequence[ResolvedTrial], lrs: Sequence[float], num_threads: int
) -> Iterator[tuple[float, ...]]:
    """Yield the training loss of each trial after each step, in the target's units.

    The loss of a step is that of its own batch, before the step; infinite once a trial has
    diverged. Trials share a setup.
    """
    setup = trials[0].setup
    unit = setup.loss.unit(setup.target.unit)
    take = _sequentially if obstacle_to_stacking(setup) else _stacked
    with using_threads(num_threads):
        for losses in take(trials, lrs):
            yield tuple(
                loss * unit if math.isfinite(loss) else math.inf for loss in losses.tolist()
            )


def _stacked(trials: Sequence[ResolvedTrial], lrs: Sequence[float]) -> Iterator[Tensor]:
    """Yield losses, [trials]."""
    stack = Stack.of(trials)
    device = trials[0].setup.placement.device
    order = torch.tensor([stack.trials.index(trial) for trial in trials], device=device)
    epochs = (stacked_steps(trials[0].setup, stack.seeds, epoch) for epoch in count(1))
    steps = (step for epoch in epochs for step in epoch)
    for lr, batches in zip(lrs, steps, strict=False):
        lr_of_each = torch.full((len(trials),), lr, device=device)
        yield stack.take_step(batches, lr_of_each)[order, 0]


def _sequentially(trials: Sequence[ResolvedTrial], lrs: Sequence[float]) -> Iterator[Tensor]:
    """Do the same with a network of its own for each trial, step by step in turn."""
    for losses in zip(*(_losses(trial, lrs) for trial in trials), strict=True):
        yield torch.tensor(losses)


def _losses(trial: ResolvedTrial, lrs: Sequence[float]) -> Iterator[float]:
    """Yield a trial's loss at each rate, infinite from where it is not finite."""
    with torch.random.fork_rng(devices=[]):
        trainer = assemble_trial(trial)
    prepare_to_train(trainer.network, trainer.plan)
    setup = trial.setup
    epochs = (
        epoch_steps(
            setup.train,
            batch_size=setup.settings.batch_size,
            accumulate=setup.settings.accumulate_batches,
            seed=trial.seed,
            epoch=epoch,
            last_batch=setup.settings.last_batch,
            companions=companions_of(setup.settings.augment),
        )
        for epoch in count(1)
    )
    steps = (step for epoch in epochs for step in epoch)
    is_over = False
    for number, (lr, batches) in enumerate(zip(lrs, steps, strict=False)):
        loss = math.inf
        if not is_over:
            trainer.optimizer.lr = lr
            try:
                loss = float(trainer.stepper.take_step(batches, number)[0])
            except RuntimeError as error:
                if "without overflow" not in str(error):
                    raise
            is_over = not math.isfinite(loss)
        yield math.inf if is_over else loss
