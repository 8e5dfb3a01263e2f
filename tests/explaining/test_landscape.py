"""The loss around a result, against what algebra says and what evaluation says."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from torch import Tensor, nn

from dlcli.config import LoadedConfig
from dlcli.data.dataset import load_tables
from dlcli.explaining.explained_model import ExplainedModel, ExplainedRows
from dlcli.explaining.surface.landscape import (
    LossGrid,
    choose_detail,
    choose_rows,
    loss_landscape,
    random_directions,
)
from dlcli.explaining.surface.path import Snapshots
from dlcli.explaining.unavailable import Unavailable
from dlcli.runs.preparation import prepare
from dlcli.runs.training.run import build_trainer
from dlcli.targets.number_target import NumberTarget
from dlcli.training.device import choose_placement
from dlcli.training.engines.threads import using_threads
from dlcli.training.evaluation import evaluate
from dlcli.training.loop import EpochResult, fit
from dlcli.training.rows.batches import Rows, to_rows
from tests.layers.samples import STACKABLE, name
from tests.layers.samples import layers as layer_of

Load = Callable[..., LoadedConfig]
LINEAR: dict[str, Any] = {
    "model": {"layers": [{"type": "dense"}]},
    "loss": "mse",
    "optimizer": {"type": "sgd", "lr": 0.05},
}
IMAGES = [
    {"type": "conv2d", "out_channels": 4, "kernel_size": 3, "padding": "same"},
    {"type": "layer_norm"},
    {"type": "residual", "layers": [
        {"type": "conv2d", "out_channels": 6, "kernel_size": 3, "padding": "same"},
        {"type": "batch_norm"},
        {"type": "activation", "activation": "relu"},
    ]},
    {"type": "max_pool2d", "kernel_size": 2},
    {"type": "dropout", "rate": 0.5},
    {"type": "flatten"},
    {"type": "dense"},
]  # fmt: skip


def made_table(num_rows: int, num_columns: int, *targets: str) -> Path:
    """Write numbers, and y, which they nearly tell, its kind, or a city, which nothing tells."""
    random = np.random.default_rng(0)
    x = random.standard_normal((num_rows, num_columns))
    others = {
        "y": 40 + 5 * x[:, 0] - 3 * x[:, 1] + random.standard_normal(num_rows),
        "kind": np.array(list("abc"))[np.digitize(x[:, 0] + x[:, 1], [-1, 1])],
        "city": random.choice(list("pqrs"), num_rows),
    }
    columns = {f"x{index}": x[:, index] for index in range(num_columns)}
    path = Path("made.csv").resolve()
    pl.DataFrame(columns | {name: others[name] for name in targets}).write_csv(path)
    return path


def learn(loaded: LoadedConfig) -> tuple[ExplainedModel, Snapshots]:
    """Train to the end; return the last weights' network, and the weights before each epoch."""
    prepared, placement = prepare(loaded), choose_placement("cpu", "fp32")
    trainer = build_trainer(prepared, placement)
    parts = prepared.dataset.parts
    rows = {name: to_rows(part, placement.device) for name, part in parts.items()}
    start = (0, weights_of(trainer.network))
    with using_threads(1):
        epochs = [
            (event.epoch, weights_of(trainer.network))
            for event in fit(trainer, rows["train"], None)
            if isinstance(event, EpochResult)
        ]
    tables = load_tables(loaded, 10_000)
    model = ExplainedModel(
        network=trainer.network.eval(),
        plan=prepared.plan,
        loss=prepared.loss,
        fitted=prepared.dataset.fitted,
        placement=placement,
        parts={name: ExplainedRows(rows[name], tables[name]) for name in rows},
        seed=loaded.config.seed,
    )
    return model, [start, *epochs]


def weights_of(network: nn.Module) -> dict[str, Tensor]:
    return {name: own.detach().clone() for name, own in network.state_dict().items()}


def train_rows(model: ExplainedModel) -> Rows:
    return model.parts["train"].encoded


def evaluated(model: ExplainedModel, rows: Rows) -> float:
    figures = evaluate(
        model.network,
        model.objective,
        rows,
        target=model.target,
        placement=model.placement,
        names=(),
    )
    return float(figures["loss"])


def linear_losses(
    model: ExplainedModel, directions: Sequence[Tensor], points: np.ndarray
) -> np.ndarray:
    """Return c + g·p + p·H·p, [points]: the loss of one dense layer, from its rows.

    Directions are those of the weights and then the bias, [inputs + 1].
    """
    assert isinstance(model.target, NumberTarget)
    rows = train_rows(model)
    x = rows.inputs["numbers"].double().numpy()
    x = np.hstack([x, np.ones((len(x), 1))])
    weights = flat(dict(model.network.named_parameters()))
    missed = x @ weights - model.targets(rows).double().numpy()
    along = x @ np.stack([flat_tensor(own) for own in directions], axis=1)
    constant = np.mean(missed**2)
    gradient = 2 * missed @ along / len(x)
    curvature = along.T @ along / len(x)
    losses = constant + points @ gradient + np.sum(points @ curvature * points, axis=1)
    return np.asarray(losses * model.target.scale**2)


def flat(weights: dict[str, Tensor] | dict[str, nn.Parameter]) -> np.ndarray:
    return np.concatenate([flat_tensor(own) for own in weights.values()])


def flat_tensor(own: Tensor) -> np.ndarray:
    return np.asarray(own.detach().double().numpy().ravel())


def grid(plane: LossGrid) -> np.ndarray:
    return np.stack(np.meshgrid(plane.x, plane.y), axis=-1).reshape(-1, 2)


def shown(plane: LossGrid | Unavailable) -> LossGrid:
    assert isinstance(plane, LossGrid)
    return plane


@pytest.fixture
def linear(load: Load) -> tuple[ExplainedModel, Snapshots]:
    return learn(load(made_table(80, 4, "y"), "y", **LINEAR))


def test_the_landscape_of_a_linear_model_is_its_quadratic(linear: Any) -> None:
    model, _ = linear
    first, second = random_directions(model.network, model.plan, model.seed)
    along = [torch.cat([own.flatten() for own in some.values()]) for some in (first, second)]
    plane = shown(loss_landscape(model, train_rows(model), reach=2.0))
    expected = linear_losses(model, along, grid(plane))
    assert np.ptp(plane.losses) > plane.center_loss  # it is no flat one
    assert (plane.x[0], plane.x[-1], plane.y[0], plane.y[-1]) == (-2.0, 2.0, -2.0, 2.0)
    np.testing.assert_allclose(plane.losses.ravel(), expected, rtol=1e-5)


def test_the_middle_is_the_trained_network(linear: Any) -> None:
    model, _ = linear
    plane = shown(loss_landscape(model, train_rows(model)))
    assert plane.center_loss == pytest.approx(evaluated(model, train_rows(model)), rel=1e-6)
    middle = len(plane.x) // 2
    assert plane.x[middle] == plane.y[middle] == 0.0
    assert plane.losses[middle, middle] == pytest.approx(plane.center_loss, rel=1e-6)


@pytest.fixture
def images(load: Load) -> tuple[ExplainedModel, Snapshots]:
    data = {"shape": [1, 4, 4], "scale": "none"}
    return learn(
        load(
            made_table(120, 16, "kind"),
            "kind",
            data=data,
            model={"layers": IMAGES},
            optimizer={"type": "adam", "lr": 0.01},
        )
    )


def test_a_residual_convolutional_network_with_norms_and_dropout_has_one(images: Any) -> None:
    model, _ = images
    plane = shown(loss_landscape(model, train_rows(model), seconds=0.3))
    drawn = choose_rows(train_rows(model), plane.num_rows, model.seed)
    assert plane.keeps_statistics
    assert np.isfinite(plane.losses).all()
    assert plane.center_loss == pytest.approx(evaluated(model, drawn), rel=1e-5)


def test_each_filter_of_a_direction_is_as_long_as_the_networks(images: Any) -> None:
    network = images[0].network
    first, second = random_directions(network, images[0].plan, seed=3)
    moved = set()
    for key, own in network.named_parameters():
        for direction in (first[key], second[key]):
            if not direction.any():
                continue
            moved.add(key)
            for filter_, drawn in zip(own, direction, strict=True):
                assert drawn.norm().item() == pytest.approx(filter_.norm().item(), rel=1e-5)
        assert not first[key].any() or not torch.equal(first[key], second[key])
    still = {key for key, _ in network.named_parameters()} - moved
    assert moved == {key for key in still | moved if key.endswith("weight") and "norm" not in key}
    assert len(moved) == 4  # two convolutions, a projection, the dense layer


def test_codes_never_seen_stay_zeros(load: Load) -> None:
    data = {"one_hot_max": 1, "embedding_dim": 3}
    model, _ = learn(load(made_table(60, 2, "city", "y"), "y", data=data, **LINEAR))
    first, _ = random_directions(model.network, model.plan, seed=0)
    table = first["columns.tables.0.weight"]
    assert not table[0].any()
    assert table[1:].any(dim=1).all()
    assert np.isfinite(shown(loss_landscape(model, train_rows(model))).losses).all()


def test_the_network_stays_as_it_is_and_the_plane_is_the_same_twice(images: Any) -> None:
    model, _ = images
    before = weights_of(model.network)
    model.network.train()  # as training leaves it
    plane = shown(loss_landscape(model, train_rows(model), seconds=0.3))
    after = model.network.state_dict()
    assert all(torch.equal(after[key], own) for key, own in before.items())
    model.network.eval()
    again = shown(loss_landscape(model, train_rows(model), seconds=0.3))
    assert plane.losses.tobytes() == again.losses.tobytes()


EACH_TYPE = {(own[1]["type"], len(own[0])): own for own in STACKABLE}.values()


@pytest.mark.parametrize(("shape", "spec"), EACH_TYPE, ids=name)
def test_many_weights_at_once_are_as_one_by_one(
    shape: tuple[int, ...],
    spec: dict[str, Any],
    load: Load,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    width = int(np.prod(shape))
    is_first = layer_of(spec)[0].takes_columns
    layers = [
        *([] if is_first else [{"type": "dense", "units": width}]),
        *([{"type": "reshape", "shape": list(shape)}] if len(shape) > 1 else []),
        spec,
        {"type": "flatten"},
        {"type": "dense"},
    ]
    model, _ = learn(
        load(
            made_table(40, 3, "kind"),
            "kind",
            model={"layers": layers},
            training={"epochs": 1},
        )
    )
    num_calls = 0

    def count(*_: object) -> None:
        nonlocal num_calls
        num_calls += 1

    def count_plane() -> tuple[LossGrid, int]:
        before = num_calls
        return shown(loss_landscape(model, train_rows(model), seconds=0.05)), num_calls - before

    model.network.register_forward_pre_hook(count)
    together, num_together = count_plane()
    layer = model.plan.layers[0].config
    refusing = replace(layer.traits, stacking_obstacle="vmap has no rule for it")
    monkeypatch.setattr(type(layer), "traits", refusing)
    alone, num_alone = count_plane()
    np.testing.assert_allclose(together.losses, alone.losses, rtol=1e-4, atol=1e-7)
    assert num_together < together.losses.size / 4
    assert num_alone > together.losses.size


def test_losses_that_are_not_finite_are_masked(linear: Any) -> None:
    model, _ = linear
    plane = shown(loss_landscape(model, train_rows(model), reach=1e25))
    is_center = grid(plane).any(axis=1).reshape(plane.losses.shape) == 0
    assert np.isnan(plane.losses[~is_center]).all()
    assert np.isfinite(plane.losses[is_center]).all()


def test_of_many_rows_some_are_drawn(load: Load) -> None:
    model, _ = learn(load(made_table(2000, 2, "y"), "y", **LINEAR))
    rows = train_rows(model)
    plane = shown(loss_landscape(model, rows))
    assert (plane.num_rows, plane.num_known_rows) == (1000, len(rows))
    drawn = choose_rows(rows, 1000, model.seed)
    assert plane.center_loss == pytest.approx(evaluated(model, drawn), rel=1e-6)
    assert plane.center_loss != pytest.approx(evaluated(model, rows), rel=1e-6)
    assert not torch.equal(drawn.inputs["numbers"], rows.inputs["numbers"][:1000])


def test_a_large_network_takes_seconds(load: Load) -> None:
    wide = {"type": "dense", "units": 400, "activation": "relu"}
    loaded = load(
        made_table(400, 100, "y"),
        "y",
        model={"layers": [wide, wide, {"type": "dense"}]},
        training={"epochs": 1},
    )
    model, _ = learn(loaded)
    assert model.plan.num_parameters > 200_000
    start = time.thread_time()  # others may be busy too
    plane = shown(loss_landscape(model, train_rows(model), seconds=0.5))
    assert time.thread_time() - start < 2.0
    assert len(plane.x) < 41
    assert plane.num_rows < len(train_rows(model))


def test_what_would_take_too_long_is_not_done(linear: Any) -> None:
    model, _ = linear
    found = loss_landscape(model, train_rows(model), seconds=1e-6)
    assert isinstance(found, Unavailable)
    assert "far more than 1e-06 seconds" in found.reason


def test_less_time_means_fewer_points_and_rows(images: Any) -> None:
    plan, work = images[0].plan, []
    for seconds in (10.0, 0.5, 0.1):
        detail = choose_detail(plan, 10_000, seconds=seconds)
        assert not isinstance(detail, Unavailable)
        assert detail.size % 2 == 1
        work.append(detail.size**2 * detail.num_rows)
    assert work == sorted(work, reverse=True)
    assert len(set(work)) == 3


def test_a_network_of_zeros_has_no_directions(linear: Any) -> None:
    model, _ = linear
    with torch.no_grad():
        for own in model.network.parameters():
            own.zero_()
    found = loss_landscape(model, train_rows(model))
    assert isinstance(found, Unavailable)
    assert found.reason == "only 0 of the network's weights are not 0, too few for a plane"
