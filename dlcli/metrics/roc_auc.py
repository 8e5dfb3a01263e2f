"""The area under the ROC curve."""

from abc import abstractmethod
from typing import TYPE_CHECKING, Self, final

from dlcli.metrics.base import Metric, Sums
from dlcli.targets.task import Task

if TYPE_CHECKING:
    import numpy as np

    from dlcli.metrics.rows import ScoredRows
    from dlcli.targets.base import TargetValues

_MAX_BINS = 2**22  # of all classes together
_MIN_BITS = 12  # of a class's: sign, exponent and three digits
_MAX_BITS = 20


class _Scores(Sums):
    """Rows by class and score."""

    @abstractmethod
    def areas(self) -> "np.ndarray":
        """Return the area of each scored class, [classes, …]; NaN where one side has no rows."""


class ExactScores(_Scores):
    """Every distinct score counts."""

    def __init__(self) -> None:
        self._levels: list[np.ndarray] = []  # of each class: the scores of its rows
        self._positives: list[np.ndarray] = []  # [levels, …]
        self._negatives: list[np.ndarray] = []  # [2 · levels + 1, …]

    def add(self, rows: "ScoredRows", weights: "np.ndarray | None" = None) -> None:
        assert not self._levels, "exact ranks are of rows that come at once"
        for ranking in rows.rankings:
            self._levels.append(ranking.levels)
            self._positives.append(ranking.positives.sum(weights))
            self._negatives.append(ranking.negatives.sum(weights))

    def __iadd__(self, other: Self) -> Self:
        import numpy as np

        if not self._levels:
            self._levels = list(other._levels)
            self._positives = list(other._positives)
            self._negatives = list(other._negatives)
            return self
        if not other._levels:
            return self
        for index, levels in enumerate(self._levels):
            if not np.array_equal(levels, other._levels[index]):
                raise ValueError("ranks among different scores don't add up")
            self._positives[index] = self._positives[index] + other._positives[index]
            self._negatives[index] = self._negatives[index] + other._negatives[index]
        return self

    def areas(self) -> "np.ndarray":
        import numpy as np

        found = []
        for positives, negatives in zip(self._positives, self._negatives, strict=True):
            if positives.dtype == np.float32:
                won = _won_by_whole(positives, negatives)
            else:
                below = np.cumsum(negatives, axis=0)[:-1:2]
                won = (positives * (below + negatives[1::2] / 2)).sum(axis=0)
            pairs = [np.asarray(rows.sum(axis=0), np.float64) for rows in (positives, negatives)]
            found.append(_share(won, pairs[0] * pairs[1]))
        return np.stack(found)


class BinnedScores(_Scores):
    """Scores count by bin, so that memory does not grow with the rows.

    A score is the log odds of a class, and a bin all float32 numbers that begin with the same
    bits: 2^11 bins between any number and its double where there are two classes. Rows of one bin
    count as ties.
    """

    def __init__(self) -> None:
        self._counts: np.ndarray | None = None  # [scored classes, 2, bins]: others, the class
        self._bits = 0

    def add(self, rows: "ScoredRows", weights: "np.ndarray | None" = None) -> None:
        import numpy as np

        assert rows.log_odds is not None, "bins are of log odds"
        scores, classes = rows.log_odds(), rows.scored_classes
        if self._counts is None:
            bits = (_MAX_BINS // len(classes)).bit_length() - 1
            self._bits = min(_MAX_BITS, max(_MIN_BITS, bits))
            kind = np.int64 if weights is None else np.float64
            self._counts = np.zeros((len(classes), 2, 1 << self._bits), kind)
        for counts, column, index in zip(self._counts, scores.T, classes, strict=True):
            is_class, bins = rows.has(index), self._bins(column)
            for side, chosen in enumerate((~is_class, is_class)):
                chosen_weights = None if weights is None else weights[chosen]
                counts[side] += np.bincount(bins[chosen], chosen_weights, 1 << self._bits)

    def __iadd__(self, other: Self) -> Self:
        if self._counts is None:
            self._counts, self._bits = other._counts, other._bits
        elif other._counts is not None:
            self._counts += other._counts
        return self

    def areas(self) -> "np.ndarray":
        import numpy as np

        assert self._counts is not None, "rows were added"
        negatives, positives = (self._counts[:, side].astype(np.float64) for side in (0, 1))
        below = np.cumsum(negatives, axis=1) - negatives / 2
        won = (below * positives).sum(axis=1)
        return _share(won, negatives.sum(axis=1) * positives.sum(axis=1))

    def _bins(self, scores: "np.ndarray") -> "np.ndarray":
        """Return the first bits of numbers, so that they are in the numbers' order."""
        import numpy as np

        bits = np.ascontiguousarray(scores + np.float32(0), np.float32).view(np.uint32)
        is_negative = bits >> 31 == 1
        ordered = np.where(is_negative, ~bits, bits | np.uint32(2**31))
        bins: np.ndarray = (ordered >> (32 - self._bits)).astype(np.int64)
        return bins


@final
class RocAuc(Metric):
    """The share of pairs of rows, one of a class and one not, whose scores are in order.

    Equal scores count half (Mann and Whitney 1947). Of several classes it is the mean over classes
    of each against the rest; of a resample, over those that it has.
    """

    name = "roc_auc"
    label = "ROC AUC"
    tasks: tuple[Task, ...] = ("binary", "multiclass", "multilabel")
    is_higher_better = True
    is_share = True
    streaming_note = "roc_auc treats scores with the same first three digits as equal"

    def new_sums(self, *, is_streamed: bool) -> Sums:
        return BinnedScores() if is_streamed else ExactScores()

    def why_undefined(self, values: "TargetValues") -> str | None:
        if values.everywhere:
            return f"all of them have '{values.everywhere[0]}'"
        if not values.absent:
            return None
        others = len(values.absent) - 1
        more = f" and {others} other class{'es' if others > 1 else ''}" if others else ""
        return f"none of them is of class '{values.absent[0]}'{more}"

    def values(self, sums: _Scores) -> "np.ndarray":
        import numpy as np

        areas = sums.areas()
        known = np.isfinite(areas)
        with np.errstate(invalid="ignore"):
            mean: np.ndarray = np.where(known, areas, 0.0).sum(axis=0) / known.sum(axis=0)
        return mean

    def value(self, sums: _Scores) -> float | None:
        import numpy as np

        areas = sums.areas()
        return float(areas.mean()) if np.isfinite(areas).all() else None


def _won_by_whole(positives: "np.ndarray", negatives: "np.ndarray") -> "np.ndarray":
    """Return how many pairs are in order, float64 [resamples], of whole numbers in float32."""
    import numpy as np

    from dlcli.metrics.rows import cumulated

    ties = negatives[1::2]
    below = cumulated(negatives[:-1:2] + ties)
    below -= ties / 2
    won: np.ndarray = np.einsum("ij,ij->j", positives, below, dtype=np.float64)
    return won


def _share(won: "np.ndarray", pairs: "np.ndarray") -> "np.ndarray":
    import numpy as np

    with np.errstate(invalid="ignore"):
        share: np.ndarray = won / pairs
    return share
