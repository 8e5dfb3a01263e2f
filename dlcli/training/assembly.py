"""What a run is made of, put together."""

import torch

from dlcli.config.sections.training import TrainingConfig
from dlcli.losses import Loss
from dlcli.network.builder import build_network
from dlcli.network.plan import Plan
from dlcli.optimizers.base import OptimizerConfig
from dlcli.schedules.base import ScheduleConfig
from dlcli.seeds import derive_seed
from dlcli.targets.base import Target
from dlcli.training.device import GradientScaler, Placement
from dlcli.training.early_stopping import Watch
from dlcli.training.engines.choice import choose_engine
from dlcli.training.loop import Trainer
from dlcli.training.objective import build_objective
from dlcli.training.optimizers import FlatParameters, Optimizer
from dlcli.training.processes.group import ALONE, Group
from dlcli.training.processes.shards import ShardedStep
from dlcli.training.schedules import Schedule


def assemble(
    plan: Plan,
    *,
    loss: Loss,
    optimizer: OptimizerConfig,
    schedule: ScheduleConfig,
    settings: TrainingConfig,
    target: Target,
    placement: Placement,
    seed: int,
    num_rows: int,
    group: Group = ALONE,
) -> Trainer:
    """Build a run on so many training rows, its network on its device, its draws from the seed.

    A group of processes shares it, each with some of the shards of every batch.
    """
    network = build_network(plan, seed=seed).to(placement.device)
    torch.manual_seed(derive_seed(seed, "dropout"))
    flat = FlatParameters(network, plan.update_factors)
    sharded = None
    if settings.shards > 1:
        changing = [one for name, one in network.named_buffers() if not plan.is_frozen(name)]
        sharded = ShardedStep(settings.shards, group, changing, flat, seed=seed)
    return Trainer(
        plan=plan,
        network=network,
        objective=build_objective(loss, target, placement.device),
        optimizer=Optimizer(optimizer, flat),
        schedule=Schedule.of(schedule, optimizer.lr, settings, num_rows),
        target=target,
        placement=placement,
        settings=settings,
        seed=seed,
        scaler=GradientScaler(placement),
        watch=Watch.of(settings.early_stopping),
        engine=choose_engine(settings, placement, plan, num_rows),
        group=group,
        sharded=sharded,
    )
