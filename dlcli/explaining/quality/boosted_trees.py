"""The gradient-boosting baseline: scikit-learn's HistGradientBoosting with its defaults."""

import importlib.util
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from dlcli.data.fields import Arrays
from dlcli.data.fitted import FittedData
from dlcli.explaining.unavailable import Unavailable

FULL_SECONDS = 10.0  # that it may take for a full page
MAX_CATEGORIES = 254  # that HistGradientBoosting takes of a categorical feature, unknown ones aside
_NUM_ITERATIONS = 100  # its default
_LEAST_PROBABILITY = 1e-15  # so that no loss is infinite
# What a CPU core of 2020 takes: work is counted, not timed, so that a report is the same twice.
_IMPORT_SECONDS = 1.1
_TREE_SECONDS, _TREE_ROWS = 2e-3, 1000  # of a tree by itself; one of fewer rows is smaller
_CELL_SECONDS = 1e-8  # of a row's feature, in a tree


@dataclass(frozen=True)
class BoostedTrees:
    """Gradient-boosted trees, fitted to some training rows."""

    estimator: Any  # HistGradientBoostingClassifier, HistGradientBoostingRegressor
    fitted: FittedData
    num_rows: int  # that it was fitted on
    version: str  # of scikit-learn
    ordered: tuple[str, ...]  # columns of too many categories, whose codes are taken as numbers

    def outputs(self, inputs: Arrays) -> np.ndarray:
        """Return the logarithms of probabilities [rows, classes], or scaled numbers [rows, 1]."""
        features = tree_features(self.fitted, inputs)
        num_classes = len(self.fitted.target.class_names)
        if not num_classes:
            numbers: np.ndarray = self.estimator.predict(features)[:, None]
            return numbers
        found = np.zeros((len(features), num_classes))
        found[:, self.estimator.classes_] = self.estimator.predict_proba(features)
        return np.log(np.maximum(found, _LEAST_PROBABILITY))


def fit_boosted_trees(
    fitted: FittedData,
    inputs: Arrays,
    targets: np.ndarray,
    seed: int,
    *,
    class_weights: np.ndarray | None = None,
    weights: np.ndarray | None = None,
    seconds: float,
) -> BoostedTrees | Unavailable | None:
    """Fit trees to encoded rows: `inputs` by field, `targets` [rows] class indices or numbers.

    `class_weights` [classes] and `weights` [rows] are factors of the rows' losses. Unavailable
    without scikit-learn, and where it would take a full page too long; None where it would take
    more than about so many seconds, which a full page may.
    """
    if importlib.util.find_spec("sklearn") is None:
        return Unavailable("it needs scikit-learn: pip install 'dlcli[trees]'")
    num_classes, num_rows = len(fitted.target.class_names), len(targets)
    needed = estimate_seconds(num_rows, _num_features(fitted), num_classes)
    if needed > seconds:
        if needed <= FULL_SECONDS:
            return None
        return Unavailable(
            f"it would take about {needed:.0f} s, more than the {FULL_SECONDS:g} s that it may"
        )
    import sklearn
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits

    features = tree_features(fitted, inputs)
    categories = {
        index: name for index, name in enumerate(_names(fitted)) if name in _coded(fitted)
    }
    ordered = tuple(
        name
        for index, name in categories.items()
        if np.nanmax(features[:, index], initial=0) > MAX_CATEGORIES
    )
    taken = [index for index, name in categories.items() if name not in ordered]
    kind = HistGradientBoostingClassifier if num_classes else HistGradientBoostingRegressor
    estimator = kind(categorical_features=taken or None, random_state=seed % 2**32)
    factors = weights
    if class_weights is not None:
        factors = class_weights[targets] * (1.0 if weights is None else weights)
    # One thread: on a busy machine, several that wait for each other take many times as long.
    with threadpool_limits(1, user_api="openmp"):
        estimator.fit(features, targets, sample_weight=factors)
    return BoostedTrees(estimator, fitted, num_rows, sklearn.__version__, ordered)


def estimate_seconds(num_rows: int, num_features: int, num_classes: int) -> float:
    """Return about how long the import and the fit take."""
    num_trees = _NUM_ITERATIONS * (num_classes if num_classes > 2 else 1)
    tree = _TREE_SECONDS * min(1.0, num_rows / _TREE_ROWS)
    return _IMPORT_SECONDS + num_trees * (tree + _CELL_SECONDS * num_rows * num_features)


def tree_features(fitted: FittedData, inputs: Arrays) -> np.ndarray:
    """Return what trees are given, float64 [rows, features]: a column of categories is its codes.

    A category that training had no example of is NaN, as a missing value is to them.
    """
    coded, slots = _coded(fitted), fitted.slots()
    blocks = []
    for column in fitted.columns:
        place = slots[column.name]
        block = inputs[place.field][:, list(place.indices)].astype(np.float64)
        if column.name in coded:
            if column.field == "numbers":  # one-hot: the first category is code 1, as if embedded
                codes = np.where(block.max(axis=1) > 0, block.argmax(axis=1) + 1.0, 0.0)
                block = codes[:, None]
            block[block == 0] = math.nan
        blocks.append(block)
    return np.concatenate(blocks, axis=1)


def _coded(fitted: FittedData) -> set[str]:
    """Return the names of columns that are categories, each one feature."""
    return {
        column.name
        for column in fitted.columns
        if column.axis == "category" and not column.is_scalar
    }


def _names(fitted: FittedData) -> list[str]:
    """Return the column of each feature."""
    coded = _coded(fitted)
    return [
        column.name
        for column in fitted.columns
        for _ in range(1 if column.name in coded else column.num_slots)
    ]


def _num_features(fitted: FittedData) -> int:
    return len(_names(fitted))
