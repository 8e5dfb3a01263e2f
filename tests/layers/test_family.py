"""What each layer says of itself, against the module that it builds."""

import math
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from dlcli.config.reference import reference_page
from dlcli.config.schema import json_schema
from dlcli.layers.activations import ACTIVATIONS
from dlcli.layers.backbone.backbone import Backbone
from dlcli.layers.base import PlannedLayer
from dlcli.layers.embedding.token_embedding import TokenEmbedding
from dlcli.layers.family import LAYERS
from dlcli.layers.sequence import (
    output_name,
    receptive_field_of,
    walk_layers,
    walk_modules,
    walk_planned,
)
from dlcli.layers.weights import WeightedLayer
from dlcli.network.builder import build_network
from tests.layers.samples import DENSE, EVERY_LAYER, layers, name, plan

every_layer = pytest.mark.parametrize(("shape", "spec"), EVERY_LAYER, ids=name)

# PyTorch counts the operations of this kernel on GPUs alone.
ON_THE_CPU = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: lambda q, k, v, **_: (
        sdpa_flop_count(q, k, v)  # type: ignore[no-untyped-call]
    )
}


def build(shape: tuple[int, ...], spec: dict[str, Any]) -> tuple[PlannedLayer, nn.Module, Tensor]:
    """Return a layer, its module without the activation after it, and rows for it."""
    planned = plan(shape, spec, {"type": "flatten"}, DENSE)
    network = build_network(planned, seed=0)
    rows = torch.randn(4, *shape, generator=torch.Generator().manual_seed(1))
    return planned.layers[0], network.get_submodule(f"0_{spec['type']}"), rows


def test_there_is_a_sample_of_every_layer() -> None:
    # tests/layers/test_backbone.py, as importing timm takes seconds; test_sequences.py
    elsewhere = {Backbone, TokenEmbedding}
    assert {type(layers(spec)[0]) for _, spec in EVERY_LAYER} == {*LAYERS} - elsewhere


def test_every_layer_is_in_the_schema_and_on_the_reference_page() -> None:
    schema, page = json_schema(), reference_page()
    for layer in LAYERS:
        about = schema["$defs"][layer.__name__]
        assert about["description"] == layer.__doc__
        assert f"### `{about['properties']['type']['const']}`\n\n{layer.__doc__}" in page


def test_no_layer_needs_torch_before_it_is_built() -> None:
    code = "import dlcli.layers.family, sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@every_layer
def test_planned_shapes_and_parameters_are_those_of_the_module(
    shape: tuple[int, ...], spec: dict[str, Any]
) -> None:
    planned, module, rows = build(shape, spec)
    assert tuple(module(rows).shape[1:]) == planned.output_shape
    assert sum(p.numel() for p in module.parameters()) == planned.num_parameters
    assert planned.activation_bytes(10) == 40 * planned.num_kept
    if isinstance(planned.config, WeightedLayer):
        assert module.get_parameter("weight").shape == planned.config.weight_shape(shape)
    inner = tuple(
        f"{key}.{name}." for key, layers in planned.branches for name, _ in walk_modules(layers)
    )
    assert {
        name: tuple(tensor.shape)
        for name, tensor in module.state_dict().items()
        if not name.startswith(inner or ("no layer",))
    } == {name: axes.shape for name, axes in planned.config.tensors(planned).items()}


@every_layer
def test_multiply_adds_are_half_of_torchs_operations(
    shape: tuple[int, ...], spec: dict[str, Any]
) -> None:
    planned, module, rows = build(shape, spec)
    with FlopCounterMode(display=False, custom_mapping=ON_THE_CPU) as counter:
        module(rows)
    assert 2 * planned.multiply_adds * len(rows) == counter.get_total_flops()


@every_layer
def test_gradients_agree_with_finite_differences(
    shape: tuple[int, ...], spec: dict[str, Any]
) -> None:
    network = build_network(plan(shape, spec, {"type": "flatten"}, DENSE), seed=1).double()
    names = [parameter for parameter, _ in network.named_parameters()]
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(3, math.prod(shape), generator=generator, dtype=torch.float64)

    def output(x: Tensor, *values: Tensor) -> Tensor:
        torch.manual_seed(3)  # the same units dropped each time
        parameters = dict(zip(names, values, strict=True))
        result: Tensor = torch.func.functional_call(network, parameters, ({"numbers": x},))
        return result

    values = [parameter.detach().requires_grad_() for parameter in network.parameters()]
    assert torch.autograd.gradcheck(output, (x.requires_grad_(), *values), fast_mode=True)


@every_layer
def test_rows_are_mixed_where_the_layer_says_so(
    shape: tuple[int, ...], spec: dict[str, Any]
) -> None:
    planned, module, rows = build(shape, spec)
    outputs = []
    for others in (1.0, 2.0):
        torch.manual_seed(0)
        outputs.append(module.train()(torch.cat([rows[:1], others * rows[1:]]))[0])
    each = [layer for _, layer in walk_planned([planned])]
    min_rows = max(layer.config.min_rows(layer.input_shape) for layer in each)
    mixing = [layer for layer in each if layer.config.traits.row_mixing is not None]
    assert torch.equal(*outputs) == (not mixing)
    module(rows[:min_rows])
    if min_rows > 1:
        with pytest.raises(ValueError, match="more than 1 value per channel"):
            module(rows[: min_rows - 1])


@every_layer
def test_only_what_passes_its_input_on_gives_the_same_numbers(
    shape: tuple[int, ...], spec: dict[str, Any]
) -> None:
    planned, module, rows = build(shape, spec)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(1.5)  # as training may leave it: a factor begins with 1
    traits, after = planned.config.traits, module.eval()(rows)
    assert torch.equal(after.flatten(), rows.flatten()) == traits.passes_input_on
    if traits.keeps_positions:
        assert math.prod(planned.output_shape) == math.prod(shape)
    has_filters = any(parameter.ndim > 1 for parameter in module.parameters())
    assert has_filters or planned.inner or not traits.has_filters


@every_layer
def test_an_output_sees_nothing_beyond_its_receptive_field(
    shape: tuple[int, ...], spec: dict[str, Any]
) -> None:
    planned, module, rows = build(shape, spec)
    positions, config = planned.output_shape[1:], planned.config
    if config.traits.keeps_positions:  # but for statistics of a whole row, which are left out
        region = tuple((1, 2) for _ in positions)
        keeps_shape = planned.output_shape == shape and positions
        assert config.receptive_field(planned, region) == (region if keeps_shape else None)
        return
    for position in ((0,) * len(positions), tuple(size - 1 for size in positions)):
        x = rows.clone().requires_grad_()
        module.eval()(x)[(0, 0, *position)].backward()
        assert x.grad is not None
        seen = x.grad[0].nonzero()[:, 1:] if positions else x.grad[0].nonzero()
        field = config.receptive_field(planned, tuple((index, 1) for index in position))
        assert (field is None) == (not positions)
        sizes = shape[1:] if positions else shape
        for axis, (start, length) in enumerate(field or ((0, shape[0]),)):
            assert seen[:, axis].min() >= max(start, 0)
            assert seen[:, axis].max() < min(start + length, sizes[axis])


@every_layer
def test_settings_that_advice_changes_are_keys_of_the_layer(
    shape: tuple[int, ...], spec: dict[str, Any]
) -> None:
    [layer] = layers(spec)
    for setting in (layer.width, layer.dropped_share):
        if setting is not None:
            assert getattr(layer, setting.key) == setting.value
    if layer.width is not None:
        wider = layers({**spec, layer.width.key: layer.width.value + 1})[0]
        assert wider.plan(shape).output_shape[0] == layer.plan(shape).output_shape[0] + 1


@every_layer
def test_factors_of_the_learning_rate_are_of_parameters_that_it_has(
    shape: tuple[int, ...], spec: dict[str, Any]
) -> None:
    planned, module, _ = build(shape, spec)
    factors = planned.config.update_factors
    assert factors.keys() <= {name for name, _ in module.named_parameters()}
    given = {key for key in ("lr_factor", "weight_decay_factor") if key in spec}
    assert bool(factors) == bool(given)

    def given_for(key: str, parameter: str) -> float:
        value = spec.get(key, 1.0)
        return float(value.get(parameter, 1.0) if isinstance(value, dict) else value)

    for parameter, of_parameter in factors.items():
        keys = ("lr_factor", "weight_decay_factor")
        assert of_parameter == tuple(given_for(key, parameter) for key in keys)


@every_layer
def test_modules_have_the_names_that_are_told(shape: tuple[int, ...], spec: dict[str, Any]) -> None:
    planned = plan(shape, spec, {"type": "flatten"}, DENSE)
    network = build_network(planned, seed=0)
    configs = [layer.config for layer in planned.layers]
    walked = [layer.config for _, layer in walk_modules(planned.layers)]
    assert walked == [layer.config for _, layer in walk_planned(planned.layers)]
    written = [layer for _, layer in walk_layers(configs)]
    assert [layer for layer in walked if layer in written] == written
    for module, _ in walk_modules(planned.layers):
        network.get_submodule(module)
    ends = [output_name(index, layer) for index, layer in enumerate(configs)]
    children = [child for child, _ in network.named_children() if child not in ("columns", "shape")]
    assert [child for child in children if child in ends] == ends


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_has_the_right_gradient(activation: str) -> None:
    network = build_network(
        plan((4,), {"type": "dense", "units": 6, "activation": activation}, DENSE), seed=0
    ).double()
    x = torch.randn(5, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: network({"numbers": x}), (x.requires_grad_(),))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_where_an_activation_saturates_and_what_it_gives(activation: str) -> None:
    function = ACTIVATIONS[activation]
    x = torch.linspace(-8, 8, 1001, dtype=torch.float64, requires_grad=True)
    values = function.build()(torch.stack([x, torch.zeros_like(x)], dim=1))[:, 0]
    [slopes] = torch.autograd.grad(values.sum(), x)
    if function.saturates_beyond is not None:
        low, high = function.saturates_beyond
        outside = (values < low) | (values > high)
        assert outside.any()
        assert slopes[outside].max() < 0.12 * slopes.max()
    if function.gives_probabilities:
        given = values.exp() if values.min() < 0 else values
        assert ((given > 0) & (given < 1)).all()


def test_a_network_takes_as_much_memory_as_its_layers_keep() -> None:
    inner = [{"type": "dense", "units": 7}, {"type": "dense", "units": 12}]
    planned = plan((12,), {"type": "residual", "layers": inner}, DENSE)
    assert plan((3, 4), {"type": "flatten"}, DENSE).layers[0].activation_bytes(10) == 0
    assert planned.layers[0].activation_bytes(10) == (7 + 12 + 12) * 10 * 4
    assert planned.activation_bytes(10) == (7 + 12 + 12 + 2) * 10 * 4


def test_a_stack_sees_what_its_windows_cover_together() -> None:
    conv = {"type": "conv2d", "out_channels": 2, "kernel_size": 3}
    block = {"type": "residual", "layers": [{**conv, "padding": 1}, {**conv, "padding": 1}]}
    pool = {"type": "max_pool2d", "kernel_size": 2}
    stack = plan((1, 12, 12), conv, {"type": "batch_norm"}, pool, block, {"type": "flatten"}, DENSE)
    assert receptive_field_of(stack.layers[:3], ((2, 1), (0, 1))) == ((4, 4), (0, 4))
    assert receptive_field_of(stack.layers[:4], ((2, 1), (0, 1))) == ((0, 12), (-4, 12))
    assert receptive_field_of(stack.layers, ()) is None
