"""What a run is made of, put together."""

import torch
from torch import nn

from dlcli.config.sections.training import TrainingConfig
from dlcli.data.kept_rows import choose_evenly
from dlcli.losses import Loss
from dlcli.network.builder import build_network
from dlcli.network.pixel_statistics import MAX_IMAGES, fit_pixel_scaling
from dlcli.network.plan import Plan
from dlcli.network.start_from_rows import num_rows_to_start_from, start_from_rows
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
from dlcli.training.rows.batches import BatchSource, shuffled
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

    A group of processes shares it, each with some of the shards of every batch. Weights that begin
    with statistics of training rows are set by `initialise_from_rows`, once there are rows.
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


def initialise_from_rows(network: nn.Module, plan: Plan, train: BatchSource, *, seed: int) -> None:
    """Set the weights that begin with statistics of training rows; do nothing without any.

    The rows are drawn by the seed, all rows alike, and taken in their order: the same ones wherever
    they lie, and however many processes train. The scaling of images is fitted to rows that are
    evenly taken from all. Raises StorageError where they can't be read.
    """
    if not plan.starts_from_rows:
        return
    device = next(network.parameters()).device
    if plan.unscaled_images:
        places = choose_evenly(len(train), MAX_IMAGES)
        chosen = torch.arange(len(train)) if places is None else torch.from_numpy(places)
        images = train.take(chosen.to(device))
        fit_pixel_scaling(network, plan, images.inputs, images.weights)
    if not plan.has_layers_from_rows:
        return
    num_rows = num_rows_to_start_from(plan)
    drawn = shuffled(len(train), derive_seed(seed, "rows to start from"))[:num_rows]
    rows = train.take(drawn.sort().values.to(device))
    start_from_rows(network, plan, rows.inputs, seed=seed)
