"""Captured steps against the same steps taken one by one: the same bits, whatever is in them."""

from pathlib import Path
from typing import Any

import pytest
import torch

from dlcli.config.sections.training import Precision, TrainingConfig
from dlcli.layers.activations import ACTIVATIONS
from dlcli.network.builder import build_network
from dlcli.network.plan import Plan
from dlcli.optimizers.adam import Adam
from dlcli.targets.base import Target
from dlcli.training.device import GradientScaler, Placement, choose_placement, configure_torch
from dlcli.training.engines.choice import choose_engine, recorded_bytes
from dlcli.training.engines.threads import (
    MAX_THREADS,
    choose_threads,
    using_threads,
)
from dlcli.training.objective import build_objective
from dlcli.training.optimizers import FlatParameters, Optimizer
from dlcli.training.rows.batches import Rows
from dlcli.training.step import Stepper
from tests.conftest import ROOT, Command
from tests.layers.samples import (
    DENSE,
    EVERY_LAYER,
    JOINS,
    MEMBERS,
    SHARES,
    name,
    plan,
    plan_embedded,
    plan_inputs,
    plan_members,
)
from tests.losses.examples import EVERY_LOSS, PAIR, loss_of
from tests.reliability.comparing import differences
from tests.reliability.configs import OPTIMIZERS, write_config

CPU = choose_placement("cpu", "fp32")
SIZES = [(8,), (8,), (5,), (3, 3, 2), (8,), (5,), (3, 3, 2)]  # of the batches of each step


def take_steps(
    planned: Plan,
    loss: dict[str, Any],
    target: Target,
    placement: Placement,
    *,
    is_captured: bool,
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Return the parameters after some steps, and each step's loss and norms."""
    network = build_network(planned, seed=0).train().to(placement.device)
    scaler = GradientScaler(placement)
    stepper = Stepper(
        network,
        build_objective(loss_of(loss), target, placement.device),
        target.field,
        Optimizer(Adam(type="adam", lr=0.01), FlatParameters(network)),
        placement,
        scaler,
        clip_norm=0.5,
        is_captured=is_captured,
    )
    torch.manual_seed(1)
    figures: list[torch.Tensor] = []
    for number, sizes in enumerate(SIZES):
        stepper.optimizer.lr *= 0.9
        batches = tuple(
            made_rows(planned, target, size).each(lambda tensor: tensor.to(placement.device))
            for size in sizes
        )
        figures.append(stepper.take_step(batches, number))
    state = torch.cat([value.flatten().float() for value in network.state_dict().values()])
    return state, figures


def made_rows(planned: Plan, target: Target, size: int) -> Rows:
    """Return random numbers, codes and targets; no training row has code 0, an unseen category."""
    signature, inputs = planned.signature, {}
    if signature.num_dense:
        inputs["numbers"] = torch.randn(size, signature.num_dense)
    if signature.embeddings:
        codes = [torch.randint(1, table.num_codes, (size,)) for table in signature.embeddings]
        inputs["codes"] = torch.stack(codes, dim=1).int()
    return Rows(inputs, {"target": targets(target, size)}, size)


def targets(target: Target, size: int) -> torch.Tensor:
    if target.has_labels:
        return ((torch.arange(size)[:, None] + torch.arange(2)) % 3 % 2).to(torch.uint8)
    return torch.arange(size) % 2 if target.class_names else torch.randn(size)


def check_alike(
    planned: Plan,
    loss: dict[str, Any],
    target: Target = PAIR,
    placement: Placement = CPU,
) -> None:
    one_by_one = take_steps(planned, loss, target, placement, is_captured=False)
    captured = take_steps(planned, loss, target, placement, is_captured=True)
    assert torch.equal(one_by_one[0], captured[0])
    assert all(map(torch.equal, one_by_one[1], captured[1]))
    assert one_by_one[0].isfinite().all()


@pytest.mark.parametrize(("shape", "spec"), EVERY_LAYER, ids=name)
def test_every_layer(shape: tuple[int, ...], spec: dict[str, Any]) -> None:
    planned = plan(shape, spec, {"type": "flatten"}, DENSE)
    check_alike(planned, {"type": "cross_entropy"})


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation(activation: str) -> None:
    dense = {"type": "dense", "units": 6, "activation": activation}
    planned = plan((5,), dense, {"type": "dropout", "rate": 0.3}, dense, DENSE)
    check_alike(planned, {"type": "cross_entropy"})


@pytest.mark.parametrize(("loss", "target"), EVERY_LOSS)
def test_every_loss(
    loss: dict[str, Any], target: Target, capfd: pytest.CaptureFixture[str]
) -> None:
    dense = {"type": "dense", "units": 6, "activation": "tanh"}
    num_outputs = loss_of(loss).num_outputs(2)
    check_alike(plan((5,), dense, DENSE, outputs=num_outputs), loss, target)
    assert capfd.readouterr().err == ""  # where PyTorch would warn


@pytest.mark.parametrize("share", SHARES)
def test_members(share: str) -> None:
    check_alike(plan_members(share, *MEMBERS), {"type": "cross_entropy"})


@pytest.mark.parametrize("combine", JOINS)
def test_inputs(combine: str) -> None:
    check_alike(plan_inputs(combine), {"type": "cross_entropy"})


@pytest.mark.parametrize("num_dense", [0, 3])
def test_several_fields(num_dense: int) -> None:
    dense = {"type": "dense", "units": 6, "activation": "tanh"}
    check_alike(plan_embedded(num_dense, dense, DENSE), {"type": "cross_entropy"})


def test_half_precision() -> None:
    dense = {"type": "dense", "units": 6, "activation": "tanh"}
    placement = choose_placement("cpu", "bf16")
    check_alike(plan((5,), dense, DENSE), {"type": "cross_entropy"}, PAIR, placement)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_whole_runs(optimizer: str, dlcli: Command) -> None:
    config = write_config(Path("c.yaml"), optimizer, "one_cycle")
    for engine in ("eager", "captured"):
        engine_set = ("--set", f"training.engine={engine}")
        assert dlcli("train", config, *engine_set, "--run-dir", engine).code == 0
    assert differences(Path("eager"), Path("captured")) == []


@pytest.mark.parametrize("shards", [1, 2])
def test_batches_that_begin_anywhere_in_memory(shards: int, dlcli: Command) -> None:
    settings = {"batch_size": 9, "accumulate_batches": 1, "shards": shards, "epochs": 3}
    config = write_config(Path("c.yaml"), "adam", "constant", training=settings)
    for engine in ("eager", "captured"):
        engine_set = ("--set", f"training.engine={engine}")
        assert dlcli("train", config, *engine_set, "--run-dir", engine).code == 0
    assert differences(Path("eager"), Path("captured")) == []


def test_a_run_goes_on_with_another_engine_to_the_same_bits(dlcli: Command) -> None:
    config = write_config(Path("c.yaml"), "adam", "constant")
    eager = ("--set", "training.engine=eager")
    assert dlcli("train", config, *eager, "--run-dir", "straight").code == 0
    first = dlcli("train", config, *eager, "--set", "training.epochs=2", "--run-dir", "r")
    assert "engine eager: training.engine says so (training.engine)" in first.out
    then = dlcli("train", config, "--run-dir", "r", "--resume")
    assert "engine captured: the same operations with less overhead" in then.out
    assert "changed: training.engine: eager then, auto now" in then.out
    assert differences(Path("straight"), Path("r")) == []


def test_what_can_not_be_captured_is_not_and_why_is_said(dlcli: Command) -> None:
    config = ROOT / "configs" / "penguins.yaml"
    half = ("--set", "training.precision=fp16", "--smoke")
    outcome = dlcli("train", config, *half)
    assert "engine eager: fp16 decides at each step whether to take it" in outcome.out
    outcome = dlcli("train", config, *half, "--set", "training.engine=captured")
    assert (outcome.code, "captured can't be: fp16" in outcome.err) == (2, True)


@pytest.mark.gpu
@pytest.mark.parametrize(("shape", "spec"), EVERY_LAYER, ids=name)
def test_every_layer_in_a_cuda_graph(shape: tuple[int, ...], spec: dict[str, Any]) -> None:
    planned = plan(shape, spec, {"type": "dropout"}, {"type": "flatten"}, DENSE)
    placement = choose_placement("cuda", "fp32")
    configure_torch(placement)
    check_alike(planned, {"type": "cross_entropy"}, placement=placement)


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["bf16", "tf32"])
def test_other_precisions_in_a_cuda_graph(precision: Precision) -> None:
    dense = {"type": "dense", "units": 6, "activation": "tanh"}
    planned = plan((5,), dense, {"type": "dropout", "rate": 0.3}, dense, DENSE)
    placement = choose_placement("cuda", precision)
    configure_torch(placement)
    check_alike(planned, {"type": "cross_entropy"}, placement=placement)


@pytest.mark.gpu
@pytest.mark.parametrize("num_dense", [0, 3])
def test_several_fields_in_a_cuda_graph(num_dense: int) -> None:
    dense = {"type": "dense", "units": 6, "activation": "tanh"}
    placement = choose_placement("cuda", "fp32")
    configure_torch(placement)
    planned = plan_embedded(num_dense, dense, {"type": "dropout", "rate": 0.3}, DENSE)
    check_alike(planned, {"type": "cross_entropy"}, placement=placement)


@pytest.mark.gpu
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_whole_runs_by_cuda_graphs(optimizer: str, dlcli: Command) -> None:
    config = write_config(Path("c.yaml"), optimizer, "one_cycle", training={"device": "cuda"})
    for engine in ("eager", "captured"):
        engine_set = ("--set", f"training.engine={engine}")
        assert dlcli("train", config, *engine_set, "--run-dir", engine).code == 0
    assert differences(Path("eager"), Path("captured")) == []


def test_tf32_is_refused_where_there_is_none(dlcli: Command) -> None:
    cpu = ("--set", "training.device=cpu", "--set", "training.precision=tf32")
    outcome = dlcli("train", ROOT / "configs" / "penguins.yaml", *cpu)
    assert (outcome.code, "training.precision: cpu has no tf32; use" in outcome.err) == (2, True)


@pytest.mark.gpu
def test_fp32_on_a_gpu_is_fp32_unless_tf32_is_asked_for() -> None:
    x = torch.randn(64, 64, device="cuda") + 1
    exact = (x.double() @ x.double()).float()
    errors = {}
    precisions: tuple[Precision, ...] = ("tf32", "fp32")  # the default is set again at the end
    for precision in precisions:
        configure_torch(choose_placement("cuda", precision))
        errors[precision] = (x @ x - exact).abs().max().item()
    assert errors["fp32"] < 1e-3 < errors["tf32"]


def test_a_recording_too_large_for_its_worth_is_not_made() -> None:
    planned = plan((5,), {"type": "dense", "units": 10_000}, DENSE)
    settings = TrainingConfig(batch_size="full")
    assert choose_engine(settings, CPU, planned, num_rows=100).name == "captured"
    large = choose_engine(settings, CPU, planned, num_rows=100_000)
    assert (large.name, large.reason) == ("eager", "a recorded step would keep 14.9 GiB")


def test_a_recorded_step_keeps_no_more_rows_than_there_are() -> None:
    planned = plan((5,), {"type": "dense", "units": 10}, DENSE)
    rows_of = {(32, 1, 1): 32, (32, 2, 1): 64, (32, 9, 1): 100, (32, 1, 3): 11, (32, 1, 2): 16}
    for (batch_size, accumulated, shards), rows in rows_of.items():
        settings = TrainingConfig(
            batch_size=batch_size, accumulate_batches=accumulated, shards=shards
        )
        assert recorded_bytes(settings, planned, 100) == 4 * planned.activation_bytes(rows)


@pytest.mark.parametrize(
    ("batch_size", "number", "reason"),
    [
        (1000, 1, "a batch of 5,200,000 multiplications has no work for more"),
        ("full", MAX_THREADS, ""),
    ],
)
def test_threads_are_as_many_as_a_batch_has_work_for(
    batch_size: Any, number: int, reason: str
) -> None:
    planned = plan((50,), {"type": "dense", "units": 100}, DENSE)
    settings = TrainingConfig(batch_size=batch_size)
    chosen = choose_threads(settings, planned, num_rows=100_000)
    assert (chosen.number, reason in chosen.reason) == (number, True)
    wanted = settings.model_copy(update={"threads": 3})
    assert choose_threads(wanted, planned, num_rows=100_000).number == 3


def test_threads_are_as_many_as_before_after_a_block_that_uses_others() -> None:
    before = torch.get_num_threads()
    with using_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


def test_dropout_keeps_the_share_it_should_and_the_mean() -> None:
    planned = plan((4000,), {"type": "dropout", "rate": 0.3}, DENSE)
    dropout = build_network(planned, seed=0).get_submodule("0_dropout")
    torch.manual_seed(0)
    x = torch.ones(250, 4000)
    dropped = dropout(x)
    assert (dropped == 0).float().mean().item() == pytest.approx(0.3, abs=2e-3)
    assert dropped.mean().item() == pytest.approx(1.0, abs=3e-3)
    assert len(dropped.unique()) == 2
    assert torch.equal(dropout.eval()(x), x)
