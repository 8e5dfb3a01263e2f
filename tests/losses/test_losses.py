"""Each loss against its formula, finite differences, minimisation, and its own other answers."""

from typing import Any, get_args

import numpy as np
import pytest
import torch
from scipy import optimize
from torch.nn import functional as F

from dlcli.config.reference import reference_page
from dlcli.config.schema import json_schema
from dlcli.explaining.constant_baseline import constant_baseline_loss
from dlcli.layers.activations import ACTIVATIONS
from dlcli.losses import LOSSES, Loss, default_loss, losses_for
from dlcli.section import type_of
from dlcli.targets.base import Target
from dlcli.targets.task import Task
from dlcli.training.objective import Objective, build_objective
from tests.losses.examples import (
    CLASSES,
    EVERY_LOSS,
    EVERY_LOSS_AND_TASK,
    LABELS,
    NUMBER,
    PAIR,
    SIZES,
    loss_of,
)

CPU = torch.device("cpu")


def objective_of(spec: dict[str, Any], target: Target) -> Objective:
    return build_objective(loss_of(spec), target, CPU)


def batch(target: Target, loss: Loss) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    num_classes = len(target.score_names)
    width = loss.num_outputs(num_classes or None)
    outputs = torch.randn(7, width, generator=generator, dtype=torch.float64)
    if target.has_labels:
        return outputs, (torch.arange(7)[:, None] + torch.arange(num_classes)) % 3 % 2
    if num_classes:
        return outputs, torch.arange(7) % num_classes
    return outputs, torch.randn(7, generator=generator, dtype=torch.float64)


def training_rows(target: Target) -> torch.Tensor:
    """Return encoded targets as often as the target counts them."""
    if target.has_labels:
        return (torch.arange(8)[:, None] < torch.tensor(target.score_totals)).to(torch.uint8)
    if not target.class_names:
        return torch.tensor([-1.0, -0.5, -0.5, 0.0, 0.1, 0.2, 4.0, 9.0], dtype=torch.float64)
    counts = torch.tensor(target.class_counts)
    return torch.repeat_interleave(torch.arange(len(counts)), counts)


@pytest.mark.parametrize(("spec", "target"), EVERY_LOSS_AND_TASK)
def test_gradients_are_those_of_finite_differences(spec: dict[str, Any], target: Target) -> None:
    objective = objective_of(spec, target)
    outputs, targets = batch(target, objective.loss)
    for function in (objective, objective.each):
        assert torch.autograd.gradcheck(
            lambda x, function=function: function(x, targets), (outputs.requires_grad_(),)
        )


@pytest.mark.parametrize(("spec", "target"), EVERY_LOSS_AND_TASK)
def test_the_loss_is_a_mean_over_examples_however_they_are_batched(
    spec: dict[str, Any], target: Target
) -> None:
    objective = objective_of(spec, target)
    outputs, targets = batch(target, objective.loss)
    each = [objective(outputs[row : row + 1], targets[row : row + 1]).item() for row in range(7)]
    assert objective(outputs, targets).item() == pytest.approx(np.mean(each), rel=1e-12)
    assert objective.each(outputs, targets).numpy() == pytest.approx(np.array(each), rel=1e-12)


@pytest.mark.parametrize(("spec", "target"), EVERY_LOSS_AND_TASK)
def test_no_constant_is_better_than_the_best_constant(spec: dict[str, Any], target: Target) -> None:
    objective, rows = objective_of(spec, target), training_rows(target)
    found = constant_baseline_loss(objective, target, rows)
    width = objective.loss.num_outputs(len(target.score_names) or None)

    def mean_loss(outputs: np.ndarray) -> float:
        return float(objective(torch.tensor(outputs).expand(len(rows), width), rows))

    # Along one output after the other, where each has its own best.
    method = "Powell" if hasattr(objective.loss, "quantiles") else "Nelder-Mead"
    tolerance = "ftol" if method == "Powell" else "fatol"
    best = optimize.minimize(
        mean_loss, np.full(width, 0.01), method=method, options={tolerance: 1e-9}
    )
    assert found <= float(best.fun) * objective.unit * (1 + 1e-9)
    assert found == pytest.approx(float(best.fun) * objective.unit, rel=1e-4)
    values, counts = target.training_values(rows.numpy())
    weights = objective.class_weights
    constant = objective.loss.best_constant(
        values, counts, None if weights is None else weights.double().numpy()
    )
    assert mean_loss(constant) * objective.unit == pytest.approx(found, rel=1e-6)


@pytest.mark.parametrize(("spec", "target"), EVERY_LOSS_AND_TASK)
def test_counts_stand_for_repeated_targets(spec: dict[str, Any], target: Target) -> None:
    loss = loss_of(spec)
    rows = training_rows(target).numpy()
    values, counts = np.unique(rows, return_counts=True, axis=0)
    assert loss.best_constant(values, counts) == pytest.approx(loss.best_constant(rows), rel=1e-9)


@pytest.mark.parametrize(("spec", "target"), EVERY_LOSS_AND_TASK)
def test_predictions_logits_and_log_odds_say_the_same(spec: dict[str, Any], target: Target) -> None:
    loss = loss_of(spec)
    outputs, _ = batch(target, loss)
    predictions = loss.predictions(outputs)
    if not target.score_names:
        place = getattr(loss, "quantiles", (0.5,)).index(0.5)  # of several outputs, the median
        assert predictions.tolist() == outputs[:, place].tolist()
        assert (loss.to_outputs(predictions[:, None]) == predictions[:, None]).all()
        with pytest.raises(ValueError, match="numbers have no"):
            loss.log_odds(outputs)
        with pytest.raises(ValueError, match="numbers have no"):
            loss.class_logits(outputs)
        return
    if target.has_labels:
        assert predictions == pytest.approx(outputs.sigmoid().numpy())
        assert loss.outputs_of(predictions) == pytest.approx(outputs.numpy())
        assert loss.log_odds(outputs) == pytest.approx(outputs.numpy(), rel=1e-6)
        with pytest.raises(ValueError, match="labels have no"):
            loss.class_logits(outputs)
        return
    assert predictions.shape == (7, len(target.class_names))
    assert predictions.sum(axis=1) == pytest.approx(1.0)
    logits = loss.class_logits(outputs)
    assert torch.tensor(logits).softmax(1).numpy() == pytest.approx(predictions)
    assert loss.to_outputs(logits) == pytest.approx(outputs.numpy())
    scored = predictions[:, 1:] if len(target.class_names) == 2 else predictions
    odds = np.log(scored / (1 - scored))
    assert loss.log_odds(outputs) == pytest.approx(odds, rel=1e-5)
    assert loss.log_odds(outputs).dtype == np.float32


@pytest.mark.parametrize("task", get_args(Task))
def test_each_task_has_a_default_loss(task: Task) -> None:
    assert default_loss(task).type == type_of(losses_for(task)[0])
    assert losses_for(task)


@pytest.mark.parametrize("spec", ["mse", "mae", "huber"])
def test_the_loss_of_several_numbers_is_the_mean_of_theirs(spec: str) -> None:
    loss = loss_of({"type": spec})
    outputs, targets = torch.randn(2, 5, 3, dtype=torch.float64)
    single = [loss.each(outputs[:, [i]], targets[:, i]) for i in range(3)]
    assert torch.allclose(loss.each(outputs, targets), torch.stack(single).mean(0))
    assert torch.allclose(loss.mean(outputs, targets), torch.stack(single).mean())
    values = targets.numpy()
    expected = [loss.best_constant(values[:, i])[0] for i in range(3)]
    assert loss.best_constant(values).tolist() == expected
    assert loss.num_outputs(None, 3) == 3


def test_bounds_are_the_outer_quantiles_in_order_where_they_cross() -> None:
    loss = loss_of({"type": "quantile", "quantiles": [0.1, 0.5, 0.9]})
    outputs = torch.tensor([[1.0, 10.0, 2.0, 20.0, 3.0, 15.0]])  # of two numbers
    assert loss.predictions(outputs).tolist() == [[2.0, 20.0]]
    bounds = loss.bounds(outputs)
    assert bounds is not None
    assert [some.tolist() for some in bounds] == [[[1.0, 10.0]], [[3.0, 20.0]]]


def test_the_default_losses_are_those_of_the_reference() -> None:
    defaults = {task: default_loss(task).type for task in get_args(Task)}
    assert defaults == {
        "binary": "binary_cross_entropy",
        "multiclass": "cross_entropy",
        "multilabel": "multilabel_cross_entropy",
        "ordinal": "corn",
        "regression": "mse",
        "forecast": "mse",
    }


@pytest.mark.parametrize("loss", LOSSES)
def test_each_loss_is_in_the_schema_and_on_the_reference_page(loss: type[Loss]) -> None:
    definitions = json_schema()["$defs"]
    about = definitions[loss.__name__]
    assert about["properties"]["type"]["const"] == type_of(loss)
    page = reference_page()
    assert f"### `{type_of(loss)}`\n\n{about['description']}" in page
    for key in loss.model_fields:
        assert key == "type" or about["properties"][key]["description"] in page


@pytest.mark.parametrize(("spec", "target"), EVERY_LOSS)
def test_losses_have_words(spec: dict[str, Any], target: Target) -> None:
    loss = loss_of(spec)
    assert loss.title
    assert loss.best_constant_text
    assert (
        loss.unit_name("price").startswith("nats")
        if target.score_names
        else "price" in (loss.unit_name("price"))
    )
    told = list(loss.calibration_notes())
    assert len(told) == ("_weights" in str(spec)) + ("label_smoothing" in spec)


@pytest.mark.parametrize("loss", LOSSES)
def test_what_a_loss_applies_itself_gives_probabilities(loss: type[Loss]) -> None:
    activation = loss_of({"type": type_of(loss)}).activation
    assert activation is None or ACTIVATIONS[activation].gives_probabilities


def test_losses_have_the_values_of_their_formulas() -> None:
    z, y = torch.tensor([[0.3], [-1.2]]), torch.tensor([1, 0])
    p = torch.sigmoid(z[:, 0])
    binary = objective_of({"type": "binary_cross_entropy"}, PAIR)
    expected = -(torch.log(p[0]) + torch.log(1 - p[1])) / 2
    assert binary(z, y).item() == pytest.approx(expected.item())

    smooth = objective_of({"type": "binary_cross_entropy", "label_smoothing": 0.2}, PAIR)
    truth = torch.tensor([0.9, 0.1])
    expected = -(truth * torch.log(p) + (1 - truth) * torch.log(1 - p)).mean()
    assert smooth(z, y).item() == pytest.approx(expected.item())

    logits, classes = torch.tensor([[1.0, 2.0, -1.0], [0.0, 0.5, 0.2]]), torch.tensor([1, 0])
    weighted = objective_of({"type": "cross_entropy", "class_weights": {"b": 3.0}}, CLASSES)
    each = -torch.log_softmax(logits, 1)[[0, 1], [1, 0]]
    assert weighted(logits, classes).item() == pytest.approx(((3 * each[0] + each[1]) / 2).item())


def test_corn_has_the_value_of_its_papers_formula() -> None:
    """Equation 5 of Shi, Cao and Raschka 2021, a sum over the rows that reach each rank."""
    outputs = torch.tensor([[0.3, -1.0], [2.0, 0.5], [-0.4, 1.5], [1.0, 3.0]], dtype=torch.float64)
    truth = torch.tensor([0, 1, 2, 2])
    total, num_losses = 0.0, 0
    for rank in (0, 1):
        is_in = truth >= rank  # the rank's conditional training subset
        chances = outputs[is_in, rank].sigmoid()
        is_higher = truth[is_in] > rank
        total -= torch.where(is_higher, chances.log(), (1 - chances).log()).sum().item()
        num_losses += len(chances)
    assert num_losses == 7
    corn = objective_of({"type": "corn"}, SIZES)
    assert corn(outputs, truth).item() == pytest.approx(total / len(truth), rel=1e-12)
    reached = outputs.sigmoid().cumprod(1)  # equation 4: P(y > r_k)
    assert 1 - corn.loss.predictions(outputs).cumsum(1)[:, :2] == pytest.approx(reached.numpy())


def test_the_probabilities_of_corn_are_valid_for_any_outputs() -> None:
    outputs = torch.tensor([[50.0, -50.0], [-90.0, 90.0], [3e4, 3e4], [-3e4, 3e4]])
    found = loss_of({"type": "corn"}).predictions(outputs)
    assert (found >= 0).all()
    assert found.sum(axis=1) == pytest.approx(1.0, abs=1e-15)


def test_the_loss_of_labels_is_pytorchs_with_pos_weight() -> None:
    outputs, truth = batch(LABELS, loss_of({"type": "multilabel_cross_entropy"}))
    for weights, factors in (({"b": 3.0}, [1.0, 3.0]), ("balanced", [3.0, 1 / 3])):
        spec = {"type": "multilabel_cross_entropy", "label_weights": weights}
        expected = F.binary_cross_entropy_with_logits(
            outputs, truth.double(), pos_weight=torch.tensor(factors, dtype=torch.float64)
        )
        assert objective_of(spec, LABELS)(outputs, truth).item() == pytest.approx(expected.item())


def test_smoothed_labels_have_torchs_meaning_for_two_classes_and_for_more() -> None:
    z, y = torch.tensor([[0.3], [-1.2]]), torch.tensor([1, 0])
    logits = torch.cat([torch.zeros_like(z), z], dim=1)
    expected = F.cross_entropy(logits, y, label_smoothing=0.2).item()
    for spec, outputs in (("binary_cross_entropy", z), ("cross_entropy", logits)):
        smooth = objective_of({"type": spec, "label_smoothing": 0.2}, PAIR)
        assert smooth(outputs, y).item() == pytest.approx(expected)


def test_balanced_weights_give_every_class_the_same_sum() -> None:
    weights = objective_of({"type": "cross_entropy", "class_weights": "balanced"}, CLASSES)
    assert weights.class_weights is not None
    assert torch.allclose(weights.class_weights * torch.tensor([1, 2, 5]), torch.full((3,), 8 / 3))


@pytest.mark.parametrize(("name", "unit"), [("mse", 16.0), ("mae", 4.0), ("huber", 16.0)])
def test_losses_are_reported_in_the_targets_units(name: str, unit: float) -> None:
    """huber(scale·r; scale·delta) = scale²·huber(r; delta), so its unit is squared as mse's is."""
    objective = objective_of({"type": name}, NUMBER)
    assert objective.unit == unit
    outputs, targets = batch(NUMBER, objective.loss)
    inside = objective(outputs, targets) * unit
    outside = {
        "mse": lambda x, y: F.mse_loss(x, y),
        "mae": lambda x, y: F.l1_loss(x, y),
        "huber": lambda x, y: F.huber_loss(x, y, delta=4.0),
    }[name](outputs[:, 0] * 4 + 3, targets * 4 + 3)
    assert inside.item() == pytest.approx(outside.item())


def test_a_smoothed_loss_has_so_much_label_smoothing_or_more() -> None:
    spec = {"type": "cross_entropy", "label_smoothing": 0.02}
    assert loss_of(spec).smoothed(0.05).smoothing == 0.05
    assert loss_of(spec).smoothed(0.01).smoothing == 0.02
    numbers = loss_of({"type": "mse"})
    assert numbers.smoothed(0.05) == numbers
