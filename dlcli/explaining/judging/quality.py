"""How good a network is on rows that it did not learn from, and where it is not."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from dlcli.data.fields import Arrays
from dlcli.data.target import ClassTarget, NumberTarget, metrics_of
from dlcli.errors import DivergedError
from dlcli.explaining.constant_baseline import class_weights_of
from dlcli.explaining.explained_model import ExplainedModel, ExplainedRows
from dlcli.explaining.judging.baselines import LinearModel, fit_logistic, fit_ridge
from dlcli.explaining.judging.bootstrap import Estimate, Predictions, bootstrap, estimate
from dlcli.explaining.judging.calibration import (
    Reliability,
    TemperatureScaling,
    chance_error,
    measure_reliability,
    scale_temperature,
)
from dlcli.explaining.judging.curves import ClassCurves, Trend, class_curves, running_median
from dlcli.explaining.judging.largest_errors import LargestErrors, find_largest_errors
from dlcli.losses import Loss
from dlcli.seeds import derive_seed
from dlcli.training.evaluation import compute_outputs
from dlcli.training.metrics import confusion_matrix, score, to_answers
from dlcli.training.objective import build_objective
from dlcli.training.rows.batches import Rows

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
    outputs = compute_outputs(subject.network, rows.encoded.inputs, subject.placement)
    if not outputs.isfinite().all():
        raise DivergedError("the network's answers are not finite numbers")
    return outputs.double()


def _predictions(subject: ExplainedModel, rows: ExplainedRows, outputs: Tensor) -> Predictions:
    """Return what outputs like the network's, float64 [rows, outputs] on the CPU, mean."""
    targets = subject.targets(rows.encoded).cpu()
    targets = targets.double() if targets.is_floating_point() else targets
    # Not on the network's device, of which not every kind has float64.
    objective = build_objective(subject.loss, subject.target, torch.device("cpu"))
    losses = objective.each(outputs, targets).double() * subject.loss_unit
    return Predictions(to_answers(outputs, subject.loss, subject.target), losses.numpy())


def _figures(
    subject: ExplainedModel, rows: ExplainedRows, predictors: list[Predictions]
) -> tuple[Figure, ...]:
    names = metrics_of(subject.target)
    truth = subject.truth(rows.encoded)
    encoded = subject.targets(rows.encoded).cpu().numpy()
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
    """Return the constant baseline: the classes' frequencies, or the number that fits the loss.

    The losses are those of the outputs with the lowest training loss, class weights included.
    """
    loss = subject.loss
    encoded = subject.targets(subject.parts["train"].encoded).cpu().numpy()
    values, counts = subject.target.training_values(encoded)
    weights = class_weights_of(subject.objective)
    plain, weighted = (
        _predictions(subject, rows, torch.tensor(outputs).expand(len(rows), -1))
        for outputs in (
            loss.best_constant(values, counts),
            loss.best_constant(values, counts, weights),
        )
    )
    return Predictions(plain.answers, weighted.losses)


def _fit_linear(subject: ExplainedModel) -> LinearModel:
    rows = subject.parts["train"].encoded
    inputs, targets = _arrays(rows), subject.targets(rows).cpu().numpy()
    seed = derive_seed(subject.seed, "quality", "linear model")
    num_classes = len(subject.target.class_names)
    if not num_classes:
        return fit_ridge(inputs, targets, seed)
    weights = class_weights_of(subject.objective)
    return fit_logistic(
        inputs,
        targets,
        seed,
        class_weights=np.ones(num_classes) if weights is None else weights,
        smoothing=subject.loss.smoothing,
    )


def _arrays(rows: Rows) -> Arrays:
    return {name: tensor.cpu().numpy() for name, tensor in rows.inputs.items()}


def _linear_outputs(subject: ExplainedModel, linear: LinearModel, rows: ExplainedRows) -> Tensor:
    outputs = linear.outputs(_arrays(rows.encoded))
    return torch.from_numpy(subject.loss.to_outputs(outputs))


def _class_quality(
    subject: ExplainedModel, part: str, outputs: Tensor, truth: np.ndarray
) -> ClassQuality:
    answers = to_answers(outputs, subject.loss, subject.target)
    curves, areas = class_curves(answers, truth)
    validation = subject.parts.get("validation")
    mending = None
    if validation:
        logits = subject.loss.class_logits(_outputs(subject, validation))
        mending = scale_temperature(
            (logits, subject.truth(validation.encoded)),
            (subject.loss.class_logits(outputs), truth),
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
