"""Rows that differ in length: batches of like lengths, cut to their longest row."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dlcli.columns.base import Tokens
from dlcli.config.sections.training import TrainingConfig
from dlcli.data.disk_cache import RowCache
from dlcli.data.fields import Examples, Field, lengths_of
from dlcli.data.signature import Signature
from dlcli.network.builder import build_network
from dlcli.network.obstacles import stacking_obstacle
from dlcli.network.plan import Plan, plan_network
from dlcli.optimizers.adam import Adam
from dlcli.training.device import GradientScaler, choose_placement
from dlcli.training.engines.choice import choose_engine
from dlcli.training.evaluation import compute_outputs
from dlcli.training.objective import build_objective
from dlcli.training.optimizers import FlatParameters, Optimizer
from dlcli.training.processes.group import ALONE
from dlcli.training.processes.shards import ShardedStep
from dlcli.training.rows.batches import Rows, to_rows
from dlcli.training.rows.like_lengths import num_widths, width_for
from dlcli.training.rows.steps import epoch_steps
from dlcli.training.rows.streamed import StreamedRows
from dlcli.training.step import Stepper
from tests.layers.samples import DENSE, layers, name
from tests.losses.examples import PAIR, loss_of

CPU = choose_placement("cpu", "fp32")
LONGEST, NUM_ROWS = 120, 1000
REVIEW = Tokens("review", "tokens review", LONGEST, 20)
FIELDS = (Field(REVIEW.field, np.dtype(np.int32), (), is_ragged=True),)
TARGETS = (Field("target", np.dtype(np.int64), ()),)


def made(num_rows: int = NUM_ROWS) -> Examples:
    random = np.random.default_rng(0)
    lengths = np.minimum(random.geometric(1 / 25, num_rows), LONGEST)
    lengths[:3] = LONGEST, 0, 1
    codes = random.integers(1, 20, lengths.sum()).astype(np.int32)
    targets = random.integers(0, 2, num_rows)
    return Examples({REVIEW.field: codes}, {"target": targets}, num_rows, {REVIEW.field: lengths})


@pytest.fixture(params=["held", "streamed"])
def rows(request: pytest.FixtureRequest) -> Any:
    if request.param == "held":
        yield to_rows(made(), CPU.device)
        return
    cache = RowCache(Path(), FIELDS, TARGETS)
    cache.append(made())
    yield StreamedRows(cache, CPU.device)
    cache.close()


def planned(*specs: dict[str, Any]) -> Plan:
    own = specs or (
        {"type": "embedding", "dim": 4},
        {"type": "conv1d", "out_channels": 4, "kernel_size": 3, "activation": "relu"},
        {"type": "dropout", "rate": 0.2},
        {"type": "pool_time"},
        DENSE,
    )
    return plan_network(layers(*own), Signature(0, (), None, 2, sequences=(REVIEW,)), num_outputs=2)


def batches_of(rows: Any, **options: Any) -> list[Rows]:
    settings: dict[str, Any] = {"batch_size": 16, "accumulate": 1, "seed": 0, "epoch": 1}
    steps = epoch_steps(rows, **settings | options)
    return [batch for step in steps for batch in step]


def test_batches_are_as_wide_as_their_longest_row_and_rows_are_alike(rows: Any) -> None:
    num_there, num_kept = 0, 0
    for batch in batches_of(rows):
        lengths, tokens = batch.inputs[lengths_of(REVIEW.field)], batch.inputs[REVIEW.field]
        assert tokens.shape == (len(batch), min(LONGEST, width_for(int(lengths.max()))))
        assert tokens.is_contiguous()
        assert torch.equal(tokens != 0, torch.arange(tokens.shape[1]) < lengths[:, None])
        num_there, num_kept = num_there + tokens.numel(), num_kept + int(lengths.sum())
    assert num_there < 1.25 * num_kept
    longest = [batch.inputs[REVIEW.field].shape[1] for batch in batches_of(rows)]
    assert longest != sorted(longest)
    assert longest != [batch.inputs[REVIEW.field].shape[1] for batch in batches_of(rows, epoch=2)]


def test_widths_are_few_and_none_is_far_off() -> None:
    assert [width_for(length) for length in (0, 1, 8, 9, 64, 65, 120, 129, 500)] == [
        8, 8, 8, 16, 64, 72, 120, 144, 512,
    ]  # fmt: skip
    for length in range(1, 5000):
        assert length <= width_for(length) < length + max(8, length / 8)
    assert num_widths(16) == 1.5


def trained(plan: Plan, rows: Any, *, is_captured: bool, num_shards: int = 1) -> torch.Tensor:
    """Return the weights after an epoch."""
    network = build_network(plan, seed=0).train()
    flat = FlatParameters(network)
    stepper = Stepper(
        network,
        build_objective(loss_of({"type": "cross_entropy"}), PAIR, CPU.device),
        "target",
        Optimizer(Adam(type="adam", lr=0.01), flat),
        CPU,
        GradientScaler(CPU),
        clip_norm=None,
        is_captured=is_captured,
        sharded=ShardedStep(num_shards, ALONE, [], flat, seed=0) if num_shards > 1 else None,
    )
    torch.manual_seed(1)
    steps = epoch_steps(rows, batch_size=8, accumulate=1, seed=0, epoch=1)
    for number, batches in enumerate(steps):
        stepper.take_step(batches, number)
    if is_captured:  # sizes that come once are not worth it
        assert 0 < len(stepper.recordings) < number
    return flat.values.clone()


@pytest.mark.parametrize(
    ("spec", "num_shards"),
    [
        ({"type": "conv1d", "out_channels": 4, "kernel_size": 3, "stride": 2}, 2),
        ({"type": "max_pool1d", "kernel_size": 3}, 1),
        ({"type": "gru", "units": 4, "bidirectional": True, "returns": "sequence"}, 1),
        ({"type": "transformer_encoder", "num_heads": 2}, 1),
    ],
    ids=name,
)
def test_recorded_steps_are_those_of_their_width(spec: dict[str, Any], num_shards: int) -> None:
    embedding = {"type": "embedding", "dim": 4}
    plan = planned(embedding, spec, {"type": "dropout", "rate": 0.2}, {"type": "pool_time"}, DENSE)
    rows = to_rows(made(120), CPU.device)
    eager, recorded = (
        trained(plan, rows, is_captured=is_captured, num_shards=num_shards)
        for is_captured in (False, True)
    )
    assert torch.equal(eager, recorded)
    assert eager.isfinite().all()


def test_predictions_are_in_the_order_of_their_rows() -> None:
    rows = to_rows(made(60), CPU.device)
    network = build_network(planned(), seed=0).eval()
    outputs = compute_outputs(network, rows.inputs, CPU)
    with torch.inference_mode():
        alone = [network(rows.cut(row, row + 1).inputs) for row in range(60)]
    torch.testing.assert_close(outputs, torch.cat(alone))


def test_what_can_not_be_stacked_or_recorded_says_why() -> None:
    plan = planned()
    assert "rows differ in length" in str(stacking_obstacle(plan))
    assert choose_engine(TrainingConfig(), CPU, plan, NUM_ROWS).name == "captured"
    several = Signature(0, (), None, 2, sequences=(REVIEW, REVIEW))
    of_several = Plan(several, plan.layers)
    assert "several columns" in choose_engine(TrainingConfig(), CPU, of_several, NUM_ROWS).reason
    accumulated = TrainingConfig(accumulate_batches=2)
    assert "several batches" in choose_engine(accumulated, CPU, plan, NUM_ROWS).reason
