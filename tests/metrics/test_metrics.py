"""Each metric against scikit-learn, on rows at once, in blocks, weighted and resampled."""

import math
import re
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from dlcli.config.reference import reference_page
from dlcli.config.schema import json_schema
from dlcli.metrics import ALL_METRICS, Metric, figure_names, is_higher_better, label_of, metrics_for
from dlcli.metrics.accumulator import MetricAccumulator, compute_metrics
from dlcli.metrics.confusion import ConfusionCounts
from dlcli.metrics.rows import ScoredRows
from dlcli.targets.task import Task

Weights = np.ndarray | None
Score = Callable[[np.ndarray, np.ndarray, Weights], float | None]

EVERY_METRIC = [
    (metric, num_classes)
    for metric in ALL_METRICS
    for num_classes in (
        *((0,) if "regression" in metric.tasks else ()),
        *((2, 4) if {"multiclass", "ordinal"} & {*metric.tasks} else ()),
        *((-2, -4) if "multilabel" in metric.tasks else ()),  # so many labels at once
    )
]


def area(truth: np.ndarray, answers: np.ndarray, weights: Weights) -> float | None:
    if truth.ndim == 2:
        if not (truth.sum(axis=0) > 0).all() or not (truth.sum(axis=0) < len(truth)).all():
            return None
        return float(sklearn_metrics.roc_auc_score(truth, answers, sample_weight=weights))
    if len(set(truth)) < answers.shape[1]:
        return None
    scores = answers[:, 1] if answers.shape[1] == 2 else answers
    found = sklearn_metrics.roc_auc_score(truth, scores, multi_class="ovr", sample_weight=weights)
    return float(found)


def of_classes(function: Callable[..., float]) -> Score:
    return lambda truth, answers, weights: float(
        function(
            truth,
            answers > 0.5 if truth.ndim == 2 else answers.argmax(axis=1),
            sample_weight=weights,
        )
    )


def of_numbers(function: Callable[..., float]) -> Score:
    return lambda truth, answers, weights: float(function(truth, answers, sample_weight=weights))


def r2(truth: np.ndarray, answers: np.ndarray, weights: Weights) -> float | None:
    score = of_numbers(sklearn_metrics.r2_score)
    return score(truth, answers, weights) if np.ptp(truth) else None


def kappa(truth: np.ndarray, answers: np.ndarray, weights: Weights) -> float:
    every = range(answers.shape[1])  # a rank that no row has is between others all the same
    score = partial(sklearn_metrics.cohen_kappa_score, weights="quadratic", labels=every)
    with np.errstate(invalid="ignore"):
        return float(score(truth, answers.argmax(axis=1), sample_weight=weights))


EXPECTED: dict[str, Score] = {
    "accuracy": of_classes(sklearn_metrics.accuracy_score),
    "balanced_accuracy": of_classes(sklearn_metrics.balanced_accuracy_score),
    "macro_f1": of_classes(
        partial(sklearn_metrics.f1_score, average="macro", zero_division=np.nan)
    ),
    "micro_f1": of_classes(
        partial(sklearn_metrics.f1_score, average="micro", zero_division=np.nan)
    ),
    "subset_accuracy": of_classes(sklearn_metrics.accuracy_score),
    "roc_auc": area,
    "rank_error": of_classes(sklearn_metrics.mean_absolute_error),
    "quadratic_kappa": kappa,
    "rmse": of_numbers(sklearn_metrics.root_mean_squared_error),
    "mae": of_numbers(sklearn_metrics.mean_absolute_error),
    "r2": r2,
}


def expected(
    name: str, truth: np.ndarray, answers: np.ndarray, weights: Weights = None
) -> float | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes that are not among the rows
        value = EXPECTED[name](truth, answers, weights)
    return None if value is None or math.isnan(value) else value


def log_odds(answers: np.ndarray, *, are_labels: bool) -> np.ndarray:
    scored = answers[:, 1:] if answers.shape[1] == 2 and not are_labels else answers
    odds: np.ndarray = np.log(scored / (1 - scored)).astype(np.float32)
    return odds


def rows_of(truth: np.ndarray, answers: np.ndarray) -> ScoredRows:
    return ScoredRows(answers, truth, lambda: log_odds(answers, are_labels=truth.ndim == 2))


def made(num_classes: int, num_rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return truth and predictions; probabilities of few different values, so that some tie."""
    random = np.random.default_rng(seed)
    if not num_classes:
        numbers = random.normal(1e3, 1.0, num_rows)
        return numbers, numbers + random.normal(size=num_rows)
    if num_classes < 0:
        labels = random.integers(2, size=(num_rows, -num_classes))
        return labels, (random.integers(1, 5, size=labels.shape) + 2 * labels) / 8
    truth = random.integers(num_classes, size=num_rows)
    answers = random.integers(1, 5, size=(num_rows, num_classes)).astype(np.float64)
    answers[np.arange(num_rows), truth] += 1
    return truth, answers / answers.sum(axis=1, keepdims=True)


@settings(deadline=None)
@given(
    case=st.sampled_from(EVERY_METRIC),
    num_rows=st.integers(2, 40),
    seed=st.integers(0, 2**32),
    num_present=st.integers(1, 4),
    has_weights=st.booleans(),
)
def test_metrics_are_scikit_learns(
    case: tuple[Metric, int], num_rows: int, seed: int, num_present: int, *, has_weights: bool
) -> None:
    metric, num_classes = case
    truth, answers = made(num_classes, num_rows, seed)
    if num_classes > 0:
        truth = truth % num_present  # some classes may be absent
    if num_classes < 0:
        truth[:, num_present:] = 0
    weights = np.random.default_rng(seed).uniform(0.01, 9, num_rows) if has_weights else None
    found = compute_metrics([metric], rows_of(truth, answers), weights)[metric.name]
    wanted = expected(metric.name, truth, answers, weights)
    assert found == (None if wanted is None else pytest.approx(wanted, abs=1e-9))


@pytest.mark.parametrize(("metric", "num_classes"), EVERY_METRIC)
def test_blocks_and_processes_add_up_to_all_rows(metric: Metric, num_classes: int) -> None:
    truth, answers = made(num_classes, 300, 1)
    wanted = compute_metrics([metric], rows_of(truth, answers))[metric.name]
    totals = [MetricAccumulator([metric], is_streamed=True) for _ in range(2)]
    for index, rows in enumerate(np.array_split(np.arange(300), 7)):
        totals[index % 2].add(rows_of(truth[rows], answers[rows]))
    totals[0] += totals[1]
    # Bins of log odds tell all of these few different scores apart.
    assert totals[0].figures()[metric.name] == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize(("metric", "num_classes"), EVERY_METRIC)
@pytest.mark.parametrize("is_streamed", [False, True])
def test_integer_weights_stand_for_repeated_rows(
    metric: Metric, num_classes: int, is_streamed: bool
) -> None:
    truth, answers = made(num_classes, 60, 2)
    counts = np.random.default_rng(0).integers(4, size=60)
    rows = np.repeat(np.arange(60), counts)
    wanted = compute_metrics([metric], rows_of(truth[rows], answers[rows]))[metric.name]
    total = MetricAccumulator([metric], is_streamed=is_streamed)
    total.add(rows_of(truth, answers), counts.astype(np.float64))
    assert total.figures()[metric.name] == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize(("metric", "num_classes"), EVERY_METRIC)
def test_columns_of_weights_are_resamples(metric: Metric, num_classes: int) -> None:
    truth, answers = made(num_classes, 80, 3)
    counts = np.random.default_rng(1).multinomial(80, np.full(80, 1 / 80), size=20).T
    total = MetricAccumulator([metric])
    total.add(rows_of(truth, answers), counts.astype(np.float64))
    found = total.values()[metric.name]
    assert found.shape == (20,)
    for index in range(20):
        rows = np.repeat(np.arange(80), counts[:, index])
        wanted = compute_metrics([metric], rows_of(truth[rows], answers[rows]))[metric.name]
        assert found[index] == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize(("metric", "num_classes"), EVERY_METRIC)
def test_perfect_predictions_are_at_the_better_end(metric: Metric, num_classes: int) -> None:
    truth, answers = made(num_classes, 60, 4)
    perfect = np.eye(num_classes)[truth] if num_classes > 0 else truth
    best = compute_metrics([metric], ScoredRows(perfect, truth))[metric.name]
    found = compute_metrics([metric], ScoredRows(answers, truth))[metric.name]
    assert best is not None
    assert found is not None
    assert best == (1.0 if metric.is_higher_better else 0.0)
    assert (found < best) if metric.is_higher_better else (found > best)
    assert is_higher_better(metric.name) == metric.is_higher_better


@pytest.mark.parametrize("task", get_args(Task))
def test_the_config_may_watch_the_loss_and_every_metric_of_a_task(task: Task) -> None:
    names = figure_names(task)
    assert names == ("loss", *(metric.name for metric in metrics_for(task)))
    schema = json_schema()["$defs"]["EarlyStopping"]["properties"]["metric"]
    plain, of_several_targets = schema["oneOf"]
    assert set(names) <= set(plain["enum"])
    assert plain["enum"] == ["loss", *(metric.name for metric in ALL_METRICS)]
    assert all(re.match(of_several_targets["pattern"], f"price.{name}") for name in names)
    assert all(f"`{name}`" in reference_page() for name in names)


def test_a_lower_loss_is_better() -> None:
    assert not is_higher_better("loss")
    assert label_of("loss") == "loss"
    assert label_of("r2") == "R²"


def test_class_metrics_are_those_worked_out_by_hand() -> None:
    answers, truth = np.array([[0.9, 0.1], [0.4, 0.6], [0.3, 0.7], [0.2, 0.8]]), [0, 0, 1, 1]
    rows = ScoredRows(answers, np.array(truth))
    figures: dict[str, Any] = compute_metrics(metrics_for("binary"), rows)
    assert figures["accuracy"] == 0.75
    assert figures["balanced_accuracy"] == 0.75
    assert figures["macro_f1"] == pytest.approx((2 / 3 + 0.8) / 2)
    assert figures["roc_auc"] == 1.0
    counts = ConfusionCounts(2)
    counts.add(rows)
    assert counts.matrix.tolist() == [[1, 1], [0, 2]]


def test_number_metrics_are_those_worked_out_by_hand() -> None:
    rows = ScoredRows(np.array([11.0, 12.0, 6.0]), np.array([10.0, 12.0, 8.0]))
    figures: dict[str, Any] = compute_metrics(metrics_for("regression"), rows)
    assert figures["rmse"] == pytest.approx(math.sqrt(5 / 3))
    assert figures["mae"] == pytest.approx(1.0)
    assert figures["r2"] == pytest.approx(1 - 5 / 8)


def test_a_metric_that_rows_do_not_define_has_no_value() -> None:
    rows = ScoredRows(np.array([[0.9, 0.1], [0.4, 0.6]]), np.array([0, 0]))
    figures = compute_metrics(metrics_for("binary"), rows)
    assert (figures["roc_auc"], figures["accuracy"]) == (None, 0.5)
    equal = ScoredRows(np.arange(3.0), np.full(3, 0.1))
    assert compute_metrics(metrics_for("regression"), equal)["r2"] is None


@pytest.mark.parametrize("num_classes", [2, 4])
def test_confusion_counts_are_scikit_learns_however_rows_come(num_classes: int) -> None:
    truth, answers = made(num_classes, 100, 5)
    wanted = sklearn_metrics.confusion_matrix(
        truth, answers.argmax(axis=1), labels=range(num_classes)
    )
    once, blocks, other = (ConfusionCounts(num_classes) for _ in range(3))
    once.add(rows_of(truth, answers))
    blocks.add(rows_of(truth[:30], answers[:30]))
    other.add(rows_of(truth[30:], answers[30:]), np.ones(70))
    blocks += other
    assert (once.matrix == wanted).all()
    assert (blocks.matrix == wanted).all()


def test_exact_ranks_among_different_scores_are_not_added() -> None:
    metric = next(metric for metric in ALL_METRICS if metric.name == "roc_auc")
    totals = []
    for seed in (1, 2):
        total = MetricAccumulator([metric])
        total.add(rows_of(*made(2, 40, seed)))
        totals.append(total)
    with pytest.raises(ValueError, match="different scores"):
        totals[0] += totals[1]


@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize(("metric", "num_classes"), EVERY_METRIC)
def test_sums_without_rows_change_nothing(
    metric: Metric, num_classes: int, is_streamed: bool
) -> None:
    wanted, first, last = (metric.new_sums(is_streamed=is_streamed) for _ in range(3))
    for sums in (wanted, last):
        sums.add(rows_of(*made(num_classes, 40, 1)))
    first += last
    first += metric.new_sums(is_streamed=is_streamed)
    assert metric.value(first) == metric.value(wanted)
    assert metric.value(first) is not None
