import math

import numpy as np
import pytest
import torch

from dlcli.config.objectives import BinaryCrossEntropy, CrossEntropy, MeanSquaredError
from dlcli.data.target import ClassTarget, NumberTarget, metrics_of
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
