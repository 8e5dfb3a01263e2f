"""What is said of networks whose weights, and so whose faults, are known."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from dlcli.errors import DivergedError
from dlcli.explaining.explained_model import ExplainedModel
from dlcli.explaining.quality.bootstrap import Estimate
from dlcli.explaining.quality.quality import (
    ClassQuality,
    MetricComparison,
    NumberQuality,
    Quality,
    assess_quality,
)
from dlcli.losses.classification import BinaryCrossEntropy, CrossEntropy
from dlcli.losses.regression import Huber, MeanAbsoluteError
from dlcli.network.inputs import InputStage
from dlcli.report.quality.surest_images import surest_section
from dlcli.training.evaluation import evaluate
from dlcli.training.rows.batches import Tensors
from tests.explaining.made import dense, make_model

Columns = Mapping[str, Sequence[object]]
BY_COLUMN = {"column": "part"}
LAYERS = [{"type": "dense"}]


def corners(num_rows: int = 400) -> dict[str, Any]:
    """Return points whose class is the sign of their product: no line tells it."""
    x = np.random.default_rng(0).uniform(-1, 1, (num_rows, 2))
    return {"x": x[:, 0], "y": x[:, 1], "side": np.where(x[:, 0] * x[:, 1] > 0, "in", "out")}


def slope(num_rows: int = 300, noise: float = 0.5) -> dict[str, Any]:
    random = np.random.default_rng(1)
    x, z = random.normal(size=(2, num_rows))
    return {"x": x, "z": z, "y": 100 + 20 * x + noise * random.normal(size=num_rows)}


def halves(num_rows: int = 400) -> dict[str, Any]:
    """Return two classes that a line tells, but for noise."""
    random = np.random.default_rng(2)
    x = random.normal(size=num_rows)
    return {"x": x, "side": np.where(x + 0.7 * random.normal(size=num_rows) > 0, "up", "down")}


class Product(nn.Module):
    """The logits of the corners' classes."""

    def forward(self, inputs: Tensors) -> Tensor:
        rows = inputs["numbers"]
        sign = 4 * rows[:, 0] * rows[:, 1]
        return torch.stack([sign, -sign], dim=1)


def with_network(model: ExplainedModel, network: nn.Module) -> ExplainedModel:
    return replace(model, network=network.eval())


def figure(quality: Quality, name: str) -> MetricComparison:
    return next(own for own in quality.metrics if own.name == name)


def holds_zero(own: Estimate) -> bool:
    assert own.low is not None
    assert own.high is not None
    return own.low <= 0 <= own.high


def of_classes(quality: Quality) -> ClassQuality:
    assert isinstance(quality.details, ClassQuality)
    return quality.details


@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy"])
def test_figures_are_those_of_an_evaluation(loss: str) -> None:
    model = make_model(corners(), "side", LAYERS, loss=loss)
    quality = assess_quality(model)
    wanted = evaluate(
        model.network,
        model.objective,
        model.parts["test"].encoded,
        target=model.target,
        placement=model.placement,
    )
    assert [own.name for own in quality.metrics] == [
        *("accuracy", "balanced_accuracy", "macro_f1", "roc_auc", "loss")
    ]
    for own in quality.metrics:
        assert own.network.value == pytest.approx(wanted[own.name])
    assert of_classes(quality).confusion.tolist() == wanted["confusion_matrix"]
    assert (quality.part, quality.num_rows, quality.num_train) == ("test", 200, 200)


def test_losses_are_in_the_targets_own_units() -> None:
    for loss in ("mse", "mae", "huber"):
        model = make_model(slope(), "y", LAYERS, loss=loss)
        wanted = evaluate(
            model.network,
            model.objective,
            model.parts["test"].encoded,
            target=model.target,
            placement=model.placement,
        )
        for own in assess_quality(model).metrics:
            assert own.network.value == pytest.approx(wanted[own.name], rel=1e-5), loss


def test_a_network_that_bends_beats_a_linear_model() -> None:
    quality = assess_quality(
        with_network(make_model(corners(), "side", LAYERS, loss="cross_entropy"), Product())
    )
    accuracy = quality.metrics[0]
    assert (accuracy.network.value or 0.0) > 0.9
    assert accuracy.linear.value is not None
    assert accuracy.linear.value < 0.65
    assert accuracy.over_linear.low is not None
    assert accuracy.over_linear.low > 0.25
    assert (figure(quality, "loss").over_linear.low or 0.0) > 0.1


def test_a_network_that_is_a_linear_model_is_no_better_than_one() -> None:
    model = make_model(halves(), "side", LAYERS, loss="binary_cross_entropy")
    rows = model.parts["train"].encoded
    numbers, truth = rows.inputs["numbers"].numpy(), model.targets(rows).numpy()
    peer = LogisticRegression(C=100.0).fit(numbers, truth)
    line = nn.Linear(1, 1)
    network = nn.Sequential(InputStage(model.plan.signature), line)
    line.load_state_dict(
        {"weight": torch.tensor(peer.coef_), "bias": torch.tensor(peer.intercept_)}
    )
    quality = assess_quality(with_network(model, network))
    assert all(holds_zero(own.over_linear) for own in quality.metrics)
    assert not any(holds_zero(own.over_constant) for own in quality.metrics)
    # Of the same rows, what both do alike is no doubt: the difference is surer than either.
    loss = figure(quality, "loss")
    assert loss.over_linear.high is not None
    assert loss.network.high is not None
    assert loss.network.low is not None
    assert loss.over_linear.high < 0.2 * (loss.network.high - loss.network.low)


def test_a_network_may_be_worse_than_a_linear_model() -> None:
    model = make_model(slope(), "y", [dense([[0.0, 0.0]], [0.0])])
    quality = assess_quality(model)
    rmse = quality.metrics[0]
    assert rmse.linear.value == pytest.approx(0.5, rel=0.15)
    assert rmse.over_linear.high is not None
    assert rmse.over_linear.high < -10
    # Its one answer is the mean of the training rows, as the constant predictor's is.
    assert rmse.network.value == pytest.approx(rmse.constant.value)
    assert holds_zero(rmse.over_constant)


def test_the_trivial_answer_fits_the_loss() -> None:
    random = np.random.default_rng(3)
    columns: dict[str, Any] = {
        "x": random.normal(size=400),
        "y": np.exp(2 * random.normal(size=400)),
    }
    model = make_model(columns, "y", [dense([[0.0]], [0.0])], target_scale="none")
    train, held_out = (model.truth(model.parts[part].encoded) for part in ("train", "test"))
    errors = {
        "mse": (np.mean(train), replace(model)),
        "mae": (np.median(train), replace(model, loss=MeanAbsoluteError(type="mae"))),
    }
    for answer, own in errors.values():
        found = figure(assess_quality(own), "mae").constant.value
        assert found == pytest.approx(np.abs(held_out - answer).mean(), rel=1e-5)
    huber = assess_quality(replace(model, loss=Huber(type="huber", delta=1.0)))
    found = figure(huber, "mae").constant.value
    between = sorted(np.abs(held_out - answer).mean() for answer, _ in errors.values())
    assert found is not None
    assert between[0] < found < between[1]


def test_class_weights_and_smoothing_are_in_every_loss() -> None:
    columns = halves()
    columns["side"] = np.where(columns["x"] > 1.0, "up", "down")
    model = make_model(columns, "side", LAYERS, loss="cross_entropy")
    loss = CrossEntropy(type="cross_entropy", class_weights="balanced", label_smoothing=0.1)
    quality = assess_quality(replace(model, loss=loss))
    truth = model.truth(model.parts["test"].encoded)
    counts = np.array(model.target.class_counts)
    weights = counts.sum() / (2 * counts)
    smoothed = 0.9 * np.eye(2)[truth] + 0.05

    def weighted(logs: np.ndarray) -> float:
        return float(np.mean(-(smoothed * logs).sum(axis=1) * weights[truth]))

    # The rows' weights make the classes equal in training; nothing constant has a lower loss.
    assert figure(quality, "loss").constant.value == pytest.approx(weighted(np.log([[0.5, 0.5]])))
    assert figure(quality, "accuracy").constant.value == pytest.approx(np.mean(truth == 0))


def test_the_planted_largest_errors_are_on_top_with_their_rows() -> None:
    columns = corners() | {"part": ["train", "test"] * 200}
    x, y, side = columns["x"].copy(), columns["y"].copy(), columns["side"].copy()
    x[21], y[21], side[21] = 0.9, 0.9, "out"
    x[151], y[151], side[151] = 0.8, -0.8, "in"
    columns |= {"x": x, "y": y, "side": side, "note": ["n", None] * 200}
    model = make_model(columns, "side", LAYERS, loss="cross_entropy", split=BY_COLUMN)
    errors = assess_quality(with_network(model, Product())).errors
    assert len(errors.rows) == 10
    assert errors.columns == ("x", "y", "note")
    first, second = errors.rows[:2]
    assert (first.position, first.truth, first.prediction) == ("line 23", "out", "in")
    assert first.cells == ("0.9", "0.9", None)
    assert (second.position, second.truth, second.prediction) == ("line 153", "in", "out")
    assert first.probability is not None
    assert first.true_probability == pytest.approx(1 - first.probability)
    assert first.true_probability is not None
    assert first.loss == pytest.approx(-np.log(first.true_probability))
    assert errors.source.endswith("made.csv")


def test_whole_numbers_are_shown_without_a_fraction() -> None:
    columns = slope() | {"age": np.arange(300)}
    errors = assess_quality(make_model(columns, "y", LAYERS)).errors
    ages = [row.cells[errors.columns.index("age")] for row in errors.rows]
    assert [f"line {int(age or 0) + 2}" for age in ages] == [row.position for row in errors.rows]


def test_numbers_are_shown_in_the_targets_units() -> None:
    columns = slope() | {"part": ["train", "test"] * 150}
    columns["y"][7] = 1000.0
    model = make_model(columns, "y", [dense([[1.0, 0.0]], [0.0])], split=BY_COLUMN)
    quality = assess_quality(model)
    first = quality.errors.rows[0]
    assert first.position == "line 9"
    assert first.truth == pytest.approx(1000.0, rel=1e-5)
    assert isinstance(quality.details, NumberQuality)
    assert quality.details.truth.max() == first.truth
    residual = first.truth - first.prediction  # type: ignore[operator]
    assert first.loss == pytest.approx(residual**2, rel=1e-5)
    assert quality.details.trend is not None


def test_without_test_rows_validation_rows_are_held_out_and_without_them_training_rows() -> None:
    model = make_model(corners(), "side", LAYERS, split={"validation": 0.2, "test": 0.2})
    parts = dict(model.parts)
    quality = assess_quality(model)
    temperature_scaling = of_classes(quality).temperature_scaling
    assert temperature_scaling is not None
    assert (quality.part, temperature_scaling.is_on_same_rows, temperature_scaling.num_rows) == (
        "test",
        False,
        80,
    )
    del parts["test"]
    quality = assess_quality(replace(model, parts=parts))
    temperature_scaling = of_classes(quality).temperature_scaling
    assert temperature_scaling is not None
    assert (quality.part, temperature_scaling.is_on_same_rows) == ("validation", True)
    del parts["validation"]
    quality = assess_quality(replace(model, parts=parts))
    assert (quality.part, quality.num_rows) == ("train", 240)
    assert of_classes(quality).temperature_scaling is None


def test_a_class_that_no_held_out_row_is_of_leaves_the_rest() -> None:
    columns: dict[str, Any] = {"x": np.arange(90.0), "kind": list("abc") * 30}
    columns["part"] = ["train"] * 60 + ["test"] * 30
    columns["kind"][60:] = list("ab") * 15
    model = make_model(columns, "kind", LAYERS, split=BY_COLUMN)
    quality = assess_quality(model)
    assert figure(quality, "roc_auc").network == Estimate(None, None, None)
    assert figure(quality, "roc_auc").over_linear == Estimate(None, None, None)
    assert figure(quality, "balanced_accuracy").network.low is not None
    assert np.isnan(of_classes(quality).areas).tolist() == [False, False, True]


def test_embedded_columns_reach_the_linear_model() -> None:
    random = np.random.default_rng(5)
    names = np.array([f"k{number}" for number in range(30)])
    codes = random.integers(30, size=600)
    columns: dict[str, Any] = {
        "key": names[codes],
        "y": (codes * 7 % 30) + 0.1 * random.normal(size=600),
    }
    quality = assess_quality(make_model(columns, "y", LAYERS, one_hot_max=3))
    assert len(quality.linear.one_hots) == 1
    assert figure(quality, "r2").linear.value == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("scale", ["standard", "robust_clip", "quantile"])
def test_images_are_shown_as_in_their_file(scale: str) -> None:
    pixels = np.random.default_rng(6).integers(0, 17, (60, 16))
    columns: dict[str, Any] = {f"p{place}": pixels[:, place] for place in range(16)}
    columns |= {"kind": list("ab") * 30, "part": ["train", "train", "test"] * 20}
    layers = [{"type": "flatten"}, {"type": "dense"}]
    how: dict[str, Any] = {"split": BY_COLUMN, "scale": scale}
    model = make_model(columns, "kind", layers, shape=[1, 4, 4], **how)
    errors = assess_quality(model).errors
    assert errors.images is not None
    assert errors.images.shape == (10, 1, 4, 4)
    row = int(errors.rows[0].position.split()[1]) - 2
    assert errors.images[0].ravel() == pytest.approx(pixels[row], abs=1e-4)
    plain = make_model(columns, "kind", LAYERS, **how)
    assert assess_quality(plain).errors.images is None


def test_the_surest_images_of_each_class_are_shown() -> None:
    pixels = np.random.default_rng(6).integers(0, 17, (90, 16))
    kinds = [f"k{kind}" for kind in pixels[:, :3].argmax(axis=1)]
    columns: dict[str, Any] = {f"p{place}": pixels[:, place] for place in range(16)}
    columns |= {"kind": kinds, "part": ["train", "train", "test"] * 30}
    brightest = np.eye(16)[:3]
    brightest[2] = -1  # which no pixel is bright enough for
    layers = [{"type": "flatten"}, dense(brightest.tolist(), [0.0] * 3)]
    how: dict[str, Any] = {"split": BY_COLUMN, "scale": "none", "shape": [1, 4, 4]}
    surest = assess_quality(make_model(columns, "kind", layers, **how)).surest
    assert surest is not None
    assert (surest.num_each, surest.num_classes, surest.never) == (3, 3, ("k2",))
    assert [row.prediction for row in surest.rows] == ["k0"] * 3 + ["k1"] * 3
    held = np.arange(2, 90, 3)
    first = max(held, key=lambda row: int(pixels[row, 0]) - int(pixels[row, 1]))
    assert surest.rows[0].position == f"line {first + 2}"
    assert surest.images[0].ravel() == pytest.approx(pixels[first], abs=1e-4)
    section = surest_section(surest, 3)
    assert "No row is predicted as k2." in section.paragraphs[0]
    columns["kind"] = (pixels[:, 0] + 0.5).tolist()
    numbers = make_model(columns, "kind", [layers[0], *LAYERS], **how)
    assert assess_quality(numbers).surest is None


def test_the_same_question_has_the_same_answer() -> None:
    model = make_model(halves(100), "side", LAYERS)
    assert assess_quality(model).metrics == assess_quality(model).metrics


def test_a_short_time_limits_resamples_and_the_linear_baseline() -> None:
    model = make_model(halves(3000), "side", LAYERS)
    quick, full = assess_quality(model, seconds=0.002), assess_quality(model)
    assert (quick.num_resamples, full.num_resamples) == (50, 1000)
    assert quick.linear.num_rows < full.linear.num_rows
    one, other = (found.metrics[0].network for found in (quick, full))
    assert one.value == other.value
    assert one.low == pytest.approx(other.low, abs=0.02)


def test_answers_that_are_not_finite_are_refused() -> None:
    model = make_model(slope(), "y", [dense([[3e38, 3e38]], [0.0])])
    with pytest.raises(DivergedError, match="not finite"):
        assess_quality(model)


def test_a_binary_network_says_the_same_with_either_loss() -> None:
    one = make_model(halves(), "side", [dense([[2.0]], [0.1])], loss="binary_cross_entropy")
    two = replace(one, loss=CrossEntropy(type="cross_entropy"))
    two = with_network(two, nn.Sequential(one.network, Padded()))
    assert isinstance(one.loss, BinaryCrossEntropy)
    for first, second in zip(assess_quality(one).metrics, assess_quality(two).metrics, strict=True):
        assert first.network.value == pytest.approx(second.network.value)
        assert first.linear.value == pytest.approx(second.linear.value)
        assert first.constant.value == pytest.approx(second.constant.value)


class Padded(nn.Module):
    """One logit → two."""

    def forward(self, logit: Tensor) -> Tensor:
        return torch.cat([torch.zeros_like(logit), logit], dim=1)
