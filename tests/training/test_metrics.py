import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from dlcli.data.target import ClassTarget, NumberTarget, metrics_of
from dlcli.losses.classification import BinaryCrossEntropy, CrossEntropy
from dlcli.losses.regression import MeanSquaredError
from dlcli.training.metrics import confusion_matrix, score, to_answers

PAIR = ClassTarget(name="y", classes=("a", "b"), counts=(2, 6), label_type="text")
THREE = ClassTarget(name="y", classes=("a", "b", "c"), counts=(1, 2, 5), label_type="text")
NUMBER = NumberTarget(name="y", center=10.0, scale=2.0)


def test_a_logit_becomes_two_probabilities_that_keep_their_digits() -> None:
    outputs = torch.tensor([[0.0], [-6.0], [40.0]])
    answers = to_answers(outputs, BinaryCrossEntropy(type="binary_cross_entropy"), PAIR)
    assert answers[:, 1] == pytest.approx([0.5, 1 / (1 + math.exp(6)), 1.0])
    assert answers[2, 0] == pytest.approx(math.exp(-40), rel=1e-9)


def test_logits_become_probabilities_by_softmax() -> None:
    answers = to_answers(torch.tensor([[0.0, 0.0, 2.0]]), CrossEntropy(type="cross_entropy"), THREE)
    whole = 2 + math.exp(2)
    assert answers[0] == pytest.approx([1 / whole, 1 / whole, math.exp(2) / whole])


def test_numbers_come_back_in_the_targets_units() -> None:
    answers = to_answers(torch.tensor([[0.0], [1.5]]), MeanSquaredError(type="mse"), NUMBER)
    assert answers.tolist() == [10.0, 13.0]


def test_class_figures_are_those_worked_out_by_hand() -> None:
    answers = np.array([[0.9, 0.1], [0.4, 0.6], [0.3, 0.7], [0.2, 0.8]])
    figures = score(answers, np.array([0, 0, 1, 1]), PAIR, metrics_of(PAIR))
    assert figures["accuracy"] == 0.75
    assert figures["balanced_accuracy"] == 0.75
    assert figures["macro_f1"] == pytest.approx((2 / 3 + 0.8) / 2)
    assert figures["roc_auc"] == 1.0
    assert confusion_matrix(answers, np.array([0, 0, 1, 1])) == [[1, 1], [0, 2]]


def test_number_figures_are_in_the_targets_units() -> None:
    truth = np.array([0.0, 1.0, -1.0])  # 10, 12, 8
    figures = score(np.array([11.0, 12.0, 6.0]), truth, NUMBER, metrics_of(NUMBER))
    assert figures["rmse"] == pytest.approx(math.sqrt(5 / 3))
    assert figures["mae"] == pytest.approx(1.0)
    assert figures["r2"] == pytest.approx(1 - 5 / 8)


def test_a_figure_that_rows_do_not_define_has_no_value() -> None:
    answers = np.array([[0.9, 0.1], [0.4, 0.6]])
    assert score(answers, np.array([0, 0]), PAIR, ["roc_auc", "accuracy"]) == {
        "roc_auc": None,
        "accuracy": 0.5,
    }
    assert score(np.array([1.0]), np.array([0.0]), NUMBER, ["r2"]) == {"r2": None}


@settings(deadline=None)
@given(st.data())
def test_figures_are_scikit_learns(data: st.DataObject) -> None:
    num_classes = data.draw(st.integers(2, 4))
    num_rows = data.draw(st.integers(2, 40))
    draws = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    truth = draws.integers(data.draw(st.integers(1, num_classes)), size=num_rows)
    # Few different numbers, so that scores are equal now and then.
    answers = draws.integers(1, 5, size=(num_rows, num_classes)).astype(np.float64)
    answers /= answers.sum(axis=1, keepdims=True)
    target = ClassTarget(
        name="y", classes=tuple("abcd"[:num_classes]), counts=(9,) * num_classes, label_type="text"
    )
    predicted = answers.argmax(axis=1)
    area = None
    if len(set(truth)) == num_classes:
        scores = answers[:, 1] if num_classes == 2 else answers
        area = metrics.roc_auc_score(truth, scores, multi_class="ovr")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes that are not among the rows
        expected = {
            "accuracy": metrics.accuracy_score(truth, predicted),
            "balanced_accuracy": metrics.balanced_accuracy_score(truth, predicted),
            "macro_f1": metrics.f1_score(truth, predicted, average="macro"),
            "roc_auc": area,
        }
    assert score(answers, truth, target, metrics_of(target)) == pytest.approx(expected, abs=1e-12)
    labels = range(num_classes)
    matrix = metrics.confusion_matrix(truth, predicted, labels=labels).tolist()
    assert confusion_matrix(answers, truth) == matrix

    numbers, guesses = draws.normal(size=num_rows), draws.normal(size=num_rows)
    unscaled = NumberTarget(name="y", center=0.0, scale=1.0)
    assert score(guesses, numbers, unscaled, metrics_of(unscaled)) == pytest.approx(
        {
            "rmse": metrics.root_mean_squared_error(numbers, guesses),
            "mae": metrics.mean_absolute_error(numbers, guesses),
            "r2": metrics.r2_score(numbers, guesses),
        }
    )
