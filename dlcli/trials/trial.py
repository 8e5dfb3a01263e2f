"""What runs of a comparison share, what makes each one, and what came of it."""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from dlcli.config.objectives import Loss
from dlcli.config.optimizers import Optimizer as OptimizerConfig
from dlcli.config.optimizers import Schedule as ScheduleConfig
from dlcli.config.sections.training import TrainingConfig
from dlcli.data.target import FittedTarget
from dlcli.network.plan import Plan
from dlcli.training.assembly import assemble
from dlcli.training.device import Placement
from dlcli.training.loop import Trainer
from dlcli.training.rows.batches import Rows


@dataclass(frozen=True)
class SharedSetup:
    """What all runs learn, and how, but for what a RunSpec says."""

    plan: Plan
    loss: Loss
    schedule: ScheduleConfig
    settings: TrainingConfig
    target: FittedTarget
    placement: Placement
    train: Rows
    validation: Rows


@dataclass(frozen=True)
class RunSpec:
    """What makes a run differ from others."""

    optimizer: OptimizerConfig  # with its learning rate
    seed: int

    @property
    def rule(self) -> OptimizerConfig:
        """Its optimizer but for the learning rate."""
        return self.optimizer.model_copy(update={"lr": 1.0})


@dataclass(frozen=True)
class Point:
    """An epoch of a run. Losses are in the target's own units."""

    epoch: int  # from 1
    train_loss: float
    validation_loss: float


@dataclass(frozen=True)
class FinishedTrial:
    """A run that is over."""

    spec: RunSpec
    curve: tuple[Point, ...]  # of the epochs that were finished
    end: Literal["epochs", "early_stopping", "diverged"]
    num_steps: int  # taken; the last is the one that diverged
    best_epoch: int  # 0: it diverged in its first epoch
    weights: dict[str, Tensor]  # of the best epoch, on the CPU; none where there is no such epoch


def assemble_trial(problem: SharedSetup, spec: RunSpec) -> Trainer:
    """Build a run of a comparison as it is alone."""
    return assemble(
        problem.plan,
        loss=problem.loss,
        optimizer=spec.optimizer,
        schedule=problem.schedule,
        settings=problem.settings,
        target=problem.target,
        placement=problem.placement,
        seed=spec.seed,
        num_rows=len(problem.train),
    )
