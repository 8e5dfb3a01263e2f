"""A sample of each layer, and of each of its variants, with the shape of its input."""

import math
from typing import Any, get_args

from pydantic import TypeAdapter

from dlcli.columns.base import Embedding, NumericInput
from dlcli.config.sections.model import ModelConfig
from dlcli.data.signature import Signature
from dlcli.layers.base import Layer
from dlcli.layers.family import AnyLayer
from dlcli.layers.joining.joins import Combine
from dlcli.network.plan import Plan, plan_model, plan_network
from tests.losses.examples import loss_of

DENSE = {"type": "dense"}

_READER: TypeAdapter[Layer] = TypeAdapter(AnyLayer)


def layers(*specs: dict[str, Any]) -> tuple[Layer, ...]:
    return tuple(_READER.validate_python(spec) for spec in specs)


def plan(shape: tuple[int, ...], *specs: dict[str, Any], outputs: int = 2) -> Plan:
    size = math.prod(shape)
    numeric = tuple(number for number in NUMERIC if number.index < size)
    signature = Signature(size, (), shape if len(shape) > 1 else None, outputs, numeric=numeric)
    return plan_network(layers(*specs), signature, num_outputs=outputs)


def plan_embedded(num_dense: int, *specs: dict[str, Any]) -> Plan:
    """Plan for numbers, if any, and two embedded columns."""
    embeddings = (Embedding("city", 6, 3), Embedding("shop", 4, 2))
    signature = Signature(num_dense, embeddings, None, 2)
    return plan_network(layers(*specs), signature, num_outputs=2)


def plan_members(share: str, *specs: dict[str, Any], loss: str = "cross_entropy") -> Plan:
    """Plan an ensemble of three members on five numbers, of which two are of one column."""
    model = {"layers": list(specs), "ensemble": {"members": 3, "share": share}}
    signature = Signature(5, (), None, None if loss == "mse" else 2, (1, 2, 1, 1))
    return plan_model(ModelConfig.model_validate(model), signature, loss_of({"type": loss}))


def plan_inputs(combine: str) -> Plan:
    """Plan three inputs: a column of two numbers, an embedded one, and the table of the others."""
    dense = {"type": "dense", "units": 4, "activation": "tanh"}
    embedding = {"type": "numeric_embedding", "kind": "piecewise_linear", "dim": 2}
    model = {
        "inputs": {
            "city": {"layers": [dense]},
            "table": {"layers": [embedding, {"type": "dropout", "rate": 0.25}, dense]},
            "b.c": {"layers": [dense, {"type": "residual", "layers": [dense]}]},
        },
        "combine": combine,
        "layers": [dense, DENSE],
    }
    embeddings = (Embedding("city", 6, 3), Embedding("shop", 4, 2))
    names, numeric = ("a", "b.c", "d", "e"), (NUMERIC[0], NUMERIC[2])
    signature = Signature(5, embeddings, None, 2, (1, 2, 1, 1), numeric, names)
    return plan_model(ModelConfig.model_validate(model), signature, loss_of(CROSS_ENTROPY))


CROSS_ENTROPY = {"type": "cross_entropy"}
JOINS = get_args(Combine)

# Numeric columns among others, with bins that differ in number.
NUMERIC = (
    NumericInput(0, (-1.0, 0.0, 0.5, 2.0)),
    NumericInput(2, (-0.5, 0.25)),
    NumericInput(3, (-2.0, -0.1, 0.1)),
    NumericInput(8, (-1.5, -0.5, 0.3, 1.1)),
)
FLAT, LONG, IMAGE = (12,), (3, 16), (2, 5, 6)

EVERY_LAYER: list[tuple[tuple[int, ...], dict[str, Any]]] = [
    (FLAT, {"type": "dense", "units": 5, "activation": "relu"}),
    (FLAT, {"type": "dense", "units": 5, "bias": False}),
    (
        FLAT,
        {"type": "dense", "units": 5, "lr_factor": {"bias": 0.1},
         "weight_decay_factor": {"weight": 2.0, "bias": 0.0}},
    ),
    (FLAT, {"type": "dense", "units": 5, "parametrization": "ntk", "init": "normal"}),
    (FLAT, {"type": "dense", "units": 5, "parametrization": "ntk", "bias": False}),
    (FLAT, {"type": "dense", "units": 5, "init": "unit_variance", "bias_init": "data_hull"}),
    (FLAT, {"type": "activation", "activation": "softmax"}),
    (FLAT, {"type": "parametric_activation", "activation": "selu", "lr_factor": 0.1}),
    (FLAT, {"type": "prelu"}),
    (FLAT, {"type": "dropout", "rate": 0.3}),
    (FLAT, {"type": "batch_norm"}),
    (FLAT, {"type": "layer_norm"}),
    (FLAT, {"type": "group_norm", "num_groups": 4}),
    (FLAT, {"type": "scale", "lr_factor": 6.0, "weight_decay_factor": 0.0}),
    (FLAT, {"type": "numeric_embedding", "kind": "pbld", "frequencies": 4, "lr_factor": 0.1,
            "weight_decay_factor": 0.5}),
    (FLAT, {"type": "numeric_embedding", "kind": "plr", "dim": 2, "frequencies": 3, "sigma": 1.0}),
    (FLAT, {"type": "numeric_embedding", "kind": "piecewise_linear", "dim": 2}),
    (FLAT, {"type": "reshape", "shape": [3, 4]}),
    (FLAT, {"type": "residual", "layers": [{"type": "dense", "units": 12}]}),
    (FLAT, {"type": "residual", "layers": [{"type": "dense", "units": 7}], "activation": "relu"}),
    (LONG, {"type": "conv1d", "out_channels": 4, "kernel_size": 3}),
    (
        LONG,
        {
            "type": "conv1d",
            "out_channels": 6,
            "kernel_size": 3,
            "stride": 2,
            "padding": 2,
            "dilation": 3,
            "groups": 3,
        },
    ),
    (LONG, {"type": "conv1d", "out_channels": 4, "kernel_size": 5, "padding": "same"}),
    (LONG, {"type": "conv1d", "out_channels": 4, "kernel_size": 3, "dilation": 2, "stride": 2,
            "causal": True, "activation": "tanh"}),
    (
        LONG,
        {"type": "conv_transpose1d", "out_channels": 6, "kernel_size": 4, "stride": 3, "padding": 2,
         "output_padding": 2, "groups": 3},
    ),
    (LONG, {"type": "instance_norm"}),
    (LONG, {"type": "residual_block", "block": "convnext", "kernel_size": 3,
            "stochastic_depth": 0.3}),
    (LONG, {"type": "max_pool1d", "kernel_size": 3}),
    (LONG, {"type": "avg_pool1d", "kernel_size": 3, "stride": 2, "padding": 1}),
    (LONG, {"type": "global_avg_pool"}),
    (LONG, {"type": "rnn", "units": 4, "nonlinearity": "relu", "returns": "sequence"}),
    (LONG, {"type": "lstm", "units": 4}),
    (LONG, {"type": "lstm", "units": 2, "num_layers": 2, "bidirectional": True, "dropout": 0.2,
            "returns": "sequence"}),
    (LONG, {"type": "gru", "units": 3, "bidirectional": True}),
    (LONG, {"type": "gru", "units": 4, "bias": False, "returns": "sequence"}),
    (LONG, {"type": "pool_time"}),
    (LONG, {"type": "pool_time", "pool": "max"}),
    (LONG, {"type": "pool_time", "pool": "last"}),
    (LONG, {"type": "pool_time", "pool": "attention"}),
    (LONG, {"type": "batch_norm"}),
    (LONG, {"type": "layer_norm"}),
    (LONG, {"type": "layer_norm", "over": "channels"}),
    (FLAT, {"type": "rms_norm"}),
    (LONG, {"type": "rms_norm", "over": "channels"}),
    (LONG, {"type": "dense", "units": 5, "over": "channels", "init": "normal"}),
    (LONG, {"type": "activation", "activation": "softmax"}),
    (LONG, {"type": "dropout", "rate": 0.3}),
    (LONG, {"type": "scale"}),
    (LONG, {"type": "positional_encoding"}),
    (LONG, {"type": "positional_encoding", "kind": "learned"}),
    (LONG, {"type": "attention", "num_heads": 3}),
    (LONG, {"type": "attention", "num_heads": 1, "causal": True, "bias": False, "dropout": 0.25}),
    (LONG, {"type": "transformer_encoder", "num_heads": 1, "num_layers": 2, "norm": "post",
            "activation": "gelu", "dim_feedforward": 5, "causal": True}),
    (LONG, {"type": "transformer_encoder", "num_heads": 3, "dropout": 0.0}),
    (LONG, {"type": "flatten"}),
    (LONG, {"type": "reshape", "shape": [4, 12]}),
    (LONG, {"type": "reshape", "shape": [48]}),
    (
        LONG,
        {"type": "residual", "layers": [{"type": "conv1d", "out_channels": 5, "kernel_size": 2,
                                         "stride": 2}]},
    ),
    (
        LONG,
        {"type": "residual", "layers": [{"type": "pool_time"}], "shortcut": [{"type": "pool_time",
                                                                              "pool": "last"}]},
    ),
    (IMAGE, {"type": "conv2d", "out_channels": 4, "kernel_size": 3, "padding": "valid"}),
    (
        IMAGE,
        {"type": "conv2d", "out_channels": 4, "kernel_size": [3, 2], "stride": [2, 1],
         "padding": [0, 1], "groups": 2},
    ),
    (IMAGE, {"type": "conv2d", "out_channels": 4, "kernel_size": 3, "padding": "same"}),
    (
        IMAGE,
        {"type": "conv2d", "out_channels": 4, "kernel_size": 3, "groups": "depthwise",
         "bias": False},
    ),
    (
        IMAGE,
        {"type": "conv_transpose2d", "out_channels": 4, "kernel_size": [2, 3], "stride": 2,
         "groups": 2, "init": "unit_variance", "bias_init": "data_hull"},
    ),
    (IMAGE, {"type": "max_pool2d", "kernel_size": 2}),
    (IMAGE, {"type": "avg_pool2d", "kernel_size": [3, 2], "stride": 2, "padding": [1, 0]}),
    (IMAGE, {"type": "global_avg_pool"}),
    (IMAGE, {"type": "batch_norm"}),
    (IMAGE, {"type": "layer_norm"}),
    (IMAGE, {"type": "layer_norm", "over": "channels"}),
    (IMAGE, {"type": "group_norm", "num_groups": 2}),
    (IMAGE, {"type": "squeeze_excitation", "reduction": 1, "gate": "hardsigmoid"}),
    (IMAGE, {"type": "scale"}),
    (IMAGE, {"type": "activation", "activation": "softmax"}),
    (IMAGE, {"type": "parametric_activation", "activation": "mish"}),
    (IMAGE, {"type": "prelu", "weight_decay_factor": 0.0}),
    (
        IMAGE,
        {"type": "residual", "layers": [{"type": "conv2d", "out_channels": 3, "kernel_size": 3,
                                         "stride": [2, 3], "padding": 1}]},
    ),
    (
        IMAGE,
        {"type": "residual", "stochastic_depth": 0.4,
         "layers": [{"type": "conv2d", "out_channels": 3, "kernel_size": 2, "stride": 2}],
         "shortcut": [{"type": "conv2d", "out_channels": 3, "kernel_size": 1, "stride": [3, 2],
                       "bias": False}, {"type": "batch_norm"}]},
    ),
    (IMAGE, {"type": "residual_block", "block": "basic", "stochastic_depth": 0.1}),
    (
        IMAGE,
        {"type": "residual_block", "block": "inverted", "channels": 3, "hidden_channels": 2,
         "activation": "hardswish", "squeeze_excitation": {"channels": 1}},
    ),
    (IMAGE, {"type": "residual_block", "block": "bottleneck", "channels": 12, "stride": 2}),
]  # fmt: skip

# Those that runs side by side can compute.
STACKABLE = [
    (shape, spec) for shape, spec in EVERY_LAYER if layers(spec)[0].traits.stacking_obstacle is None
]


# What members of an ensemble compute: some of it before they begin.
MEMBERS: list[dict[str, Any]] = [
    {"type": "batch_norm"},
    {"type": "dense", "units": 6, "activation": "tanh"},
    {"type": "dropout", "rate": 0.3},
    {"type": "residual", "layers": [{"type": "layer_norm"}, {"type": "dense", "units": 6}]},
    {"type": "activation", "activation": "softmax"},
    DENSE,
]
SHARES = ("batch", "mini", "none")


def name(case: object) -> str:
    return str(case["type"]) if isinstance(case, dict) else str(case)
