"""Losses and layers."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from dlcli.config.text.parsing import KeyPath
from dlcli.layers.base import PlannedLayer
from dlcli.layers.weights import initial_weights
from dlcli.runs.combinations.rule import Facts, Found, refused, reported

Placed = tuple[KeyPath, PlannedLayer]

_DENSE = {"type": "dense", "units": 4, "activation": "relu"}
_LAST = {"type": "dense"}


def _sequences(facts: Facts) -> Iterator[list[Placed]]:
    """Yield layers one after another, with their paths: the network's, then those of each block.

    Last, those of each of several inputs.
    """
    if facts.plan is None:
        return
    yield from _within(facts.plan.layers, ("model", "layers"))
    if facts.plan.inputs is not None:
        for branch in facts.plan.inputs.branches:
            yield from _within(branch.layers, ("model", "inputs", branch.name, "layers"))
    for head in facts.plan.heads:
        yield from _within(head.layers, ("model", "outputs", head.name, "layers"))


def _within(layers: Sequence[PlannedLayer], path: KeyPath) -> Iterator[list[Placed]]:
    placed = [((*path, index), layer) for index, layer in enumerate(layers)]
    yield placed
    for place, layer in placed:
        if layer.config.branches:  # others follow from the settings of a block
            for key, inner in layer.branches:
                yield from _within(inner, (*place, key))


def _idle_layers(facts: Facts) -> Found:
    for layers in _sequences(facts):
        for path, layer in layers:
            if reason := layer.config.why_idle(layer):
                yield path, f"{layer.config.type} does nothing: {reason}"


def _idle_settings(facts: Facts) -> Found:
    for layers in _sequences(facts):
        for path, layer in layers:
            for key, reason in layer.config.idle_settings(layer).items():
                yield (*path, key), f"has no effect: {reason}"


def _repeated_layers(facts: Facts) -> Found:
    for layers in _sequences(facts):
        for (_, before), (path, layer) in pairwise(layers):
            if layer.config.repeats(before.config) and not layer.config.why_idle(layer):
                yield path, f"{layer.config.type} does again what the layer before has done"


def _linear_pairs(facts: Facts) -> Found:
    for layers in _sequences(facts):
        computing = [item for item in layers if not _only_reshapes(item[1])]
        for (path, before), (_, layer) in pairwise(computing):
            if before.config.is_linear and layer.config.is_affine:
                yield (
                    path,
                    f"without an activation, this {before.config.type} layer and the "
                    f"{layer.config.type} layer after it are one linear map",
                )


def _only_reshapes(layer: PlannedLayer) -> bool:
    return layer.config.traits.passes_input_on and layer.config.dropped_share is None


def _undone_biases(facts: Facts) -> Found:
    for layers in _sequences(facts):
        for (path, before), (_, layer) in pairwise(layers):
            is_undone = layer.config.removes_means and before.config.is_linear
            if is_undone and facts.says(*path, "initial", "bias"):
                yield (
                    (*path, "initial", "bias"),
                    f"{layer.config.type}, which follows, takes it away again",
                )


def _dropped_outputs(facts: Facts) -> Found:
    for layers in _last_sequences(facts):
        for path, layer in layers[::-1]:
            if layer.num_parameters or not layer.config.traits.passes_input_on:
                break
            if layer.config.dropped_share is not None and not layer.config.why_idle(layer):
                yield path, "sets outputs of the network to zero: put it before the last layer"


def _last_sequences(facts: Facts) -> Iterator[list[Placed]]:
    """Yield the layers that end with outputs: those of each head, or the network's."""
    if facts.plan is None or not facts.plan.heads:
        yield next(_sequences(facts), [])
        return
    for head in facts.plan.heads:
        yield next(_within(head.layers, ("model", "outputs", head.name, "layers")))


def _two_weights(facts: Facts) -> Found:
    weight = facts.config.data.weight
    losses: dict[KeyPath, object] = {("loss",): facts.config.loss}
    for name, output in (facts.config.model.outputs or {}).items():
        losses["model", "outputs", name, "loss"] = output.loss
    for path, loss in losses.items():
        if weight is not None and getattr(loss, "class_weights", None) is not None:
            yield (
                (*path, "class_weights"),
                f"rows are weighted twice: by their class, and by '{weight}' (data.weight)",
            )


def _idle_decay_factors(facts: Facts) -> Found:
    if not facts.config.optimizer.weight_decay:
        for path, layer in facts.config.model.walk():
            if any(factors.weight_decay != 1 for factors in layer.update_factors.values()):
                yield (
                    (*path, "weight_decay_factor"),
                    "has no effect: optimizer.weight_decay is 0",
                )


def _undrawn_adapters(facts: Facts) -> Found:
    ensemble, path = facts.config.model.ensemble, ("model", "ensemble", "adapter_init")
    if ensemble is not None and ensemble.share == "none" and facts.says(*path):
        yield path, "has no effect: with share: none, members have no factors for their inputs"


def _frozen_draws(facts: Facts) -> Found:
    model = facts.config.model
    if model.freeze and model.start_from is None and not any(initial_weights(model.walk())):
        yield (
            ("model", "freeze"),
            "the weights that stay are drawn from the seed: nothing says to begin with others "
            "(model.start_from)",
        )


RULES = (
    reported(
        *("model.layers: dropout", "model.layers: dropout.rate"),
        when="`rate` is 0",
        effect="nothing is dropped",
        example={"model": {"layers": [_DENSE, {"type": "dropout", "rate": 0.0}, _LAST]}},
        find=_idle_layers,
    ),
    reported(
        *("model.layers: flatten, reshape, pooling", "the layer before"),
        when="the input has the shape already, or the window is a single number",
        effect="the layer does nothing",
        example={"model": {"layers": [{"type": "flatten"}, _DENSE, _LAST]}},
        find=_idle_layers,
    ),
    reported(
        *("model.layers: residual_block.stochastic_depth", "model.layers: residual_block.block"),
        when="`inverted` doesn't add its input: it has a stride, or other channels than its input",
        effect="no block is skipped",
        example={
            "model": {
                "layers": [
                    {"type": "reshape", "shape": [1, 2]},
                    {
                        "type": "residual_block",
                        "block": "inverted",
                        "stride": 2,
                        "stochastic_depth": 0.1,
                    },
                    {"type": "flatten"},
                    _LAST,
                ]
            }
        },
        find=_idle_settings,
    ),
    reported(
        *("model.layers: dropout, activation, norms, scale", "the layer before"),
        when="both are of the same type, or apply the same activation",
        effect="the layer does again what was done",
        example={"model": {"layers": [{"type": "batch_norm"}, {"type": "batch_norm"}, _LAST]}},
        find=_repeated_layers,
    ),
    reported(
        *("model.layers: dense, conv", "the layer after"),
        when="a layer without an activation is followed by another linear one",
        effect="the two are one linear map",
        example={"model": {"layers": [{"type": "dense", "units": 4}, _LAST]}},
        find=_linear_pairs,
    ),
    reported(
        *("model.layers: initial.bias", "model.layers: batch_norm"),
        when="the norm follows a layer without an activation",
        effect="the norm subtracts the bias",
        example={
            "model": {
                "layers": [
                    {"type": "dense", "units": 2, "initial": {"bias": [1, 2]}},
                    {"type": "batch_norm"},
                    _LAST,
                ]
            }
        },
        find=_undone_biases,
    ),
    reported(
        *("model.layers: dropout", "the last layer with weights"),
        when="dropout follows it",
        effect="outputs of the network are set to zero in training",
        example={"model": {"layers": [_LAST, {"type": "dropout", "rate": 0.5}]}},
        find=_dropped_outputs,
    ),
    reported(
        *("model.freeze", "model.start_from"),
        when="layers are frozen, and nothing says which weights to begin with",
        effect="random weights stay",
        example={"model": {"layers": [_DENSE, _LAST], "freeze": [0]}},
        find=_frozen_draws,
    ),
    reported(
        *("model.ensemble.adapter_init", "model.ensemble.share"),
        when="`share` is `none`",
        effect="there are no factors to draw",
        example={
            "model": {
                "layers": [_DENSE, _LAST],
                "ensemble": {"members": 2, "share": "none", "adapter_init": "normal"},
            }
        },
        find=_undrawn_adapters,
    ),
    refused(
        *("model.start_lr_factor", "model.start_from"),
        when="nothing says which weights to begin with",
        effect="there is nothing that learns more slowly",
        example={"model": {"layers": [_DENSE, _LAST], "start_lr_factor": 0.1}},
    ),
    refused(
        *("model.freeze", "model.layers"),
        when="every layer with weights is frozen",
        effect="there is nothing to train",
        example={"model": {"layers": [_DENSE, _LAST], "freeze": ["dense"]}},
    ),
    reported(
        *("loss.class_weights", "data.weight"),
        when="both are given",
        effect="rows are weighted twice",
        example={
            "loss": {"type": "binary_cross_entropy", "class_weights": "balanced"},
            "data": {"weight": "w"},
        },
        find=_two_weights,
    ),
    refused(
        *("model.layers: activation", "loss.type"),
        when="the last layer applies what the loss applies itself: sigmoid, softmax",
        effect="it would be applied twice",
        example={"model": {"layers": [{"type": "dense", "activation": "sigmoid"}]}},
    ),
    refused(
        *("loss.type", "data.task"),
        when="the loss is for another task",
        effect="it has no value",
        example={"loss": "mse"},
    ),
    refused(
        *("loss.class_weights", "data.target"),
        when="a class has a weight that the target doesn't have",
        effect="the weight is of no row",
        example={"loss": {"type": "binary_cross_entropy", "class_weights": {"maybe": 2.0}}},
    ),
    refused(
        *("model.layers: initial.bias", "model.layers: bias"),
        when="`bias` is false",
        effect="there is no bias to start from",
        example={
            "model": {
                "layers": [
                    {"type": "dense", "units": 1, "bias": False, "initial": {"bias": [1]}},
                    _LAST,
                ]
            }
        },
    ),
    refused(
        *("model.layers: over", "model.layers: parametrization"),
        when="a dense layer is `over: channels`, and `parametrization` is not `standard`",
        effect="it is that of a layer over all features",
        example={
            "model": {"layers": [{**_DENSE, "over": "channels", "parametrization": "ntk"}, _LAST]}
        },
    ),
    refused(
        *("model.layers: bias_init", "model.layers: bias"),
        when="`bias` is false",
        effect="no bias begins so",
        example={"model": {"layers": [{**_DENSE, "bias": False, "bias_init": "zeros"}, _LAST]}},
    ),
    refused(
        *("model.layers: bias_init", "model.layers: initial.bias"),
        when="both are given",
        effect="biases begin as one of them says",
        example={
            "model": {
                "layers": [
                    {**_DENSE, "bias_init": "zeros", "initial": {"bias": [1, 2, 3, 4]}},
                    _LAST,
                ]
            }
        },
    ),
    refused(
        *("model.layers: lr_factor.bias", "model.layers: bias"),
        when="`bias` is false",
        effect="there is no bias that learns",
        example={
            "model": {"layers": [{**_DENSE, "bias": False, "lr_factor": {"bias": 0.1}}, _LAST]}
        },
    ),
    refused(
        *("model.layers: weight_decay_factor.bias", "model.layers: bias"),
        when="`bias` is false",
        effect="there is no bias that decays",
        example={
            "model": {
                "layers": [{**_DENSE, "bias": False, "weight_decay_factor": {"bias": 0.0}}, _LAST]
            }
        },
    ),
    reported(
        *("model.layers: weight_decay_factor", "optimizer.weight_decay"),
        when="`weight_decay` is 0",
        effect="the factor has no effect",
        example={"model": {"layers": [{**_DENSE, "weight_decay_factor": {"bias": 0.0}}, _LAST]}},
        find=_idle_decay_factors,
    ),
    refused(
        *("model.layers: init", "model.layers: initial.weight"),
        when="both are given",
        effect="weights begin as one of them says",
        example={
            "model": {
                "layers": [
                    {
                        "type": "dense",
                        "units": 1,
                        "init": "zeros",
                        "initial": {"weight": [[1, 2]]},
                    },
                    _LAST,
                ]
            }
        },
    ),
)
