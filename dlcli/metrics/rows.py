"""Predictions and truth of some rows, grouped once for sums with many weights."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dlcli.targets.label_sets import THRESHOLD


class Grouping:
    """Rows by group: sums of weights within each; rows of group -1 count nowhere."""

    def __init__(self, groups: np.ndarray, num_groups: int) -> None:
        """Take each row's group, int64 [rows]."""
        self.groups, self.num_groups = groups, num_groups

    def sum(self, weights: np.ndarray | None) -> np.ndarray:
        """Return the sums of weights [rows, …] by group, [groups, …]; counts without weights.

        Those of float32 weights [rows, resamples] are float32: exact for whole numbers up to 2^24.
        """
        if weights is None or weights.ndim == 1:
            is_in = self.groups >= 0
            chosen = None if weights is None else weights[is_in]
            return np.bincount(self.groups[is_in], chosen, self.num_groups)
        import torch  # numpy adds rows by group many times slower

        added = torch.from_numpy(np.ascontiguousarray(weights))
        if added.dtype == torch.float32:  # a tenth of the time of other types
            order, starts = map(torch.from_numpy, self._order)
            found = torch.nn.functional.embedding_bag(order, added, starts, mode="sum")
            return found.numpy()
        places = np.where(self.groups >= 0, self.groups, self.num_groups)
        sums = np.zeros((self.num_groups + 1, *weights.shape[1:]))
        torch.from_numpy(sums).index_add_(0, torch.from_numpy(places), added.double())
        return sums[:-1]

    @cached_property
    def _order(self) -> tuple[np.ndarray, np.ndarray]:
        """The rows in the order of their groups, and where in it each group begins."""
        order = np.argsort(self.groups, kind="stable")
        starts = np.searchsorted(self.groups[order], np.arange(self.num_groups + 1))
        return order[starts[0] :], starts[:-1] - starts[0]


class Indicators:
    """Rows by label: sums of weights of those that have each; a row may have several."""

    def __init__(self, having: np.ndarray) -> None:
        """Take which rows have each label, bool [rows, labels]."""
        self.having = having

    def sum(self, weights: np.ndarray | None) -> np.ndarray:
        """Return what `Grouping.sum` does, [labels, …]."""
        if weights is None:
            counts: np.ndarray = self.having.sum(axis=0)
            return counts
        sums: np.ndarray = self.having.T.astype(weights.dtype) @ weights
        return sums


def cumulated(numbers: np.ndarray) -> np.ndarray:
    """Return the sums of numbers [rows, …] up to each row."""
    import torch  # numpy takes twice as long

    sums: np.ndarray = torch.from_numpy(numbers).cumsum(0).numpy()
    return sums


@dataclass(frozen=True)
class ScoredRows:
    """Probabilities [rows, classes] or numbers [rows], and the truth in the same terms, [rows].

    Of several labels at once, the truth is [rows, labels].
    """

    predictions: np.ndarray
    truth: np.ndarray
    log_odds: Callable[[], np.ndarray] | None = None  # see `Loss.log_odds`; where rows stream

    @cached_property
    def predicted(self) -> np.ndarray:
        """The predicted classes, int64 [rows]."""
        classes: np.ndarray = self.predictions.argmax(axis=1)
        return classes

    @property
    def has_labels(self) -> bool:
        """Whether a row may have several classes at once: the truth is 1 or 0, [rows, labels]."""
        return self.truth.ndim == 2

    def has(self, index: int) -> np.ndarray:
        """Return which rows have a class or a label, bool [rows]."""
        having: np.ndarray = self.truth[:, index] > 0 if self.has_labels else self.truth == index
        return having

    @cached_property
    def _labels(self) -> tuple[np.ndarray, np.ndarray]:
        """The labels that rows have, and those that are predicted, bool [rows, labels] both."""
        return self.truth > 0, self.predictions > THRESHOLD

    @cached_property
    def are_exact(self) -> np.ndarray:
        """Which rows have exactly the labels that are predicted, bool [rows]."""
        actual, predicted = self._labels
        exact: np.ndarray = (actual == predicted).all(axis=1)
        return exact

    @cached_property
    def by_truth(self) -> "Grouping | Indicators":
        """Rows by their true class."""
        if self.has_labels:
            return Indicators(self._labels[0])
        return Grouping(self.truth, self.predictions.shape[1])

    @cached_property
    def by_predicted(self) -> "Grouping | Indicators":
        """Rows by their predicted class."""
        if self.has_labels:
            return Indicators(self._labels[1])
        return Grouping(self.predicted, self.predictions.shape[1])

    @cached_property
    def by_right(self) -> "Grouping | Indicators":
        """Rows whose prediction is right, by their class."""
        if self.has_labels:
            return Indicators(self._labels[0] & self._labels[1])
        is_right = self.predicted == self.truth
        return Grouping(np.where(is_right, self.truth, -1), self.predictions.shape[1])

    @cached_property
    def scored_classes(self) -> list[int]:
        """The classes that have a ROC curve: the second of two, or each against the rest."""
        num_classes = self.predictions.shape[1]
        return [1] if num_classes == 2 and not self.has_labels else list(range(num_classes))

    @cached_property
    def rankings(self) -> list["Ranking"]:
        """Where rows of each scored class stand among the others."""
        return [
            Ranking.of(self.predictions[:, index], self.has(index)) for index in self.scored_classes
        ]

    @cached_property
    def errors(self) -> np.ndarray:
        """Predicted less true numbers, [rows]."""
        errors: np.ndarray = self.predictions - self.truth
        return errors

    @cached_property
    def squared_errors(self) -> np.ndarray:
        """Their squares, [rows]."""
        squares: np.ndarray = self.errors**2
        return squares

    @cached_property
    def centered(self) -> np.ndarray:
        """The true numbers less their mean, [rows]."""
        centered: np.ndarray = self.truth - self.truth.mean()
        return centered


@dataclass(frozen=True)
class Ranking:
    """Rows of a class by score, and the others by where they stand between those scores."""

    levels: np.ndarray  # the distinct scores of the class's rows, ascending
    positives: Grouping  # by level
    negatives: Grouping  # below the first level, at it, between the first two, at the second …

    @classmethod
    def of(cls, scores: np.ndarray, is_positive: np.ndarray) -> "Ranking":
        """Rank rows by their scores, [rows] both."""
        levels = np.unique(scores[is_positive])
        if not len(levels):
            levels = np.zeros(1)
        place = np.searchsorted(levels, scores)
        is_at = levels[np.minimum(place, len(levels) - 1)] == scores
        return cls(
            levels,
            Grouping(np.where(is_positive, place, -1), len(levels)),
            Grouping(np.where(is_positive, -1, 2 * place + is_at), 2 * len(levels) + 1),
        )
