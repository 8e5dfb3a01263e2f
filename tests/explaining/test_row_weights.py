"""What a report says of weighted rows is what it says of rows that are repeated so many times."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn import linear_model, metrics

from dlcli.explaining.constant_baseline import constant_baseline_loss
from dlcli.explaining.explained_model import ExplainedModel
from dlcli.explaining.quality.baselines import LinearModel, fit_logistic, fit_ridge
from dlcli.explaining.quality.bootstrap import Predictions, bootstrap
from dlcli.explaining.quality.calibration import chance_error, measure_reliability
from dlcli.explaining.quality.curves import precision_recall_curve, roc_curve, running_median
from dlcli.explaining.quality.quality import (
    ClassQuality,
    NumberQuality,
    Quality,
    assess_quality,
)
from dlcli.explaining.quality.temperature import fit_temperature, log_loss
from dlcli.explaining.reasons.partial_dependence import (
    PartialDependence,
    measure_partial_dependence,
)
from dlcli.explaining.reasons.permutation import ShufflePlan, measure_loss_increase
from dlcli.explaining.surface.weight_plane import loss_of
from dlcli.explaining.weighted import mean_and_error, quantiles
from dlcli.metrics import metrics_for
from dlcli.numbers import number_text
from dlcli.report.quality.section import quality_sections
from dlcli.targets.task import Task
from dlcli.training.rows.batches import Rows
from tests.data.weighted import TASKS, write_both
from tests.explaining.made import make_model

HIDDEN: dict[str, Any] = {"type": "dense", "units": 5, "activation": "tanh"}
LAYERS = [HIDDEN, {"type": "dense"}]
RANDOM = np.random.default_rng(0)
COUNTS = RANDOM.integers(1, 6, 90)
REPEATED = np.repeat(np.arange(90), COUNTS)
WEIGHTS = COUNTS.astype(np.float64)
FEATURES = RANDOM.normal(size=(90, 3)).astype(np.float32)
NUMBERS = FEATURES @ [1.0, -2.0, 0.5] + RANDOM.normal(size=90)
CLASSES = np.digitize(NUMBERS, [-1.0, 1.0])
LOGITS = np.stack([-NUMBERS, 0 * NUMBERS, NUMBERS], axis=1) + RANDOM.normal(size=(90, 3))


def probabilities() -> np.ndarray:
    powers = np.exp(LOGITS)
    found: np.ndarray = powers / powers.sum(axis=1, keepdims=True)
    return found


def models(task: Task, folder: Path) -> tuple[ExplainedModel, ExplainedModel]:
    """Return the same network on weighted and on repeated rows."""
    weighted, repeated = write_both(task, folder)
    split = {"column": "part"}
    return (
        make_model(weighted, "y", LAYERS, split=split, weight="w"),
        make_model(repeated, "y", LAYERS, split=split),
    )


def figures(quality: Quality) -> dict[str, float | None]:
    return {
        f"{metric.name} of the {name}": getattr(metric, name).value
        for metric in quality.metrics
        for name in ("network", "constant", "over_constant")
    }


def lowest(quality: Quality) -> str:
    """Return the residual below which 2.5 % of the weight lie, as a page shows it."""
    details = quality.details
    assert isinstance(details, NumberQuality)
    residuals = details.truth - details.predictions
    found = np.quantile(residuals, 0.025, weights=details.weights, method="inverted_cdf")
    return number_text(float(found))


def check_linear(model: ExplainedModel, linear: LinearModel) -> None:
    """Hold the mean prediction for the training rows to the mean target, both weighted."""
    rows = model.parts["train"].encoded
    inputs = {name: tensor.numpy() for name, tensor in rows.inputs.items()}
    outputs = torch.from_numpy(model.loss.to_outputs(linear.outputs(inputs)))
    predictions = model.loss.predictions(outputs)
    truth = model.targets(rows).numpy()
    if model.target.class_names:
        truth = np.eye(len(model.target.class_names))[truth]
    means = [np.average(some, axis=0, weights=model.weights(rows)) for some in (predictions, truth)]
    assert means[0] == pytest.approx(means[1], abs=1e-4)


@pytest.mark.parametrize("task", TASKS)
def test_the_quality_of_a_network(task: Task, tmp_path: Path) -> None:
    both = models(task, tmp_path)
    weighted, repeated = map(assess_quality, both)
    check_linear(both[0], weighted.linear)
    assert figures(weighted) == pytest.approx(figures(repeated), rel=1e-5)
    assert (weighted.weight, repeated.weight) == ("w", None)
    assert weighted.num_rows < repeated.num_rows
    if isinstance(weighted.details, ClassQuality):
        assert isinstance(repeated.details, ClassQuality)
        assert np.array_equal(weighted.details.confusion, repeated.details.confusion)
        words = " ".join(quality_sections(weighted)[0].paragraphs)
        assert "Each row counts as much as 'w' says (data.weight)" in words
        bins, accuracy = weighted.details.reliability, weighted.metrics[0].network.value
        assert bins.weight.sum() == repeated.num_rows
        assert bins.weight @ bins.accuracy / repeated.num_rows == pytest.approx(accuracy)
        scaling, wanted = weighted.details.temperature_scaling, repeated.details.temperature_scaling
        assert scaling is not None
        assert wanted is not None
        assert (scaling.temperature is None) == (wanted.temperature is None) == (task != "binary")
        if scaling.temperature is not None:
            assert scaling.temperature == pytest.approx(wanted.temperature, rel=1e-3)
            assert scaling.reliability is not None
            assert scaling.reliability.weight.sum() == repeated.num_rows
        assert weighted.details.areas == pytest.approx(repeated.details.areas, rel=1e-9)
        if task == "binary":
            captions = [picture.text for picture in quality_sections(weighted)[1].pictures]
            assert "of the weight of all rows." in captions[0]
    else:
        pages = [quality_sections(some)[1] for some in (weighted, repeated)]
        bias, other = (page.paragraphs[0].split(",")[0] for page in pages)
        assert bias == other
        assert f"95 % between {lowest(weighted)}" in pages[0].pictures[1].text


@pytest.mark.parametrize("task", TASKS)
def test_losses_of_baselines_and_of_the_landscape(task: Task, tmp_path: Path) -> None:
    losses = []
    for model in models(task, tmp_path):
        rows = model.parts["train"].encoded
        weights = dict(model.network.state_dict())
        constant = constant_baseline_loss(
            model.objective, model.target, model.targets(rows), model.weights(rows)
        )
        losses.append([constant, loss_of(weights, model, rows)])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_intervals_take_a_row_for_a_row_whatever_its_weight() -> None:
    predictors = [Predictions(NUMBERS + 1, np.ones(90))]
    truth, wanted = NUMBERS, metrics_for("regression")
    plain = bootstrap(predictors, truth, wanted, 0, 50)
    alike = bootstrap(predictors, truth, wanted, 0, 50, np.full(90, 7.0))
    for name, values in plain[0].items():
        assert alike[0][name] == pytest.approx(values, rel=1e-9)
    losses = [Predictions(NUMBERS, RANDOM.random(90))]
    found = bootstrap(losses, truth, wanted, 0, 400, WEIGHTS)[0]["loss"]
    mean = np.average(losses[0].losses, weights=WEIGHTS)
    effective = WEIGHTS.sum() ** 2 / (WEIGHTS**2).sum()
    assert found.mean() == pytest.approx(mean, abs=0.01)
    assert found.std() == pytest.approx(losses[0].losses.std() / np.sqrt(effective), rel=0.2)


def test_calibration() -> None:
    given = probabilities()
    found = measure_reliability(given, CLASSES, WEIGHTS)
    is_right = given.argmax(axis=1) == CLASSES
    totals = found.weight @ np.stack([found.accuracy, found.confidence], axis=1)
    assert totals / WEIGHTS.sum() == pytest.approx(
        [np.average(is_right, weights=WEIGHTS), np.average(given.max(axis=1), weights=WEIGHTS)]
    )
    plain, alike = (measure_reliability(given, CLASSES, some) for some in (None, np.full(90, 3.0)))
    for name in ("error", "low", "high", "accuracy"):
        assert getattr(alike, name) == pytest.approx(getattr(plain, name))
    assert chance_error(given, 0, np.full(90, 3.0)) == pytest.approx(chance_error(given, 0))
    # Few rows with nearly all of the weight say less than as many rows that count alike.
    uneven = np.where(np.arange(90) % 9, 0.01, 1.0)
    assert chance_error(given, 0, uneven) > 1.5 * chance_error(given, 0)
    assert log_loss(LOGITS, CLASSES, weights=WEIGHTS) == pytest.approx(
        metrics.log_loss(CLASSES, given, sample_weight=WEIGHTS)
    )
    wanted = fit_temperature(LOGITS[REPEATED], CLASSES[REPEATED])
    assert fit_temperature(LOGITS, CLASSES, WEIGHTS) == pytest.approx(wanted, rel=1e-4)


def test_curves_are_scikit_learns() -> None:
    scores, truth = LOGITS[:, 2].round(1), CLASSES == 2
    roc = roc_curve(scores, truth, WEIGHTS)
    x, y, _ = metrics.roc_curve(truth, scores, drop_intermediate=False, sample_weight=WEIGHTS)
    assert roc.x == pytest.approx(x)
    assert roc.y == pytest.approx(y)
    assert roc.area == pytest.approx(metrics.roc_auc_score(truth, scores, sample_weight=WEIGHTS))
    trade = precision_recall_curve(scores, truth, WEIGHTS)
    wanted = metrics.average_precision_score(truth, scores, sample_weight=WEIGHTS)
    assert trade.area == pytest.approx(wanted)


def test_quantiles_and_the_running_median() -> None:
    shares = [0.1, 0.5, 0.9]
    found = quantiles(NUMBERS, shares, 0, WEIGHTS)
    wanted = np.quantile(NUMBERS[REPEATED], shares, method="inverted_cdf")
    assert np.array_equal(found, wanted)
    table = np.stack([NUMBERS, 2 * NUMBERS])[:, :, None]
    both = quantiles(table, shares, 1, WEIGHTS[None, None])
    assert np.array_equal(both[:, :, 0], np.stack([wanted, 2 * wanted], axis=1))
    mean, error = mean_and_error(NUMBERS, None, None)
    assert (mean, error) == pytest.approx((NUMBERS.mean(), NUMBERS.std() / np.sqrt(90)))
    assert mean_and_error(NUMBERS, np.full(90, 7.0), None) == pytest.approx((mean, error))
    weighted, _ = mean_and_error(NUMBERS, WEIGHTS, None)
    assert weighted == pytest.approx(NUMBERS[REPEATED].mean())
    # Three rows of a group that are the same say as much as one of them.
    thrice = mean_and_error(NUMBERS.repeat(3), None, np.arange(90).repeat(3))
    assert thrice == pytest.approx((mean, error))
    heavy = np.where(NUMBERS > 0, 1e6, 1.0)
    plain, trend = (running_median(LOGITS[:, 1], NUMBERS, weights=some) for some in (None, heavy))
    assert plain is not None
    assert trend is not None
    assert (trend.low > 0).all()
    assert (plain.low < 0).any()


def test_the_linear_baselines() -> None:
    inputs = {"numbers": FEATURES}
    center = np.average(FEATURES, axis=0, weights=WEIGHTS)
    scale = np.sqrt(np.average((FEATURES - center) ** 2, axis=0, weights=WEIGHTS))
    ridge = fit_ridge(inputs, NUMBERS, 0, WEIGHTS)
    reference = linear_model.Ridge(alpha=ridge.penalty * 90)
    reference.fit((FEATURES - center) / scale, NUMBERS, sample_weight=WEIGHTS / WEIGHTS.mean())
    assert ridge.weights[:, 0] * scale == pytest.approx(reference.coef_, rel=1e-4)
    settings: dict[str, Any] = {"class_weights": np.array([1.0, 2.0, 0.5]), "penalty": 0.01}
    found = fit_logistic(inputs, CLASSES, 0, weights=WEIGHTS, **settings)
    repeated = {"numbers": FEATURES[REPEATED]}
    wanted = fit_logistic(repeated, CLASSES[REPEATED], 0, **settings)
    assert found.weights == pytest.approx(wanted.weights, rel=1e-3, abs=1e-4)
    assert found.bias == pytest.approx(wanted.bias, rel=1e-3, abs=1e-4)


def weighing(model: ExplainedModel, weights: torch.Tensor) -> Rows:
    rows = model.parts["train"].encoded
    return Rows(rows.inputs, {**rows.targets, "weight": weights.float()}, len(rows))


def test_permutation_importance_weighs_pairs_of_rows(tmp_path: Path) -> None:
    model, _ = models("regression", tmp_path)
    num_rows = len(model.parts["train"])
    groups = [*model.fitted.slots().values()][:1]
    plan = ShufflePlan(20, np.random.default_rng(0).permutation(num_rows))
    alike = measure_loss_increase(
        model, weighing(model, torch.full((num_rows,), 3.0)), groups, plan
    )
    rows = model.parts["train"].encoded
    bare = Rows(rows.inputs, {"target": rows.targets["target"]}, num_rows)
    plain = measure_loss_increase(model, bare, groups, plan)
    for name in ("loss", "mean", "reach"):
        assert getattr(alike, name) == pytest.approx(getattr(plain, name), rel=1e-6)
    # Rows of next to no weight say next to nothing.
    half = num_rows // 2
    is_first = torch.arange(num_rows) < half
    light = weighing(model, torch.where(is_first, 1.0, 1e-9))
    every = ShufflePlan(num_rows - 1, np.arange(num_rows))  # each row takes from all others
    found = measure_loss_increase(model, light, groups, every)
    of_first = measure_loss_increase(
        model, bare.head(half), groups, ShufflePlan(half - 1, np.arange(half))
    )
    assert found.loss == pytest.approx(of_first.loss, rel=1e-5)
    assert found.mean == pytest.approx(of_first.mean, rel=1e-4)


def test_partial_dependence_is_a_weighted_mean(tmp_path: Path) -> None:
    curves = []
    for model in models("regression", tmp_path):
        found = measure_partial_dependence(model, ["kind"])
        assert isinstance(found, PartialDependence)
        assert len(found.sample) == found.sample.num_held
        by_label = dict(zip(found.columns[0].grid, found.columns[0].mean[:, 0], strict=True))
        curves.append([by_label[label] for label in ("red", "green", "blue", "grey")])
    assert curves[0] == pytest.approx(curves[1], rel=1e-5)
