"""Where rows end in what each layer gives, where they differ in length."""

from collections.abc import Mapping

from torch import Tensor, nn

from dlcli.data.fields import lengths_of
from dlcli.layers.ragged import TakesLengths
from dlcli.layers.sequence import module_name, output_name
from dlcli.network.plan import Plan


def row_ends(network: nn.Module, plan: Plan, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the lengths of a batch's rows, int64 [batch], behind each layer that gives sequences.

    By the name of the module whose output is the layer's.
    """
    ends: dict[str, Tensor] = {}
    sequences = plan.signature.sequences
    places: dict[str, int | None] = {"": 0 if sequences and plan.inputs is None else None}
    if plan.inputs is not None:
        places |= {f"{one.module}.": one.columns.sequence for one in plan.inputs.branches}
    shared: Tensor | None = None  # what the heads of several targets are given
    for prefix, layers in plan.sequences():
        place = places.get(prefix)
        lengths = None if place is None else inputs[lengths_of(sequences[place].field)]
        if prefix not in places:
            lengths = shared
        for index, layer in enumerate(layers):
            module = network.get_submodule(prefix + module_name(index, layer.config))
            if lengths is not None and isinstance(module, TakesLengths):
                lengths = module.lengths_after(lengths)
            if lengths is not None:
                ends[prefix + output_name(index, layer.config)] = lengths
        if prefix == "":
            shared = lengths
    return ends
