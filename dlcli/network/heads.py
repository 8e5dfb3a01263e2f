"""Where the network meets the loss: which loss fits the task, and how many outputs it needs."""

from typing import assert_never

from dlcli.config import LoadedConfig
from dlcli.config.layers import ActivationLayer, Dense, Layer
from dlcli.config.objectives import (
    BinaryCrossEntropy,
    CrossEntropy,
    Huber,
    Loss,
    MeanAbsoluteError,
    MeanSquaredError,
)
from dlcli.config.sections.data import Task
from dlcli.data.signature import Signature
from dlcli.data.target import ClassTarget, FittedTarget, NumberTarget
from dlcli.errors import suggest

_LOSSES: dict[Task, tuple[str, ...]] = {
    "binary": ("binary_cross_entropy", "cross_entropy"),
    "multiclass": ("cross_entropy",),
    "regression": ("mse", "mae", "huber"),
}


def choose_loss(loaded: LoadedConfig, task: Task, target: FittedTarget) -> Loss:
    """Return the config's loss, or the task's own; ConfigError where it doesn't fit the target."""
    loss = loaded.config.loss
    if loss is None:
        match task:
            case "binary":
                return BinaryCrossEntropy(type="binary_cross_entropy")
            case "multiclass":
                return CrossEntropy(type="cross_entropy")
            case "regression":
                return MeanSquaredError(type="mse")
            case _:
                assert_never(task)
    if loss.type not in _LOSSES[task]:
        fitting = next(other for other, losses in _LOSSES.items() if loss.type in losses)
        raise loaded.error(
            ("loss",),
            f"{loss.type} is no loss for a {task} target; use {' or '.join(_LOSSES[task])}, or "
            f"set data.task: {fitting} if that is what the target is",
        )
    weights = getattr(loss, "class_weights", None)
    if isinstance(target, ClassTarget) and isinstance(weights, dict):
        for name in weights:
            if name not in target.classes:
                raise loaded.error(
                    ("loss", "class_weights", name),
                    f"there is no class '{name}'{suggest(name, target.classes)}; the classes: "
                    f"{', '.join(target.classes)}",
                )
    return loss


def fits(loss: Loss, target: FittedTarget) -> bool:
    """Say whether a loss is one for a target."""
    if isinstance(target, NumberTarget):
        return loss.type in _LOSSES["regression"]
    return loss.type in _LOSSES["binary" if len(target.classes) == 2 else "multiclass"]


def num_outputs(loss: Loss, signature: Signature) -> int:
    """Return the numbers that the network must give for each row."""
    match loss:
        case CrossEntropy():
            assert signature.num_classes is not None, "the loss fits the task"
            return signature.num_classes
        case BinaryCrossEntropy() | MeanSquaredError() | MeanAbsoluteError() | Huber():
            return 1
        case _:
            assert_never(loss)


def refuse_double_activation(loaded: LoadedConfig, loss: Loss) -> None:
    """Raise ConfigError where the last layer does what the loss does itself."""
    layers = loaded.config.model.layers
    last: Layer = layers[-1]
    if not isinstance(last, Dense | ActivationLayer):
        return
    repeated = ("sigmoid", "softmax", "log_sigmoid")
    if isinstance(loss, BinaryCrossEntropy | CrossEntropy) and last.activation in repeated:
        raise loaded.error(
            ("model", "layers", len(layers) - 1, "activation"),
            f"{loss.type} takes logits and applies the "
            f"{'sigmoid' if isinstance(loss, BinaryCrossEntropy) else 'softmax'} itself; "
            f"leave {last.activation} out (predictions are probabilities all the same)",
        )
