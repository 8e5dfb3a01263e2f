"""A plan → one `nn.Module`, its weights drawn from the seed."""

from collections import OrderedDict
from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from dlcli.layers.ragged import LayerSequence
from dlcli.layers.sequence import build_layers, module_name
from dlcli.network.branches.heads import OUTPUTS
from dlcli.network.branches.planning import INPUTS, PlannedInputs
from dlcli.network.ensemble import MEMBERS, MEMBERS_MEAN
from dlcli.network.inputs import Branches, Heads, InputsStage, InputStage
from dlcli.network.members import MembersInput, MembersMean
from dlcli.network.plan import EMBEDDINGS, Plan
from dlcli.seeds import derive_seed


def build_network(plan: Plan, *, seed: int) -> LayerSequence:
    """Build the network on the CPU, in float32.

    It takes the input fields by name, each `[batch, *shape]`, and gives `[batch, num_outputs]`; an
    ensemble gives those of each member, `[batch, members, num_outputs]`, in training mode. Its
    weights are a function of the plan and the seed; torch's own random state is left as it was. A
    layer's module is named by its place in the config and its type: `0_dense`, `0_dense_relu`; with
    several inputs, those of a branch are in `inputs.0_photo`; with several targets, those of a head
    in `outputs.0_price`, and the outputs are the heads' side by side.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derive_seed(seed, "weights"))  # the CPU's alone
        named: OrderedDict[str, nn.Module] = OrderedDict()
        signature = plan.signature
        if plan.inputs is None:
            named[EMBEDDINGS] = InputStage(signature)
        else:
            columns = [branch.columns for branch in plan.inputs.branches]
            named[EMBEDDINGS] = InputsStage(signature, columns)
            named[INPUTS] = _build_inputs(plan.inputs)
        if signature.shape is not None:
            named["shape"] = nn.Unflatten(1, signature.shape)
        named.update(build_layers(plan.layers))
        if plan.ensemble is not None:
            _add_members(named, plan)
        if plan.heads:
            named[OUTPUTS] = Heads(
                {
                    head.module.removeprefix(f"{OUTPUTS}."): LayerSequence(
                        build_layers(head.layers)
                    )
                    for head in plan.heads
                }
            )
        # Images with their channels last: convolutions and pools over them are faster so.
        network = LayerSequence(named)
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        _begin_with(network, plan.given if plan.start is None else plan.start)
        for name, parameter in network.named_parameters():
            parameter.requires_grad_(not plan.is_frozen(name))
        return network


def _build_inputs(inputs: PlannedInputs) -> Branches:
    """Build each branch, and the join."""
    branches = {
        branch.module.removeprefix(f"{INPUTS}."): LayerSequence(build_layers(branch.layers))
        for branch in inputs.branches
    }
    join = inputs.join.config.build(inputs.join)
    return Branches(branches, inputs.join_module.removeprefix(f"{INPUTS}."), join)


def _add_members(modules: OrderedDict[str, nn.Module], plan: Plan) -> None:
    """Put in what gives an ensemble's members their rows, and what takes the mean of theirs."""
    ensemble = plan.ensemble
    assert ensemble is not None, "the network has members"
    first = module_name(ensemble.first, plan.layers[ensemble.first].config)
    after = [*modules][[*modules].index(first) :]
    modules[MEMBERS] = MembersInput(ensemble)
    for name in after:
        modules.move_to_end(name)
    modules[MEMBERS_MEAN] = MembersMean(ensemble.num_members, ensemble.loss)


def prepare_to_train(network: nn.Module, plan: Plan) -> None:
    """Set a network to training mode, but for frozen layers that keep statistics of batches."""
    network.train()
    for name, layer in plan.modules():
        if layer.config.traits.row_mixing is not None and plan.is_frozen(name):
            network.get_submodule(name).eval()


def _begin_with(network: nn.Module, start: Mapping[str, np.ndarray]) -> None:
    """Put weights into a network, but where there are none, or they are NaN."""
    state = network.state_dict() if start else {}
    with torch.no_grad():
        for name, tensor in state.items():
            if name not in start:
                continue
            values = torch.tensor(start[name])
            tensor.copy_(torch.where(values.isnan(), tensor, values))
