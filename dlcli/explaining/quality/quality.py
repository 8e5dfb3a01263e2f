"""How good a network is on held-out rows, beside baselines, and where it errs."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dlcli.columns.base import Tokens
from dlcli.data.fields import Arrays, lengths_of
from dlcli.data.splits import PartName
from dlcli.errors import DivergedError
from dlcli.explaining.constant_baseline import class_weights_of
from dlcli.explaining.explained_model import ExplainedModel, ExplainedRows
from dlcli.explaining.quality.baselines import (
    LinearModel,
    fit_label_by_label,
    fit_logistic,
    fit_ridge,
)
from dlcli.explaining.quality.boosted_trees import BoostedTrees, fit_boosted_trees
from dlcli.explaining.quality.bootstrap import (
    Estimate,
    Predictions,
    affordable_resamples,
    bootstrap,
    estimate,
)
from dlcli.explaining.quality.calibration import (
    Reliability,
    TemperatureScaling,
    chance_error,
    measure_reliability,
    scale_temperature,
)
from dlcli.explaining.quality.curves import ClassCurves, Trend, class_curves, running_median
from dlcli.explaining.quality.largest_errors import LargestErrors, find_largest_errors
from dlcli.explaining.quality.summaries import summarise
from dlcli.explaining.quality.surest_images import SurestImages, find_surest_images
from dlcli.explaining.quality.thumbnails import thumbnails
from dlcli.explaining.unavailable import Unavailable
from dlcli.losses import Loss
from dlcli.metrics import is_higher_better, is_share, metrics_for
from dlcli.metrics.accumulator import compute_metrics
from dlcli.metrics.classification import ClassCounts
from dlcli.metrics.confusion import ConfusionCounts
from dlcli.metrics.roc_auc import ExactScores
from dlcli.metrics.rows import ScoredRows
from dlcli.seeds import derive_seed
from dlcli.targets.base import Target
from dlcli.training.evaluation import compute_outputs, to_predictions
from dlcli.training.objective import build_objective
from dlcli.training.rows.batches import Rows


@dataclass(frozen=True)
class MetricComparison:
    """A metric of the network and of the baselines, on the same rows."""

    name: str
    network: Estimate
    linear: Estimate
    constant: Estimate
    over_linear: Estimate  # difference, above 0 where the network is better
    over_constant: Estimate
    trees: Estimate | None = None  # gradient boosting; None: not compared
    over_trees: Estimate | None = None


@dataclass(frozen=True)
class ClassQuality:
    """Confusions, curves and calibration of a classifier."""

    confusion: np.ndarray  # [true classes, predicted classes], rows or their weight
    areas: np.ndarray  # [classes], under the ROC curve; NaN where undefined
    curves: tuple[ClassCurves, ...]  # the lowest area first, the mean over all classes last
    reliability: Reliability
    chance_error: float  # up to which a calibration error may be due to chance
    temperature_scaling: (
        TemperatureScaling | None
    )  # fitted on the validation rows; None without any


@dataclass(frozen=True)
class LabelQuality:
    """How well each label is recognised, [labels] each, of rows or their weight."""

    actual: np.ndarray  # that have the label
    predicted: np.ndarray
    right: np.ndarray  # that have it and are predicted to
    areas: np.ndarray  # under the ROC curve; NaN where undefined
    total: float  # of all rows


@dataclass(frozen=True)
class NumberQuality:
    """True and predicted numbers, in the target's units."""

    truth: np.ndarray  # [rows]
    predictions: np.ndarray  # [rows]
    trend: Trend | None  # of the residuals against the predictions
    weights: np.ndarray | None  # [rows]: how much each counts; None: once
    groups: np.ndarray | None  # [rows]: the number of each row's group; None: rows are independent


@dataclass(frozen=True)
class Quality:
    """How good a network is."""

    part: PartName
    weight: str | None  # the column that says how much each row counts
    group: str | None  # the column whose rows of one value are in one part
    num_groups: int | None  # that the rows are of; None where rows are no groups
    num_rows: int
    num_train: int  # training rows, as far as they are known
    loss: Loss
    target: Target
    metrics: tuple[MetricComparison, ...]  # the headline first, the loss last
    num_resamples: int  # that the intervals of metrics are from
    linear: LinearModel
    has_images: bool  # which that one gets as small ones
    trees: BoostedTrees | Unavailable | None  # None: left to the full page, which has the time
    details: ClassQuality | LabelQuality | NumberQuality
    errors: LargestErrors
    surest: SurestImages | None  # None: rows are no images, or have no classes


def assess_quality(
    model: ExplainedModel,
    *,
    seconds: float = math.inf,
    tree_seconds: float = 0.0,
    cuts_trees: bool = False,
) -> Quality:
    """Evaluate a network on the held-out rows, beside a linear, a constant and a tree baseline.

    Without held-out rows, training rows are used. Where the linear baseline and the intervals would
    take more than about so many seconds, they are of fewer rows, steps and resamples. Trees are
    compared where they take no more than `tree_seconds` of these; with `cuts_trees`, fewer and
    smaller ones where they would take more. Raises DivergedError where the
    network's predictions are not finite.
    """
    part = model.judged_part
    rows = model.parts[part]
    outputs = _outputs(model, rows)
    truth = model.truth(rows.encoded)
    trees = _fit_trees(model, tree_seconds, is_cut=cuts_trees)
    if isinstance(trees, BoostedTrees):
        seconds -= tree_seconds
    linear = _fit_linear(model, seconds / 2)
    num_resamples = affordable_resamples(len(rows), seconds / 2)
    # The temperature was found on the validation rows, and their figures are without it.
    temperature = None if part == "validation" else model.temperature
    network = _predictions(model, rows, model.loss.calibrated(outputs, temperature))
    predictors = [
        network,
        _predictions(model, rows, _baseline_outputs(model, linear, rows)),
        _constant_predictions(model, rows),
    ]
    if isinstance(trees, BoostedTrees):
        predictors.append(_predictions(model, rows, _baseline_outputs(model, trees, rows)))
    groups = model.groups_of(rows)
    return Quality(
        part=part,
        weight=model.fitted.weight,
        group=model.group,
        num_groups=None if groups is None else int(groups.max()) + 1,
        num_rows=len(rows),
        num_train=sum(model.target.class_counts) or len(model.parts["train"]),
        loss=model.loss,
        target=model.target,
        metrics=_compare_metrics(model, rows, predictors, groups, num_resamples),
        num_resamples=num_resamples,
        linear=linear,
        has_images=bool(model.fitted.file_columns),
        trees=trees,
        details=_details(model, part, outputs, truth, groups, network),
        errors=find_largest_errors(rows, network, truth, model.fitted),
        surest=find_surest_images(rows, network, truth, model.fitted)
        if model.target.class_names
        else None,
    )


def _outputs(model: ExplainedModel, rows: ExplainedRows) -> Tensor:
    outputs = rows.outputs
    if outputs is None:
        outputs = compute_outputs(model.network, rows.encoded.inputs, model.placement)
    if not outputs.isfinite().all():
        raise DivergedError("the network's predictions are not finite")
    return outputs.double()


def _predictions(model: ExplainedModel, rows: ExplainedRows, outputs: Tensor) -> Predictions:
    """Turn outputs, float64 [rows, outputs] on the CPU, into predictions and losses."""
    targets = model.targets(rows.encoded).cpu()
    targets = targets.double() if targets.is_floating_point() else targets
    # Not on the network's device: some devices have no float64.
    objective = build_objective(model.loss, model.target, torch.device("cpu"))
    losses = objective.each(outputs, targets).double() * model.loss_unit
    return Predictions(to_predictions(outputs, model.loss, model.target), losses.numpy())


def _compare_metrics(
    model: ExplainedModel,
    rows: ExplainedRows,
    predictors: list[Predictions],
    groups: np.ndarray | None,
    num_resamples: int,
) -> tuple[MetricComparison, ...]:
    metrics, truth = metrics_for(model.target.task), model.truth(rows.encoded)
    seed = derive_seed(model.seed, "quality", "bootstrap")
    weights = model.weights(rows.encoded)
    resampled = bootstrap(predictors, truth, metrics, seed, num_resamples, weights, groups)
    values = [
        {
            **compute_metrics(metrics, ScoredRows(predictor.values, truth), weights),
            "loss": float(np.average(predictor.losses, weights=weights)),
        }
        for predictor in predictors
    ]
    found = []
    for name in (*(metric.name for metric in metrics), "loss"):
        sign = 1 if is_higher_better(name) else -1
        estimates = [
            estimate(value[name], samples[name], is_share=is_share(name))
            for value, samples in zip(values, resampled, strict=True)
        ]
        ahead = []
        for value, samples in zip(values[1:], resampled[1:], strict=True):
            first, second = values[0][name], value[name]
            gap = None if first is None or second is None else sign * (first - second)
            ahead.append(estimate(gap, sign * (resampled[0][name] - samples[name])))
        trees = (estimates[3], ahead[2]) if len(predictors) > 3 else (None, None)
        found.append(MetricComparison(name, *estimates[:3], *ahead[:2], *trees))
    return tuple(found)


def _constant_predictions(model: ExplainedModel, rows: ExplainedRows) -> Predictions:
    """Return the constant baseline: the class frequencies, or the number that fits the loss.

    The losses are those of the outputs with the lowest training loss, class weights included.
    """
    loss = model.loss
    train = model.parts["train"].encoded
    encoded = model.targets(train).cpu().numpy()
    values, counts = model.target.training_values(encoded, model.weights(train))
    weights = class_weights_of(model.objective)
    plain, weighted = (
        _predictions(model, rows, torch.tensor(outputs).expand(len(rows), -1))
        for outputs in (
            loss.best_constant(values, counts),
            loss.best_constant(values, counts, weights),
        )
    )
    return Predictions(plain.values, weighted.losses)


def _fit_linear(model: ExplainedModel, seconds: float) -> LinearModel:
    rows = model.parts["train"].encoded
    inputs, targets = _arrays(model, rows), model.targets(rows).cpu().numpy()
    seed = derive_seed(model.seed, "quality", "linear model")
    num_classes = len(model.target.score_names)
    if not num_classes:
        return fit_ridge(inputs, targets, seed, model.weights(rows), seconds=seconds)
    weights = class_weights_of(model.objective)
    if model.target.has_labels:
        return fit_label_by_label(
            inputs,
            targets,
            seed,
            label_weights=np.ones(num_classes) if weights is None else weights,
            smoothing=model.loss.smoothing,
            weights=model.weights(rows),
            seconds=seconds,
        )
    return fit_logistic(
        inputs,
        targets,
        seed,
        class_weights=np.ones(num_classes) if weights is None else weights,
        smoothing=model.loss.smoothing,
        weights=model.weights(rows),
        seconds=seconds,
    )


def _fit_trees(
    model: ExplainedModel, seconds: float, *, is_cut: bool
) -> BoostedTrees | Unavailable | None:
    rows = model.parts["train"].encoded
    signature = model.plan.signature
    if signature.pixels or signature.sequences:
        what = "an image" if signature.pixels else "a sequence"
        return Unavailable(f"trees split by single columns, and {what} has none")
    if model.target.has_labels:
        return Unavailable("its trees predict one class of each row, not several labels")
    return fit_boosted_trees(
        model.fitted,
        _arrays(model, rows),
        model.targets(rows).cpu().numpy(),
        derive_seed(model.seed, "quality", "trees"),
        class_weights=class_weights_of(model.objective),
        weights=model.weights(rows),
        seconds=seconds,
        is_cut=is_cut,
    )


def _arrays(model: ExplainedModel, rows: Rows) -> Arrays:
    """Return the input fields, [rows, numbers] each: images small, sequences without an order."""
    signature = model.plan.signature
    arrays = {
        field.name: thumbnails(tensor) if tensor.dtype == torch.uint8 else tensor.cpu().numpy()
        for field in signature.inputs
        if not field.is_ragged
        for tensor in [rows.inputs[field.name]]
    }
    for one in signature.sequences:
        num_codes = one.num_codes if isinstance(one, Tokens) else None
        lengths = rows.inputs[lengths_of(one.field)]
        arrays[one.field] = summarise(rows.inputs[one.field], lengths, num_codes).cpu().numpy()
    return arrays


def _baseline_outputs(
    model: ExplainedModel, baseline: LinearModel | BoostedTrees, rows: ExplainedRows
) -> Tensor:
    outputs = baseline.outputs(_arrays(model, rows.encoded))
    return torch.from_numpy(model.loss.to_outputs(outputs))


def _details(
    model: ExplainedModel,
    part: PartName,
    outputs: Tensor,
    truth: np.ndarray,
    groups: np.ndarray | None,
    network: Predictions,
) -> ClassQuality | LabelQuality | NumberQuality:
    weights = model.weights(model.parts[part].encoded)
    if model.target.has_classes:
        return _class_quality(model, part, outputs, truth)
    if model.target.has_labels:
        return _label_quality(ScoredRows(network.values, truth), weights)
    return _number_quality(network.values, truth, weights, groups)


def _label_quality(rows: ScoredRows, weights: np.ndarray | None) -> LabelQuality:
    counts, scores = ClassCounts(), ExactScores()
    counts.add(rows, weights)
    scores.add(rows, weights)
    actual, predicted, right = map(np.asarray, (counts.actual, counts.predicted, counts.right))
    total = float(len(rows.truth) if weights is None else weights.sum())
    return LabelQuality(actual, predicted, right, scores.areas(), total)


def _class_quality(
    model: ExplainedModel, part: PartName, outputs: Tensor, truth: np.ndarray
) -> ClassQuality:
    predictions = to_predictions(outputs, model.loss, model.target)
    scored = ScoredRows(predictions, truth)
    weights = model.weights(model.parts[part].encoded)
    curves, areas = class_curves(scored, weights)
    validation = model.parts.get("validation")
    temperature_scaling = None
    if validation:
        logits = model.loss.class_logits(_outputs(model, validation))
        temperature_scaling = scale_temperature(
            (logits, model.truth(validation.encoded)),
            (model.loss.class_logits(outputs), truth),
            is_on_same_rows=part == "validation",
            weights=(model.weights(validation.encoded), weights),
            applied=model.temperature,
        )
    confusion = ConfusionCounts(len(model.target.class_names))
    confusion.add(scored, weights)
    return ClassQuality(
        confusion=confusion.matrix,
        areas=areas,
        curves=curves,
        reliability=measure_reliability(predictions, truth, weights),
        chance_error=chance_error(
            predictions, derive_seed(model.seed, "quality", "calibration"), weights
        ),
        temperature_scaling=temperature_scaling,
    )


def _number_quality(
    predictions: np.ndarray,
    truth: np.ndarray,
    weights: np.ndarray | None,
    groups: np.ndarray | None,
) -> NumberQuality:
    trend = running_median(predictions, truth - predictions, weights=weights)
    return NumberQuality(truth, predictions, trend, weights, groups)
