"""The loss of several targets: a weighted sum of means over the rows that have each."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from dlcli.losses import AnyLoss
from dlcli.losses.classification import CrossEntropy
from dlcli.losses.regression import MeanSquaredError
from dlcli.losses.several_losses import SeveralLosses
from dlcli.targets.class_target import ClassTarget
from dlcli.targets.number_target import NumberTarget
from dlcli.targets.several_targets import SeveralTargets
from dlcli.training.objective import build_objective

CLASSES = ClassTarget(
    name="kind", classes=("a", "b", "c"), counts=(6, 3, 3), label_type="text", weights=None
)
NUMBER = NumberTarget(name="size", center=5.0, scale=2.0)
NAN = float("nan")
KINDS = torch.tensor([0.0, 1.0, 2.0, NAN, 0.0, 0.0, NAN, 1.0])
SIZES = torch.tensor([0.5, NAN, -1.0, 2.0, NAN, 1.0, 0.3, NAN])
ENCODED = torch.stack([KINDS, SIZES], dim=1)
WEIGHTS = {"kind": 2.0, "size": 0.5}
CPU = torch.device("cpu")


def several(class_weights: str | None = None) -> tuple[SeveralTargets, SeveralLosses]:
    shares = [(~column.isnan()).double().mean().item() for column in (KINDS, SIZES)]
    target = SeveralTargets.of([CLASSES, NUMBER], shares)
    kinds = CrossEntropy.model_validate({"type": "cross_entropy", "class_weights": class_weights})
    losses: dict[str, AnyLoss] = {"kind": kinds, "size": MeanSquaredError(type="mse")}
    return target, SeveralLosses.of(target, losses, WEIGHTS)


@pytest.fixture
def outputs() -> Tensor:
    return torch.randn(len(ENCODED), 4, generator=torch.Generator().manual_seed(0))


def by_hand(outputs: Tensor, class_weights: Tensor | None = None) -> Tensor:
    with_kind, with_size = ~KINDS.isnan(), ~SIZES.isnan()
    kinds = KINDS[with_kind].long()
    each = torch.nn.functional.cross_entropy(outputs[with_kind, :3], kinds, reduction="none")
    each = each if class_weights is None else each * class_weights[kinds]
    return 2.0 * each.mean() + 0.5 * ((outputs[with_size, 3] - SIZES[with_size]) ** 2).mean()


@pytest.mark.parametrize("class_weights", [None, "balanced"])
def test_the_mean_over_all_rows_is_the_weighted_sum_of_means(
    outputs: Tensor, class_weights: str | None
) -> None:
    target, loss = several(class_weights)
    objective = build_objective(loss, target, CPU)
    weights = None if class_weights is None else torch.tensor([12 / 18, 12 / 9, 12 / 9])
    assert objective(outputs, ENCODED).item() == pytest.approx(by_hand(outputs, weights).item())


@pytest.mark.parametrize("cuts", [(3, 6), (1, 2), (4, 7)])
def test_a_row_counts_alike_in_every_batch(outputs: Tensor, cuts: tuple[int, int]) -> None:
    target, loss = several()
    objective = build_objective(loss, target, CPU)
    bounds = [0, *cuts, len(outputs)]
    total = sum(
        objective(outputs[start:end], ENCODED[start:end]) * (end - start) / len(outputs)
        for start, end in pairwise(bounds)
    )
    assert float(total) == pytest.approx(by_hand(outputs).item())


def test_the_loss_reported_of_other_rows_is_by_their_shares(outputs: Tensor) -> None:
    target, _ = several()
    losses: dict[str, AnyLoss] = {
        "kind": CrossEntropy(type="cross_entropy"),
        "size": MeanSquaredError(type="mse"),
    }
    other = target.model_copy(update={"shares": (0.3, 0.9)})
    loss = SeveralLosses.of(other, losses, WEIGHTS).on(ENCODED, None)
    assert loss.mean(outputs, ENCODED).item() == pytest.approx(by_hand(outputs).item())


def test_a_missing_target_has_no_gradient_and_the_others_have_theirs(outputs: Tensor) -> None:
    target, loss = several()
    outputs.requires_grad_()
    build_objective(loss, target, CPU)(outputs, ENCODED).backward()  # type: ignore[no-untyped-call]
    assert outputs.grad is not None
    assert not outputs.grad[KINDS.isnan(), :3].any()
    assert not outputs.grad[SIZES.isnan(), 3].any()
    assert outputs.grad[~KINDS.isnan(), :3].all()
    assert outputs.grad[~SIZES.isnan(), 3].all()


def test_the_best_constants_are_those_of_each_target() -> None:
    target, loss = several()
    values, counts = target.training_values(ENCODED.numpy())
    constant = loss.best_constant(values, counts)
    frequencies = np.exp(constant[:3]) / np.exp(constant[:3]).sum()
    assert frequencies == pytest.approx([0.5, 0.25, 0.25])
    assert constant[3] == pytest.approx(np.nanmean(SIZES.numpy()))
    expected = 2 * 1.5 * np.log(2) + 0.5 * np.nanvar(SIZES.numpy())
    assert loss.best_constant_loss(values, counts) == pytest.approx(expected)


def test_predictions_are_side_by_side_and_members_have_a_mean(outputs: Tensor) -> None:
    target, loss = several()
    predicted = target.to_target_units(loss.predictions(outputs))
    assert predicted[:, :3] == pytest.approx(outputs[:, :3].double().softmax(1).numpy())
    assert predicted[:, 3] == pytest.approx(outputs[:, 3].numpy() * 2 + 5)
    names = [column.name for column in target.prediction_columns(predicted)]
    assert names == [
        *("prediction_kind", "probability_kind_a", "probability_kind_b", "probability_kind_c"),
        "prediction_size",
    ]
    members = torch.stack([outputs, outputs.flip(0)], dim=1)
    mean = loss.predictions(loss.mean_of_members(members))
    alone = [loss.predictions(members[:, index]) for index in range(2)]
    assert mean == pytest.approx(sum(alone) / 2, rel=1e-5)
