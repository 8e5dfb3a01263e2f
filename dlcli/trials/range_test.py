"""The learning-rate range test: a few steps in which the rate rises from far too low to too high.

After Smith, *Cyclical learning rates for training neural networks* (2015, arXiv:1506.01186),
section 3.3. Several seeds do it at once, as one seed's losses say little.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import count

import torch
from torch import Tensor

from dlcli.config.optimizers import Optimizer
from dlcli.training.losses import build_objective, loss_unit
from dlcli.training.rows.batches import epoch_steps
from dlcli.trials.running.execution import obstacle_to_stacking
from dlcli.trials.running.stack import Stack
from dlcli.trials.running.stacked_rows import stacked_steps
from dlcli.trials.trial import RunSpec, SharedSetup, assemble_trial

_HOPELESS = 10.0  # times the first loss: from there on nothing is learned any more


def rising_rates(lowest: float, highest: float, num_steps: int) -> list[float]:
    """Return a rate for each step, each the same ratio above the one before."""
    ratio = (highest / lowest) ** (1 / (num_steps - 1))
    return [lowest * ratio**step for step in range(num_steps)]


def range_test(
    problem: SharedSetup, optimizer: Optimizer, seeds: Sequence[int], lrs: Sequence[float]
) -> Iterator[list[float]]:
    """Yield the training loss of each seed after each step, in the target's units.

    The loss of a step is that of its own batch, before the step; endless once a seed has diverged.
    The test ends early where every seed's loss is ten times its first one.
    """
    specs = [RunSpec(optimizer, seed) for seed in seeds]
    take = _one_by_one if obstacle_to_stacking(problem) else _together
    unit = loss_unit(problem.loss, problem.target)
    first: list[float] | None = None
    for losses in take(problem, specs, lrs):
        found = [loss * unit if math.isfinite(loss) else math.inf for loss in losses.tolist()]
        yield found
        first = first or found
        if all(loss > _HOPELESS * start for loss, start in zip(found, first, strict=True)):
            return


def _together(
    problem: SharedSetup, specs: Sequence[RunSpec], lrs: Sequence[float]
) -> Iterator[Tensor]:
    """Yield losses, [seeds], in the order of the specs."""
    objective = build_objective(problem.loss, problem.target, problem.placement.device)
    clip_norm = problem.settings.gradient_clip_norm
    stack = Stack.of(specs, problem.plan, objective, problem.placement, clip_norm)
    order = torch.tensor([stack.specs.index(spec) for spec in specs])
    epochs = (stacked_steps(problem, stack.seeds, epoch) for epoch in count(1))
    steps = (step for epoch in epochs for step in epoch)
    for lr, batches in zip(lrs, steps, strict=False):
        yield stack.take_step(batches, torch.full((len(specs),), lr))[order, 0]


def _one_by_one(
    problem: SharedSetup, specs: Sequence[RunSpec], lrs: Sequence[float]
) -> Iterator[Tensor]:
    """Do the same by a run for each seed, step by step in turn."""
    runs = [_losses(problem, spec, lrs) for spec in specs]
    for losses in zip(*runs, strict=True):
        yield torch.tensor(losses)


def _losses(problem: SharedSetup, spec: RunSpec, lrs: Sequence[float]) -> Iterator[float]:
    """Yield a run's loss at each rate, endless from where it is not finite."""
    with torch.random.fork_rng(devices=[]):
        trainer = assemble_trial(problem, spec)
    trainer.network.train()
    settings = problem.settings
    epochs = (
        epoch_steps(
            problem.train,
            batch_size=settings.batch_size,
            accumulate=settings.accumulate_batches,
            seed=spec.seed,
            epoch=epoch,
        )
        for epoch in count(1)
    )
    steps = (step for epoch in epochs for step in epoch)
    is_over = False
    for lr, batches in zip(lrs, steps, strict=False):
        loss = math.inf
        if not is_over:
            trainer.optimizer.lr = lr
            try:
                loss = float(trainer.stepper.take_step(batches)[0])
            except RuntimeError as error:
                if "without overflow" not in str(error):
                    raise
            is_over = not math.isfinite(loss)
        yield math.inf if is_over else loss
