"""What in a network keeps runs from being stacked, or steps from being recorded."""

from collections.abc import Callable

from dlcli.layers.base import Traits
from dlcli.network import inputs
from dlcli.network.plan import Plan


def stacking_obstacle(plan: Plan) -> str | None:
    """Say why torch.func.vmap can't compute networks of a plan side by side; None: it can."""
    if plan.frozen:
        return "layers are frozen (model.freeze)"
    if plan.signature.sequences:
        return "rows differ in length, and each run's batches are cut to a width of their own"
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
    shares = (layer.config.dropped_share for _, layer in plan.modules())
    return any(share is not None and share.value > 0 for share in shares)


def _first_obstacle(plan: Plan, obstacle: Callable[[Traits], str | None], verb: str) -> str | None:
    for _, layer in plan.modules():
        reason = obstacle(layer.config.traits)
        if reason is not None:
            return f"{layer.config.type} can't be {verb}: {reason}"
    return None
