"""Where the network meets the loss: which one fits the target, whose activation is applied once."""

from collections.abc import Iterator, Mapping, Sequence

from dlcli.config import Config, LoadedConfig
from dlcli.config.sections.model import ModelConfig, OutputConfig
from dlcli.config.text.parsing import KeyPath, format_path
from dlcli.errors import ConfigError, Problem, suggest
from dlcli.layers.activations import ACTIVATIONS
from dlcli.layers.base import Layer
from dlcli.losses import AnyLoss, Loss, default_loss, losses_for
from dlcli.losses.several_losses import SeveralLosses
from dlcli.network.branches.heads import PlannedHead
from dlcli.section import type_of
from dlcli.targets.base import Target
from dlcli.targets.several_targets import SeveralTargets
from dlcli.targets.task import a_target


def choose_loss(loaded: LoadedConfig, target: Target) -> Loss:
    """Return the config's loss, or the task's own; ConfigError where it doesn't fit the target.

    That of several targets is the weighted sum of theirs.
    """
    problems = [*_output_problems(loaded, target)]
    found = {}
    for part, (path, said) in zip(target.parts, _said(loaded.config, target), strict=True):
        try:
            found[part.name] = _fitting(loaded, path, said, part)
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(*problems)
    return _whole(target, found, loaded.config.model.outputs)


def resolved_loss(config: Config, target: Target) -> Loss | None:
    """Return the loss of a resolved config; None where it has none that fits the target."""
    losses = {}
    for part, (_, loss) in zip(target.parts, _said(config, target), strict=True):
        if loss is None or part.task not in loss.tasks():
            return None
        losses[part.name] = loss
    return _whole(target, losses, config.model.outputs)


def resolved_outputs(
    model: ModelConfig, loss: Loss, heads: tuple[PlannedHead, ...]
) -> dict[str, OutputConfig] | None:
    """Return `model.outputs` with nothing left to default; None where there is one target."""
    layers = {head.name: tuple(layer.config for layer in head.layers) for head in heads}
    outputs = {
        target.name: OutputConfig(loss=target.loss, weight=target.weight).model_copy(
            update={"layers": layers.get(target.name, ())}
        )
        for target in loss.of_targets
    }
    return outputs or model.outputs


def default_loss_notes(config: Config, loss: Loss, target: Target) -> Iterator[str]:
    """Say which losses are the default of a task."""
    heads = {head.name: head.loss for head in loss.of_targets}
    for part, (path, said) in zip(target.parts, _said(config, target), strict=True):
        if said is None:
            mine = heads.get(part.name, loss)
            of = f" of '{part.name}'" if heads else ""
            key = format_path(path)
            yield f"loss{of}: {mine.type}, the default for {a_target(part.task)} ({key})"


def _said(config: Config, target: Target) -> Iterator[tuple[KeyPath, AnyLoss | None]]:
    """Yield where the loss of each target is said, and what is said there, if anything."""
    if len(target.parts) == 1:
        yield ("loss",), config.loss
        return
    outputs = config.model.outputs or {}
    for part in target.parts:
        said = outputs[part.name].loss if part.name in outputs else None
        yield ("model", "outputs", part.name, "loss"), said


def _whole(
    target: Target, losses: Mapping[str, AnyLoss], outputs: Mapping[str, OutputConfig] | None
) -> Loss:
    """Return the loss of a target, or the weighted sum of those of several."""
    if not isinstance(target, SeveralTargets):
        return losses[target.name]
    weights = {name: output.weight for name, output in (outputs or {}).items()}
    return SeveralLosses.of(target, losses, weights)


def _fitting(loaded: LoadedConfig, path: KeyPath, loss: AnyLoss | None, target: Target) -> AnyLoss:
    """Return a loss, or the default; ConfigError where it doesn't fit its target."""
    task = target.task
    if loss is None:
        return default_loss(task)
    if task not in loss.tasks():
        fitting = " or ".join(type_of(one) for one in losses_for(task))
        raise loaded.error(
            path,
            f"{loss.type} doesn't fit {a_target(task)}; use {fitting}, or set data.task: "
            f"{loss.tasks()[0]} if that is what the target is",
        )
    names = target.score_names
    for setting, name in loss.unknown_classes(names):
        what, all_of = ("class", "classes") if target.class_names else ("label", "labels")
        raise loaded.error(
            (*path, setting, name),
            f"there is no {what} '{name}'{suggest(name, names)}; the {all_of}: {', '.join(names)}",
        )
    return loss


def _output_problems(loaded: LoadedConfig, target: Target) -> Iterator[Problem]:
    """Yield what `model.outputs` and `loss` say of targets that there aren't."""
    names = [part.name for part in target.parts]
    outputs = loaded.config.model.outputs or {}
    if len(names) == 1:
        if outputs:
            yield loaded.problem(
                ("model", "outputs"),
                f"is for several targets, and data.target names one: put layers into model.layers "
                f"and a loss into `loss`, or name several targets, as in data.target: [{names[0]}, "
                "…]",
            )
        return
    if loaded.config.loss is not None:
        yield loaded.problem(
            ("loss",),
            f"each of several targets has its own: say it in model.outputs, as in "
            f"{{{names[0]}: {{loss: {loaded.config.loss.type}}}}}",
        )
    for name in outputs:
        if name not in names:
            yield loaded.problem(
                ("model", "outputs", name),
                f"'{name}' is no target{suggest(name, names)}; the targets (data.target): "
                f"{', '.join(names)}",
            )


def refuse_double_activation(loaded: LoadedConfig, loss: Loss) -> None:
    """Raise ConfigError where the last layer does what the loss does itself."""
    model = loaded.config.model
    outputs = {name: output.layers for name, output in (model.outputs or {}).items()}
    for head in loss.of_targets:
        if layers := outputs.get(head.name):
            path = ("model", "outputs", head.name, "layers")
            _refuse_double_activation(loaded, path, layers, head.loss)
    if not any(outputs.values()):
        ends: list[Loss] = [head.loss for head in loss.of_targets]
        for of_layers in ends or [loss]:
            _refuse_double_activation(loaded, ("model", "layers"), model.layers, of_layers)


def _refuse_double_activation(
    loaded: LoadedConfig, path: KeyPath, layers: Sequence[Layer], loss: Loss
) -> None:
    activation = layers[-1].applied_activation
    if loss.activation is None or activation is None:
        return
    if ACTIVATIONS[activation].gives_probabilities:
        raise loaded.error(
            (*path, len(layers) - 1, "activation"),
            f"{loss.type} takes logits and applies the {loss.activation} itself; leave "
            f"{activation} out (predictions are probabilities all the same)",
        )
