"""The figures of rows that come block by block, in memory that does not grow with them."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from dlcli.columns.running_statistics import RunningStatistics
from dlcli.config.sections.training import Metric
from dlcli.data.target import ClassTarget, FittedTarget
from dlcli.losses import Loss
from dlcli.training.metrics import to_answers

_MAX_BINS = 2**22  # of all classes together
_MIN_BITS = 12  # of a class's: sign, exponent and three digits
_MAX_BITS = 20


@dataclass
class _Classes:
    """How often which class was meant and given."""

    right: np.ndarray  # int64 [classes], as the others
    meant: np.ndarray
    given: np.ndarray
    matrix: np.ndarray | None  # [classes, classes], the true class first, where it is wanted
    scores: "_Scores | None"  # where the area under the curve is wanted

    def add(self, truth: np.ndarray, answers: np.ndarray) -> None:
        """Count rows by their classes, int64 [rows] both."""
        size = len(self.right)
        self.right += np.bincount(truth[truth == answers], minlength=size)
        self.meant += np.bincount(truth, minlength=size)
        self.given += np.bincount(answers, minlength=size)
        if self.matrix is not None:
            np.add.at(self.matrix, (truth, answers), 1)

    def figure(self, name: Metric) -> float | None:
        """Return a figure as scikit-learn defines it."""
        right, meant, given = self.right, self.meant, self.given
        match name:
            case "accuracy":
                return float(right.sum() / meant.sum())
            case "balanced_accuracy":
                return float((right[meant > 0] / meant[meant > 0]).mean())
            case "macro_f1":
                seen = meant + given > 0
                return float((2 * right[seen] / (meant + given)[seen]).mean())
            case "roc_auc":
                assert self.scores is not None, "they are counted where it is wanted"
                return self.scores.area()
            case _:
                raise ValueError(f"{name} is no figure of classes")


class _Scores:
    """How often which score was given to rows of a class and to the others', in bins.

    A score is the log odds of a class, and a bin all float32 numbers that begin with the same
    bits: 2^11 bins between any number and its double where there are two classes. Rows of one bin
    count as ties.
    """

    def __init__(self, num_classes: int) -> None:
        self._num_scores = 1 if num_classes == 2 else num_classes
        bits = (_MAX_BINS // self._num_scores).bit_length() - 1
        self._bits = min(_MAX_BITS, max(_MIN_BITS, bits))
        self._counts = np.zeros((self._num_scores, 2, 1 << self._bits), np.int64)

    def add(self, scores: np.ndarray, truth: np.ndarray) -> None:
        """Count rows: log odds float32 [rows, scores], classes [rows]."""
        for index in range(self._num_scores):
            is_class = truth == (1 if self._num_scores == 1 else index)
            bins = self._bins(scores[:, index])
            for side, chosen in enumerate((~is_class, is_class)):
                self._counts[index, side] += np.bincount(bins[chosen], minlength=1 << self._bits)

    def area(self) -> float | None:
        """Return the mean over classes of the area under the curve; None where one has no rows."""
        others, own = self._counts[:, 0].astype(np.float64), self._counts[:, 1].astype(np.float64)
        pairs = others.sum(axis=1) * own.sum(axis=1)
        if not pairs.all():
            return None
        below = np.cumsum(others, axis=1) - others / 2
        return float(((below * own).sum(axis=1) / pairs).mean())

    def _bins(self, scores: np.ndarray) -> np.ndarray:
        """Return the first bits of numbers, so that they are in the numbers' order."""
        bits = np.ascontiguousarray(scores + np.float32(0), np.float32).view(np.uint32)
        is_negative = bits >> 31 == 1
        ordered = np.where(is_negative, ~bits, bits | np.uint32(2**31))
        bins: np.ndarray = (ordered >> (32 - self._bits)).astype(np.int64)
        return bins


@dataclass
class _Numbers:
    """How far answers are from the truth."""

    truth: RunningStatistics
    squares: float = 0.0
    distances: float = 0.0

    def figure(self, name: Metric) -> float | None:
        """Return a figure as scikit-learn defines it."""
        match name:
            case "rmse":
                return float(np.sqrt(self.squares / self.truth.count))
            case "mae":
                return self.distances / self.truth.count
            case "r2":
                return None if self.truth.is_constant else 1 - self.squares / self.truth.squares
            case _:
                raise ValueError(f"{name} is no figure of numbers")


class MetricAccumulator:
    """What figures are made of, summed up."""

    def __init__(
        self, loss: Loss, target: FittedTarget, names: Iterable[Metric], *, has_matrix: bool
    ) -> None:
        self._loss, self._target, self._names = loss, target, tuple(names)
        self._numbers = _Numbers(RunningStatistics())
        self._classes: _Classes | None = None
        if isinstance(target, ClassTarget):
            count = len(target.classes)
            scores = _Scores(count) if "roc_auc" in self._names else None
            matrix = np.zeros((count, count), np.int64) if has_matrix else None
            right, meant, given = np.zeros((3, count), np.int64)
            self._classes = _Classes(right, meant, given, matrix, scores)

    def add(self, outputs: Tensor, truth: np.ndarray) -> None:
        """Add rows: outputs [rows, num_outputs] and what the data room encodes, [rows]."""
        answers = to_answers(outputs, self._loss, self._target)
        if isinstance(self._target, ClassTarget):
            assert self._classes is not None, "classes are counted"
            self._classes.add(truth, answers.argmax(axis=1))
            if self._classes.scores is not None:
                self._classes.scores.add(self._loss.log_odds(outputs), truth)
            return
        own = truth.astype(np.float64) * self._target.scale + self._target.center
        self._numbers.truth += RunningStatistics.of(own)
        self._numbers.squares += float(((own - answers) ** 2).sum())
        self._numbers.distances += float(np.abs(own - answers).sum())

    def figures(self) -> dict[str, float | None]:
        """Return the named figures; None where the rows don't define one."""
        sums = self._numbers if self._classes is None else self._classes
        return {name: sums.figure(name) for name in self._names}

    def confusion_matrix(self) -> list[list[int]]:
        """Return how often a class (row) was given as another (column)."""
        assert self._classes is not None, "only classes are confused"
        assert self._classes.matrix is not None, "it is counted where it is wanted"
        matrix: list[list[int]] = self._classes.matrix.tolist()
        return matrix
