"""A config's `outputs` → a head of layers for each of several targets, behind the shared layers."""

from dataclasses import dataclass

from dlcli.config.sections.model import ModelConfig
from dlcli.layers.base import PlannedLayer, Shape, ShapeError
from dlcli.layers.sequence import plan_layers, still_ragged, with_outputs
from dlcli.losses import Loss
from dlcli.network.branches.planning import branch_module

OUTPUTS = "outputs"  # the module that computes the heads


@dataclass(frozen=True)
class PlannedHead:
    """The layers of one target, whose outputs are its alone."""

    name: str  # of the target
    module: str  # the full name of its module
    layers: tuple[PlannedLayer, ...]


def plan_heads(
    model: ModelConfig, loss: Loss, shape: Shape, *, are_ragged: bool
) -> tuple[PlannedHead, ...]:
    """Plan the heads of a model whose shared layers give a shape; ShapeError, inside of `model`.

    `are_ragged`: they give sequences of different lengths. Heads are in the order of the targets.
    """
    heads = []
    for place, target in enumerate(loss.of_targets):
        section = (model.outputs or {}).get(target.name)
        path = (OUTPUTS, target.name)
        if section is None or not section.layers:
            here = (OUTPUTS,) if section is None else path
            example = f"{{{target.name}: {{layers: [{{type: dense}}]}}}}"
            raise ShapeError(
                f"'{target.name}' has no layers, and other targets do: give it some, as in "
                f"model.outputs: {example}, or leave out the layers of all heads, so that the last "
                "shared layer gives the outputs of all targets",
                here,
            )
        try:
            layers = plan_layers(with_outputs(section.layers, target.num_outputs), shape)
            if are_ragged:
                still_ragged(layers)
        except ShapeError as error:
            raise ShapeError(str(error), (*path, "layers", *error.path)) from None
        final = layers[-1].output_shape
        if final != (target.num_outputs,):
            raise ShapeError(
                f"the head's output has the shape {list(final)}, the target needs "
                f"{[target.num_outputs]}; end with {{type: dense}}, which takes its units from the "
                "target",
                (*path, "layers", len(layers) - 1),
            )
        heads.append(PlannedHead(target.name, branch_module(OUTPUTS, place, target.name), layers))
    return tuple(heads)
