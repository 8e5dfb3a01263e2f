"""The way of training in its main plane, against singular values, algebra and evaluation."""

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from dlcli.config import LoadedConfig
from dlcli.explaining.explained_model import ExplainedModel
from dlcli.explaining.surface.path import (
    PathPlane,
    PrincipalDirections,
    Snapshots,
    end_at,
    path_plane,
    paths_plane,
    principal_directions,
)
from dlcli.explaining.unavailable import Unavailable
from tests.explaining.test_landscape import (
    LINEAR,
    evaluated,
    flat,
    grid,
    learn,
    linear_losses,
    made_table,
    train_rows,
    weights_of,
)

Load = Callable[..., LoadedConfig]
Learned = tuple[ExplainedModel, Snapshots]
NORMED = [
    {"type": "dense", "units": 5, "activation": "tanh"},
    {"type": "batch_norm"},
    {"type": "dense"},
]


@pytest.fixture
def linear(load: Load) -> Learned:
    return learn_with(load)


def learn_with(load: Load, **sections: Any) -> Learned:
    settings = {**LINEAR, "training": {"epochs": 5, "batch_size": 16}, **sections}
    return learn(load(made_table(80, 4, "y"), "y", **settings))


def shown(found: PathPlane | Unavailable) -> PathPlane:
    assert isinstance(found, PathPlane)
    return found


def reason(found: object) -> str:
    assert isinstance(found, Unavailable)
    return found.reason


def matrix(model: ExplainedModel, snapshots: Snapshots) -> np.ndarray:
    """Return the differences to the last snapshot, [snapshots, parameters]."""
    names = [name for name, _ in model.network.named_parameters()]
    rows = np.stack([flat({name: weights[name] for name in names}) for _, weights in snapshots])
    return np.asarray(rows - rows[-1])


def test_the_plane_is_the_main_one_and_its_losses_the_quadratic(linear: Learned) -> None:
    model, snapshots = linear
    found = shown(path_plane(model, snapshots, train_rows(model)))
    differences = matrix(model, snapshots)
    _, sizes, directions = np.linalg.svd(differences, full_matrices=False)
    points = differences @ directions[:2].T
    signs = np.sign(np.sum(points * found.main.points, axis=0))  # either way is right
    np.testing.assert_allclose(found.main.points, points * signs, atol=1e-6)
    np.testing.assert_allclose(found.shares, sizes[:2] ** 2 / np.sum(sizes**2), rtol=1e-5)
    along = [torch.tensor(own) for own in directions[:2] * signs[:, None]]
    expected = linear_losses(model, along, grid(found.grid))
    assert np.ptp(found.grid.losses) > found.grid.center_loss
    np.testing.assert_allclose(found.grid.losses.ravel(), expected, rtol=1e-5)


def test_the_path_ends_in_the_middle_with_the_trained_weights(linear: Learned) -> None:
    model, snapshots = linear
    found = shown(path_plane(model, snapshots, train_rows(model)))
    path = found.main
    assert path.epochs == (0, 1, 2, 3, 4, 5)
    assert path.points[-1].tolist() == [0.0, 0.0]
    loss = evaluated(model, train_rows(model))
    for own in (path.losses[-1], path.shown[-1], found.grid.center_loss):
        assert own == pytest.approx(loss, rel=1e-6)


def test_losses_of_snapshots_are_those_of_their_weights(linear: Learned) -> None:
    model, snapshots = linear
    path = shown(path_plane(model, snapshots, train_rows(model))).main
    for (_, weights), loss in zip(snapshots, path.losses, strict=True):
        model.network.load_state_dict(weights)
        assert loss == pytest.approx(evaluated(model, train_rows(model)), rel=1e-6)


def test_the_path_comes_from_the_left_and_lies_within_the_plane(linear: Learned) -> None:
    model, snapshots = linear
    found = shown(path_plane(model, snapshots, train_rows(model)))
    low, high = found.main.points.min(axis=0), found.main.points.max(axis=0)
    assert found.main.points[0, 0] < 0.0
    for index, axis in enumerate((found.grid.x, found.grid.y)):
        margin = 0.2 * (high[index] - low[index])
        assert axis[0] < low[index] - margin
        assert axis[-1] > high[index] + margin


def test_the_network_stays_as_it_is(linear: Learned) -> None:
    model, snapshots = linear
    before = weights_of(model.network)
    path_plane(model, snapshots, train_rows(model))
    assert all(torch.equal(model.network.state_dict()[key], own) for key, own in before.items())


def test_a_path_that_can_not_be_shown_is_a_reason(linear: Learned) -> None:
    model, snapshots = linear
    rows = train_rows(model)

    def why(some: Snapshots) -> str:
        return reason(path_plane(model, some, rows))

    assert why([]) == "a path needs 3 snapshots of the weights, but there are none"
    assert why(snapshots[:1]) == "a path needs 3 snapshots of the weights, but there is 1"
    assert why(snapshots[:2]) == "a path needs 3 snapshots of the weights, but there are 2"
    assert why([snapshots[0]] * 3) == "the weights are the same in all snapshots"
    first, last = snapshots[0][1], snapshots[-1][1]
    middle = {name: (own + last[name]) / 2 for name, own in first.items()}
    assert "on a line" in why([(0, first), (1, middle), (2, last)])
    not_finite = {name: own.clone() for name, own in last.items()}
    next(iter(not_finite.values())).view(-1)[1] = math.inf
    assert why([*snapshots, (9, not_finite)]) == "the weights of epoch 9 are not finite"
    other = {name: own[..., :1] for name, own in last.items()}
    assert why([*snapshots, (9, other)]) == "the weights of epoch 9 are not those of this network"
    assert "far more than" in reason(path_plane(model, snapshots, rows, seconds=1e-6))


def test_a_path_is_cut_at_the_best_epoch(linear: Learned) -> None:
    _, snapshots = linear
    best = {"made": torch.ones(1)}
    assert [epoch for epoch, _ in end_at(snapshots, 3, best)] == [0, 1, 2, 3]
    assert end_at(snapshots, 3, best)[-1] == (3, best)
    assert [epoch for epoch, _ in end_at(snapshots, 9, best)] == [0, 1, 2, 3, 4, 5, 9]


def test_the_centre_is_at_zero_to_the_bit_wherever_it_stands() -> None:
    generator = torch.Generator().manual_seed(0)
    for index in range(40):
        walk = torch.randn(40, 60, generator=generator).cumsum(0)
        found = principal_directions([{"made": own} for own in walk], {"made": walk[index]})
        assert isinstance(found, PrincipalDirections)
        assert found.points[index].tolist() == [0.0, 0.0]


def made_snapshots(num_parameters: int) -> tuple[list[dict[str, Tensor]], np.ndarray]:
    """Return weights that lie in a plane but for a little noise, the last in its middle."""
    generator = torch.Generator().manual_seed(0)
    center, first, second = torch.randn(3, num_parameters, generator=generator)
    first /= first.norm()
    second -= first * (first @ second)
    second /= second.norm()
    places = np.array([[-9.0, 2.0], [-6.0, -3.0], [-2.0, 1.5], [-1.0, 1.0], [0.0, 0.0]])
    weights = [
        {
            "small": center[:7] + x * first[:7] + y * second[:7],
            "large": center[7:] + x * first[7:] + y * second[7:],
        }
        for x, y in places.tolist()
    ]
    return weights, places


def test_many_parameters_take_little_time() -> None:
    weights, places = made_snapshots(400_000)
    start = time.thread_time()
    found = principal_directions(weights, weights[-1])
    assert time.thread_time() - start < 1.5
    assert isinstance(found, PrincipalDirections)
    assert sum(found.shares) == pytest.approx(1.0, abs=1e-6)
    distances = np.linalg.norm(found.points[:, None] - found.points, axis=2)
    expected = np.linalg.norm(places[:, None] - places, axis=2)
    np.testing.assert_allclose(distances, expected, atol=1e-3)
    for one, other, product in (
        (found.first, found.first, 1.0),
        (found.second, found.second, 1.0),
        (found.first, found.second, 0.0),
    ):
        assert flat(one) @ flat(other) == pytest.approx(product, abs=1e-4)


@pytest.fixture
def several(load: Load) -> tuple[ExplainedModel, dict[str, Snapshots]]:
    """Learn with three optimizers from one start."""
    found = {
        key: learn_with(load, optimizer={"type": key, "lr": lr}, model={"layers": NORMED})
        for key, lr in (("sgd", 0.01), ("adam", 0.05), ("rmsprop", 0.01))
    }
    return found["sgd"][0], {key: own for key, (_, own) in found.items()}


def test_several_paths_share_a_plane_through_the_lowest_end(
    several: tuple[ExplainedModel, dict[str, Snapshots]],
) -> None:
    model, paths = several
    rows = train_rows(model)
    found = shown(paths_plane(model, paths, rows))
    ends = {}
    for name, snapshots in paths.items():
        model.network.load_state_dict(snapshots[-1][1])
        ends[name] = evaluated(model, rows)
        assert found.paths[name].losses[-1] == pytest.approx(ends[name], rel=1e-5)
    assert found.center == min(ends, key=lambda name: ends[name])
    assert found.main.points[-1].tolist() == [0.0, 0.0]
    assert found.grid.center_loss == pytest.approx(min(ends.values()), rel=1e-5)
    starts = np.array([path.points[0] for path in found.paths.values()])
    np.testing.assert_allclose(starts, np.broadcast_to(starts[0], starts.shape), atol=1e-6)


def test_points_of_several_paths_lie_as_their_weights_do_along_the_plane(
    several: tuple[ExplainedModel, dict[str, Snapshots]],
) -> None:
    model, paths = several
    found = shown(paths_plane(model, paths, train_rows(model)))
    together = [own for name, some in paths.items() if name != found.center for own in some]
    differences = matrix(model, [*together, *paths[found.center]])
    _, sizes, directions = np.linalg.svd(differences, full_matrices=False)
    points = {tuple(np.round(np.abs(own), 4)) for own in differences @ directions[:2].T}
    seen = {tuple(np.round(np.abs(own), 4)) for path in found.paths.values() for own in path.points}
    assert len(seen) > 12
    assert points == seen
    np.testing.assert_allclose(found.shares, sizes[:2] ** 2 / np.sum(sizes**2), rtol=1e-5)


def test_a_path_that_diverged_is_left_out_with_its_reason(
    several: tuple[ExplainedModel, dict[str, Snapshots]],
) -> None:
    model, paths = several
    not_finite = {name: own * math.nan for name, own in paths["sgd"][-1][1].items()}
    with_more = {**paths, "wild": [paths["sgd"][0], (1, not_finite)], "none": []}
    found = shown(paths_plane(model, with_more, train_rows(model)))
    assert list(found.paths) == list(paths)
    assert found.left_out == {
        "wild": "the weights of epoch 1 are not finite",
        "none": "there are no snapshots of its weights",
    }
    alone = {"wild": with_more["wild"]}
    assert reason(paths_plane(model, alone, train_rows(model))) == (
        "there are fewer than 3 snapshots of weights (wild: the weights of epoch 1 are not finite)"
    )


def test_snapshots_of_parameters_alone_take_the_networks_statistics(
    several: tuple[ExplainedModel, dict[str, Snapshots]],
) -> None:
    model, paths = several
    names = [name for name, _ in model.network.named_parameters()]
    bare = [(epoch, {name: own[name] for name in names}) for epoch, own in paths["sgd"]]
    model.network.load_state_dict(paths["sgd"][-1][1])
    found = shown(path_plane(model, bare, train_rows(model)))
    whole = shown(path_plane(model, paths["sgd"], train_rows(model)))
    np.testing.assert_array_equal(found.grid.losses, whole.grid.losses)
    assert found.main.losses[-1] == whole.main.losses[-1]
    assert found.main.losses[0] != whole.main.losses[0]
    assert reason(paths_plane(model, {"bare": bare}, train_rows(model))) == (
        "there are fewer than 3 snapshots of weights (bare: the weights of epoch 0 come without "
        "batch norm's running statistics)"
    )
