"""How good a network is on rows that it did not learn from, and where it is not."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from dlcli.config.objectives import (
    BinaryCrossEntropy,
    CrossEntropy,
    Huber,
    Loss,
    MeanAbsoluteError,
)
from dlcli.data.target import ClassTarget, NumberTarget, metrics_of
from dlcli.errors import DivergedError
from dlcli.explaining.explained_model import ExplainedModel, ExplainedRows
from dlcli.explaining.judging.baselines import LinearModel, fit_logistic, fit_ridge
from dlcli.explaining.judging.bootstrap import Estimate, Predictions, bootstrap, estimate
from dlcli.explaining.judging.calibration import (
    Reliability,
    TemperatureScaling,
    chance_error,
    measure_reliability,
    scale_temperature,
    to_logits,
)
from dlcli.explaining.judging.curves import ClassCurves, Trend, class_curves, running_median
from dlcli.explaining.judging.largest_errors import LargestErrors, find_largest_errors
from dlcli.seeds import derive_seed
from dlcli.training.evaluation import compute_outputs
from dlcli.training.losses import build_objective
from dlcli.training.metrics import confusion_matrix, score, to_answers

_LOWER_IS_BETTER = ("loss", "rmse", "mae")


@dataclass(frozen=True)
class Figure:
    """One figure of the network and of what it is held against, on the same rows."""

    name: str
    network: Estimate
    linear: Estimate
    trivial: Estimate
    over_linear: Estimate  # by how much the network is better: above 0
    over_trivial: Estimate


@dataclass(frozen=True)
class ClassQuality:
    """Where classes are mistaken, and whether probabilities are what they say."""

    confusion: np.ndarray  # [true classes, given classes], rows
    areas: np.ndarray  # [classes], under the ROC curve; NaN where the rows define none
    curves: tuple[ClassCurves, ...]  # the lowest area first, the mean over all classes last
    reliability: Reliability
    chance_error: float  # up to which a calibration error may be chance
    mending: TemperatureScaling | None  # by the validation rows; None without any


@dataclass(frozen=True)
class NumberQuality:
    """Numbers and what was said of them, in the target's units."""

    truth: np.ndarray  # [rows]
    answers: np.ndarray  # [rows]
    trend: Trend | None  # of true less predicted against predicted


@dataclass(frozen=True)
class Quality:
    """How good a network is."""

    part: Literal["test", "validation", "train"]
    num_rows: int
    num_train: int  # rows that the network learned from, as far as they are known
    loss: Loss
    target: ClassTarget | NumberTarget
    figures: tuple[Figure, ...]  # the headline first, the loss last
    linear: LinearModel
    details: ClassQuality | NumberQuality
    errors: LargestErrors


def examine_quality(subject: ExplainedModel) -> Quality:
    """Hold a network's answers to the held-out rows against the truth and simpler predictors.

    Without held-out rows the training rows are taken. Raises DivergedError where the network's
    answers are not finite.
    """
    part: Literal["test", "validation", "train"] = "train"
    if subject.held_out is not None:
        part = "test" if subject.parts.get("test") else "validation"
    rows = subject.parts[part]
    outputs = _outputs(subject, rows)
    truth = subject.truth(rows.encoded)
    linear = _fit_linear(subject)
    network = _predictions(subject, rows, outputs)
    by_line = _predictions(subject, rows, _linear_outputs(subject, linear, rows))
    return Quality(
        part=part,
        num_rows=len(rows),
        num_train=sum(subject.target.counts)
        if isinstance(subject.target, ClassTarget)
        else len(subject.parts["train"]),
        loss=subject.loss,
        target=subject.target,
        figures=_figures(subject, rows, [network, by_line, _trivial(subject, rows)]),
        linear=linear,
        details=_class_quality(subject, part, outputs, truth)
        if isinstance(subject.target, ClassTarget)
        else _number_quality(network.answers, truth),
        errors=find_largest_errors(rows, network, truth, subject.fitted),
    )


def _outputs(subject: ExplainedModel, rows: ExplainedRows) -> Tensor:
    outputs = compute_outputs(subject.network, rows.encoded.features, subject.placement)
    if not outputs.isfinite().all():
        raise DivergedError("the network's answers are not finite numbers")
    return outputs.double()


def _predictions(subject: ExplainedModel, rows: ExplainedRows, outputs: Tensor) -> Predictions:
    """Return what outputs like the network's, float64 [rows, outputs] on the CPU, mean."""
    targets = rows.encoded.targets.cpu()
    targets = targets.double() if targets.is_floating_point() else targets
    # Not on the network's device, of which not every kind has float64.
    objective = build_objective(subject.loss, subject.target, torch.device("cpu"))
    losses = objective.each(outputs, targets).double() * subject.loss_unit
    return Predictions(to_answers(outputs, subject.loss, subject.target), losses.numpy())


def _figures(
    subject: ExplainedModel, rows: ExplainedRows, predictors: list[Predictions]
) -> tuple[Figure, ...]:
    names = metrics_of(subject.target)
    truth, encoded = subject.truth(rows.encoded), rows.encoded.targets.cpu().numpy()
    seed = derive_seed(subject.seed, "quality", "bootstrap")
    resampled = bootstrap(predictors, truth, names, seed)
    values = [
        {
            **score(own.answers, encoded, subject.target, names),
            "loss": float(own.losses.mean()),
        }
        for own in predictors
    ]
    found = []
    for name in (*names, "loss"):
        sign = -1 if name in _LOWER_IS_BETTER else 1
        own = [
            estimate(value[name], some[name]) for value, some in zip(values, resampled, strict=True)
        ]
        ahead = []
        for value, some in zip(values[1:], resampled[1:], strict=True):
            first, second = values[0][name], value[name]
            gap = None if first is None or second is None else sign * (first - second)
            ahead.append(estimate(gap, sign * (resampled[0][name] - some[name])))
        found.append(Figure(name, *own, *ahead))
    return tuple(found)


def _trivial(subject: ExplainedModel, rows: ExplainedRows) -> Predictions:
    """Return one answer for all rows: the classes' shares, or the number that fits the loss.

    The losses are those of the answer that makes the training loss least, class weights included.
    """
    target, num_rows = subject.target, len(rows)
    if isinstance(target, ClassTarget):
        shares = np.array(target.counts) / sum(target.counts)
        weights, smoothing = _class_weights(subject)
        mass = shares * weights
        mass = (1 - smoothing) * mass + smoothing * mass.mean()
        outputs = _as_outputs(subject.loss, np.tile(np.log(mass), (num_rows, 1)))
        own = _predictions(subject, rows, outputs)
        return Predictions(np.tile(shares, (num_rows, 1)), own.losses)
    targets = subject.parts["train"].encoded.targets.cpu().numpy().astype(np.float64)
    outputs = torch.full((num_rows, 1), _best_constant(targets, subject.loss), dtype=torch.float64)
    return _predictions(subject, rows, outputs)


def _best_constant(targets: np.ndarray, loss: Loss) -> float:
    median, mean = float(np.median(targets)), float(targets.mean())
    if isinstance(loss, MeanAbsoluteError):
        return median
    if not isinstance(loss, Huber) or median == mean:
        return mean
    from scipy.optimize import minimize_scalar

    def mean_loss(answer: float) -> float:
        inner = np.clip(targets - answer, -loss.delta, loss.delta)
        return float((inner * (targets - answer - inner / 2)).mean())

    bounds = sorted((median, mean))
    return float(minimize_scalar(mean_loss, bounds=bounds, method="bounded").x)


def _fit_linear(subject: ExplainedModel) -> LinearModel:
    rows = subject.parts["train"].encoded
    features, targets = rows.features.cpu().numpy(), rows.targets.cpu().numpy()
    num_dense = subject.fitted.signature().num_dense
    seed = derive_seed(subject.seed, "quality", "linear model")
    if isinstance(subject.target, NumberTarget):
        return fit_ridge(features, targets, num_dense, seed)
    weights, smoothing = _class_weights(subject)
    return fit_logistic(
        features, targets, num_dense, seed, class_weights=weights, smoothing=smoothing
    )


def _linear_outputs(subject: ExplainedModel, linear: LinearModel, rows: ExplainedRows) -> Tensor:
    outputs = linear.outputs(rows.encoded.features.cpu().numpy())
    return _as_outputs(subject.loss, outputs)


def _as_outputs(loss: Loss, outputs: np.ndarray) -> Tensor:
    """Return logits of classes, or numbers, as the loss wants a network's outputs."""
    if isinstance(loss, BinaryCrossEntropy):
        outputs = outputs[:, 1:] - outputs[:, :1]
    return torch.from_numpy(outputs)


def _class_weights(subject: ExplainedModel) -> tuple[np.ndarray, float]:
    """Return the factors of the classes' losses, and the label smoothing."""
    loss, target = subject.loss, subject.target
    assert isinstance(loss, BinaryCrossEntropy | CrossEntropy), "it is of classes"
    assert isinstance(target, ClassTarget), "as its loss is"
    weights = subject.objective.class_weights
    if weights is None:
        return np.ones(len(target.classes)), loss.label_smoothing
    return weights.cpu().double().numpy(), loss.label_smoothing


def _class_quality(
    subject: ExplainedModel, part: str, outputs: Tensor, truth: np.ndarray
) -> ClassQuality:
    answers = to_answers(outputs, subject.loss, subject.target)
    curves, areas = class_curves(answers, truth)
    validation = subject.parts.get("validation")
    mending = None
    if validation:
        logits = to_logits(_outputs(subject, validation), subject.loss)
        mending = scale_temperature(
            (logits, subject.truth(validation.encoded)),
            (to_logits(outputs, subject.loss), truth),
            is_on_same_rows=part == "validation",
        )
    return ClassQuality(
        confusion=np.array(confusion_matrix(answers, truth)),
        areas=areas,
        curves=curves,
        reliability=measure_reliability(answers, truth),
        chance_error=chance_error(answers, derive_seed(subject.seed, "quality", "calibration")),
        mending=mending,
    )


def _number_quality(answers: np.ndarray, truth: np.ndarray) -> NumberQuality:
    return NumberQuality(truth, answers, running_median(answers, truth - answers))
