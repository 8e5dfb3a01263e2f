"""Where the network meets the loss: which one fits the target, whose activation is applied once."""

from dlcli.config import LoadedConfig
from dlcli.errors import suggest
from dlcli.layers.activations import ACTIVATIONS
from dlcli.losses import Loss, default_loss, losses_for
from dlcli.section import type_of
from dlcli.targets.base import Target
from dlcli.targets.task import Task, a_target


def choose_loss(loaded: LoadedConfig, task: Task, target: Target) -> Loss:
    """Return the config's loss, or the task's own; ConfigError where it doesn't fit the target."""
    loss = loaded.config.loss
    if loss is None:
        return default_loss(task)
    if task not in loss.tasks():
        fitting = " or ".join(type_of(one) for one in losses_for(task))
        raise loaded.error(
            ("loss",),
            f"{loss.type} doesn't fit {a_target(task)}; use {fitting}, or set data.task: "
            f"{loss.tasks()[0]} if that is what the target is",
        )
    names = target.score_names
    for setting, name in loss.unknown_classes(names):
        what, all_of = ("class", "classes") if target.class_names else ("label", "labels")
        raise loaded.error(
            ("loss", setting, name),
            f"there is no {what} '{name}'{suggest(name, names)}; the {all_of}: {', '.join(names)}",
        )
    return loss


def refuse_double_activation(loaded: LoadedConfig, loss: Loss) -> None:
    """Raise ConfigError where the last layer does what the loss does itself."""
    layers = loaded.config.model.layers
    activation = layers[-1].applied_activation
    if loss.activation is None or activation is None:
        return
    if ACTIVATIONS[activation].gives_probabilities:
        raise loaded.error(
            ("model", "layers", len(layers) - 1, "activation"),
            f"{loss.type} takes logits and applies the {loss.activation} itself; leave "
            f"{activation} out (predictions are probabilities all the same)",
        )
