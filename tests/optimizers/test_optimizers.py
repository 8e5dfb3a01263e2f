"""What holds for every optimizer: its steps, its state, and what it says about itself."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from dlcli.config import LoadedConfig
from dlcli.errors import ConfigError
from dlcli.layers.base import UpdateFactors
from dlcli.network.builder import build_network
from dlcli.optimizers import OPTIMIZERS, PRESETS, USUAL_PRESETS
from dlcli.optimizers.base import OptimizerConfig
from dlcli.section import type_of
from dlcli.training.optimizers import FlatParameters, ManyRuns, Optimizer
from tests.families import check_is_described
from tests.layers.samples import DENSE, plan
from tests.optimizers.samples import (
    SAMPLES,
    TORCH_OPTIMIZERS,
    muon_beside_adamw,
    read,
    reference_of,
)

NUM_STEPS = 8
MORE_KEYS = {"rprop": {"weight_decay"}, "muon": {"adamw"}}  # than torch's
FACTORS = {"0.bias": UpdateFactors(lr=0.1, weight_decay=0.0), "1.weight": UpdateFactors(lr=3.0)}
EVERY_SAMPLE = pytest.mark.parametrize("settings", SAMPLES.values(), ids=list(SAMPLES))
EVERY_MEMBER = pytest.mark.parametrize("member", OPTIMIZERS, ids=type_of)


def make_network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 5), nn.Linear(5, 2))


def make_gradients(network: nn.Module, num_steps: int = NUM_STEPS) -> list[list[torch.Tensor]]:
    """Draw the gradients of some steps, a tensor for each parameter; some are zero."""
    generator = torch.Generator().manual_seed(1)
    return [
        [
            torch.randn(parameter.shape, generator=generator).relu_() * 10.0 ** (1 - step)
            for parameter in network.parameters()
        ]
        for step in range(num_steps)
    ]


def take_steps(optimizer: Optimizer[FlatParameters], steps: list[list[torch.Tensor]]) -> None:
    for gradients in steps:
        torch._foreach_copy_(optimizer.parameters.gradients, gradients)
        optimizer.step()


def weights_of(network: nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])


WITH_REFERENCE = {
    name: settings
    for name, settings in SAMPLES.items()
    if settings["type"] in TORCH_OPTIMIZERS
    and settings["type"] != "muon"  # torch's has nothing for vectors
    and not (settings["type"] == "rprop" and "weight_decay" in settings)  # torch's has none
}


@pytest.mark.parametrize("settings", WITH_REFERENCE.values(), ids=list(WITH_REFERENCE))
def test_its_steps_and_its_state_are_torchs_to_the_bit(settings: dict[str, Any]) -> None:
    network, theirs = make_network(), make_network()
    steps = make_gradients(network)
    optimizer = Optimizer(read(settings), FlatParameters(network))
    reference = reference_of(settings, theirs)
    for gradients in steps:
        take_steps(optimizer, [gradients])
        for parameter, gradient in zip(theirs.parameters(), gradients, strict=True):
            parameter.grad = gradient
        reference.step()
        assert torch.equal(weights_of(network), weights_of(theirs))
    named = optimizer.named_state()
    for name, parameter in theirs.named_parameters():
        state = reference.state[parameter]
        kept = {key.removeprefix(f"{name}/") for key in named if key.startswith(f"{name}/")}
        assert {key for key, value in state.items() if value is not None} | {"step"} == {
            *kept,
            *(key for key in named if "/" not in key),
        }
        for key, value in state.items():
            if value is not None:
                own = named.get(f"{name}/{key}", named.get(key))
                assert own is not None
                assert torch.equal(value, own), key


@pytest.mark.parametrize("settings", WITH_REFERENCE.values(), ids=list(WITH_REFERENCE))
def test_factors_are_what_torchs_parameter_groups_are_to_the_bit(settings: dict[str, Any]) -> None:
    network, theirs = make_network(), make_network()
    steps = make_gradients(network)
    optimizer = Optimizer(read(settings), FlatParameters(network, FACTORS))
    reference = reference_of(settings, theirs, FACTORS)
    for gradients in steps:
        take_steps(optimizer, [gradients])
        for parameter, gradient in zip(theirs.parameters(), gradients, strict=True):
            parameter.grad = gradient
        reference.step()
    assert torch.equal(weights_of(network), weights_of(theirs))


@pytest.mark.parametrize(
    "kind", sorted({own["type"] for own in WITH_REFERENCE.values()} - {"rprop"})
)
def test_a_weight_decay_that_changes_is_that_of_torchs_group(kind: str) -> None:
    network, theirs = make_network(), make_network()
    settings = {"type": kind, "weight_decay": 0.2}
    optimizer = Optimizer(read(settings), FlatParameters(network))
    reference = reference_of(settings, theirs)
    for decay, gradients in zip((0.2, 0.1, 0.0), make_gradients(network), strict=False):
        optimizer.set_weight_decay(decay)
        take_steps(optimizer, [gradients])
        for group in reference.param_groups:
            group["weight_decay"] = decay
        for parameter, gradient in zip(theirs.parameters(), gradients, strict=True):
            parameter.grad = gradient
        reference.step()
    assert torch.equal(weights_of(network), weights_of(theirs))


@pytest.mark.parametrize(
    ("matrices", "others"),
    [
        ({}, {}),
        ({"momentum": 0.8, "nesterov": False, "weight_decay": 0.0}, {"eps": 1e-4}),
        ({"adjust_lr_fn": "match_rms_adamw", "ns_steps": 3}, {"betas": (0.8, 0.9)}),
    ],
    ids=str,
)
def test_muon_is_torchs_with_torchs_adamw_beside_it_to_the_bit(
    matrices: dict[str, Any], others: dict[str, Any]
) -> None:
    network, theirs = make_network(), make_network()
    config = read({"type": "muon", "lr": 0.02, **matrices, "adamw": {"lr_factor": 0.5, **others}})
    optimizer = Optimizer(config, FlatParameters(network))
    references = muon_beside_adamw(theirs, 0.02, others={"lr": 0.01, **others}, **matrices)
    for gradients in make_gradients(network):
        take_steps(optimizer, [gradients])
        for parameter, gradient in zip(theirs.parameters(), gradients, strict=True):
            parameter.grad = gradient
        for reference in references:
            reference.step()
        assert torch.equal(weights_of(network), weights_of(theirs))


def test_rprops_weight_decay_is_part_of_the_gradient() -> None:
    network, theirs = make_network(), make_network()
    optimizer = Optimizer(read({"type": "rprop", "weight_decay": 0.3}), FlatParameters(network))
    reference = torch.optim.Rprop(theirs.parameters())
    for gradients in make_gradients(network):
        take_steps(optimizer, [gradients])
        for parameter, gradient in zip(theirs.parameters(), gradients, strict=True):
            parameter.grad = gradient.add(parameter.detach(), alpha=0.3)
        reference.step()
    assert torch.equal(weights_of(network), weights_of(theirs))


def test_its_defaults_are_torchs() -> None:
    for member in OPTIMIZERS:
        if reference := TORCH_OPTIMIZERS.get(type_of(member)):
            theirs = reference([nn.Parameter(torch.zeros(1, 1))])
            ours = read({"type": type_of(member)}).model_dump(exclude={"type"})
            more = {key: ours.pop(key) for key in {*ours} - {*theirs.defaults}}
            assert {*more} == MORE_KEYS.get(type_of(member), set())
            assert {key: theirs.defaults[key] for key in ours} == ours


@EVERY_SAMPLE
def test_stacked_runs_are_what_each_is_by_itself(settings: dict[str, Any]) -> None:
    config, lrs = read(settings), (1.0, 0.3, 0.01)
    networks = [make_network() for _ in lrs]
    steps = [
        [[gradient * (1 + run) for gradient in gradients] for gradients in make_gradients(network)]
        for run, network in enumerate(networks)
    ]
    start = torch.stack([weights_of(network) for network in networks])
    places, begin = [], 0
    for parameter in networks[0].parameters():
        places.append((begin, parameter.shape))
        begin += parameter.numel()
    many = Optimizer(config, ManyRuns(start, torch.empty_like(start), places=tuple(places)))
    many.lr = torch.tensor([[factor * config.lr] for factor in lrs])
    for step in range(NUM_STEPS):
        for run in range(len(lrs)):
            gradient = torch.cat([part.flatten() for part in steps[run][step]])
            many.gradient[run].copy_(gradient)
        many.step()
    for run, (network, factor) in enumerate(zip(networks, lrs, strict=True)):
        single = Optimizer(config, FlatParameters(network))
        single.lr = factor * config.lr
        take_steps(single, steps[run])
        assert torch.allclose(many.values[run], weights_of(network), rtol=1e-4, atol=1e-6)


@EVERY_SAMPLE
def test_it_goes_on_from_its_state_to_the_same_bits(settings: dict[str, Any]) -> None:
    straight, first, second = make_network(), make_network(), make_network()
    steps = make_gradients(straight)
    take_steps(Optimizer(read(settings), FlatParameters(straight)), steps)
    before = Optimizer(read(settings), FlatParameters(first))
    take_steps(before, steps[:3])
    second.load_state_dict(first.state_dict())
    after = Optimizer(read(settings), FlatParameters(second))
    assert after.state.keys() == before.state.keys()
    for key, value in before.state.items():
        after.state[key].copy_(value)
    after.num_steps = int(before.state["step"])
    take_steps(after, steps[3:])
    assert torch.equal(weights_of(second), weights_of(straight))


@EVERY_SAMPLE
def test_its_memory_is_what_its_state_holds(settings: dict[str, Any]) -> None:
    config, planned = read(settings), plan((12,), DENSE)
    flat = FlatParameters(build_network(planned, seed=0))
    kept = sum(one.numel() for one in Optimizer(config, flat).named_state().values() if one.dim())
    num_kept = config.num_kept(planned.num_trained, planned.matrices)
    training_bytes = planned.training_bytes(num_kept)
    assert training_bytes == 4 * (2 * planned.num_parameters + kept)


@EVERY_SAMPLE
def test_it_minimises_a_quadratic(settings: dict[str, Any]) -> None:
    network = make_network()
    optimizer = Optimizer(read(settings), FlatParameters(network))
    before = weights_of(network).norm()
    for _ in range(50):  # of ½‖weights‖², whose gradient they are
        optimizer.gradient.copy_(optimizer.values)
        optimizer.step()
    assert weights_of(network).norm() < before


@EVERY_MEMBER
def test_decoupled_weight_decay_leaves_the_state_alone(member: type[OptimizerConfig]) -> None:
    preset = {"type": type_of(member), **next(iter(member.presets.values()), {})}
    config = read({**preset, "weight_decay": 0.1})
    network = make_network()
    optimizer = Optimizer(config, FlatParameters(network))
    fresh = {key: value.clone() for key, value in optimizer.state.items() if value.dim()}
    fresh.pop("z", None)  # weights themselves
    before = weights_of(network).norm()
    for _ in range(3):
        optimizer.step()  # the gradient is zero
    assert weights_of(network).norm() < before
    changed = [key for key, value in fresh.items() if not torch.equal(optimizer.state[key], value)]
    assert bool(changed) != config.has_decoupled_weight_decay
    assert config.heavy_weight_decay > 0


@EVERY_MEMBER
def test_its_default_rate_and_weight_decay_are_not_unusual(member: type[OptimizerConfig]) -> None:
    config = read({"type": type_of(member)})
    assert config.lr < config.high_lr
    assert config.highest_weight_decay < config.heavy_weight_decay


@EVERY_SAMPLE
def test_what_it_simplifies_to_takes_the_same_steps(settings: dict[str, Any]) -> None:
    config = read(settings)
    simple = config.simplified()
    assert simple.simplified() == simple
    first, second = make_network(), make_network()
    steps = make_gradients(first)
    take_steps(Optimizer(config, FlatParameters(first)), steps)
    take_steps(Optimizer(simple, FlatParameters(second)), steps)
    assert torch.equal(weights_of(first), weights_of(second))
    assert simple.lr == config.lr


def test_presets_have_names_of_their_own_and_every_type_is_one() -> None:
    assert len(PRESETS) == sum(1 + len(member.presets) for member in OPTIMIZERS)
    assert [PRESETS[type_of(member)] for member in OPTIMIZERS] == [
        {"type": type_of(member)} for member in OPTIMIZERS
    ]
    assert {*USUAL_PRESETS} <= {*PRESETS}


@EVERY_MEMBER
def test_the_schema_and_the_reference_page_describe_it(member: type[OptimizerConfig]) -> None:
    check_is_described(member, "optimizer")


@EVERY_MEMBER
def test_a_wrong_setting_is_told(
    member: type[OptimizerConfig], load: Callable[..., LoadedConfig]
) -> None:
    wrong = {"type": type_of(member), "lr": 0.0, "weight_decay": -1.0, "learning_rate": 1.0}
    with pytest.raises(ConfigError) as caught:
        load("table.csv", "y", optimizer=wrong)
    assert [(problem.path, problem.message) for problem in caught.value.problems] == [
        ("optimizer.lr", "must be above 0, not 0.0"),
        ("optimizer.weight_decay", "must be at least 0, not -1.0"),
        ("optimizer.learning_rate", "unknown key; did you mean 'lr'?"),
    ]


def test_an_unknown_type_is_answered_with_all_types(load: Callable[..., LoadedConfig]) -> None:
    known = ", ".join(map(type_of, OPTIMIZERS))
    with pytest.raises(ConfigError, match=f"unknown type 'newton'; known: {known}"):
        load("table.csv", "y", optimizer="newton")


def test_optimizers_and_schedules_are_read_without_torch() -> None:
    script = "import sys, dlcli.config, dlcli.optimizers, dlcli.schedules; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert b"torch" not in done.stdout.split()
