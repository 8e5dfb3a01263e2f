"""What in a network keeps runs from being stacked, or steps from being recorded."""

from collections.abc import Callable

from dlcli.layers.base import Traits
from dlcli.layers.sequence import walk_layers
from dlcli.network import inputs
from dlcli.network.plan import Plan


def stacking_obstacle(plan: Plan) -> str | None:
    """Say why torch.func.vmap can't compute networks of a plan side by side; None: it can."""
    if plan.frozen:
        return "layers are frozen (model.freeze)"
    if plan.signature.embeddings and inputs.STACKING_OBSTACLE is not None:
        return f"embedded columns can't be stacked: {inputs.STACKING_OBSTACLE}"
    return _first_obstacle(plan, lambda traits: traits.stacking_obstacle, "stacked")


def recording_obstacle(plan: Plan) -> str | None:
    """Say why a step of a network can't be recorded and replayed; None: it can."""
    if plan.signature.embeddings and inputs.RECORDING_OBSTACLE is not None:
        return f"embedded columns can't be recorded: {inputs.RECORDING_OBSTACLE}"
    return _first_obstacle(plan, lambda traits: traits.recording_obstacle, "recorded")


def has_dropout(plan: Plan) -> bool:
    """Say whether a network sets numbers to zero at random while training."""
    layers = walk_layers([planned.config for planned in plan.layers])
    return any(layer.dropped_share and layer.dropped_share.value > 0 for _, layer in layers)


def _first_obstacle(plan: Plan, obstacle: Callable[[Traits], str | None], verb: str) -> str | None:
    for _, layer in walk_layers([planned.config for planned in plan.layers]):
        reason = obstacle(layer.traits)
        if reason is not None:
            return f"{layer.type} can't be {verb}: {reason}"
    return None
