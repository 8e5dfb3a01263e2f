"""What runs of a comparison share, what makes each one, and what came of it."""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from dlcli.config.objectives import Loss
from dlcli.config.optimizers import Optimizer as OptimizerConfig
from dlcli.config.optimizers import Schedule as ScheduleConfig
from dlcli.config.training import TrainingConfig
from dlcli.data.target import FittedTarget
from dlcli.model.plan import Plan
from dlcli.training.batches import Rows
from dlcli.training.device import Placement


@dataclass(frozen=True)
class Problem:
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
class Outcome:
    """A run that is over."""

    spec: RunSpec
    curve: tuple[Point, ...]  # of the epochs that were finished
    end: Literal["epochs", "early_stopping", "diverged"]
    num_steps: int  # taken; the last is the one that diverged
    best_epoch: int  # 0: it diverged in its first epoch
    weights: dict[str, Tensor]  # of the best epoch, on the CPU; none where there is no such epoch
