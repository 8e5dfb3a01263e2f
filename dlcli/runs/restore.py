"""A checkpoint → its network, on a device."""

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from dlcli.data.fitted import FittedData
from dlcli.errors import CheckpointError
from dlcli.layers.base import ShapeError
from dlcli.losses import Loss
from dlcli.network.builder import build_network
from dlcli.network.heads import resolved_loss
from dlcli.network.plan import Plan, plan_model
from dlcli.training.device import (
    Placement,
    choose_placement_anew,
    configure_torch,
    memory_explained,
)
from dlcli.training.saving.checkpoint import Checkpoint, load_checkpoint, load_weights


@dataclass(frozen=True)
class Restored:
    """A network on its device, with what is needed to predict with it."""

    network: nn.Module
    plan: Plan
    fitted: FittedData
    loss: Loss
    placement: Placement
    checkpoint: Checkpoint

    @property
    def temperature(self) -> float | None:
        """The temperature that calibrates its probabilities; None: they are as the network's."""
        return self.checkpoint.temperature


def restore(path: Path) -> Restored:
    """Build a checkpoint's network; CheckpointError if it can't be used.

    The device is chosen anew: a network trained on a GPU can be used on a machine without one.
    """
    checkpoint = load_checkpoint(path)
    config, fitted = checkpoint.config, checkpoint.fitted
    loss = resolved_loss(config, fitted.target)
    if loss is None:
        raise CheckpointError(f"{path}: damaged: its config has no loss for its target")
    signature = fitted.signature()
    try:
        plan = plan_model(config.model, signature, loss)
    except ShapeError as error:
        raise CheckpointError(f"{path}: damaged: its config is inconsistent: {error}") from None
    num_weights = sum(weight.numel() for weight in checkpoint.weights.values())
    if num_weights < plan.num_parameters:  # a damaged config must not build a huge network
        raise CheckpointError(
            f"{path}: its weights don't fit its config: "
            f"{num_weights:,} numbers for {plan.num_parameters:,} parameters"
        )
    placement = choose_placement_anew(config.training.precision)
    configure_torch(placement)
    what = f"the {plan.num_parameters:,} parameters of {path}"
    with memory_explained(placement.device, what, "a machine with more of it can take them"):
        network = build_network(plan, seed=config.seed)
        load_weights(network, checkpoint, path)
        network = network.to(placement.device)
    return Restored(network, plan, fitted, loss, placement, checkpoint)
