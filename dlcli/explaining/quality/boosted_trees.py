"""The gradient-boosting baseline: scikit-learn's HistGradientBoosting.

With its defaults where that fits the time that a page has for it, otherwise of fewer and smaller
trees with larger steps.
"""

import importlib.util
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from dlcli.data.fields import Arrays
from dlcli.data.fitted import FittedData
from dlcli.explaining.unavailable import Unavailable

MAX_SECONDS = 10.0  # that it may take for any page
IMPORT_SECONDS = 1.1  # of scikit-learn, on a CPU core of 2020
MAX_CATEGORIES = 254  # that HistGradientBoosting takes of a categorical feature, unknown ones aside
_LEAST_PROBABILITY = 1e-15  # so that no loss is infinite
# What a CPU core of 2020 takes: work is counted, not timed, so that a report is the same twice.
_TREE_SECONDS, _TREE_ROWS = 2e-3, 1000  # of a tree by itself; one of fewer rows is smaller
_CELL_SECONDS = 1e-8  # of a row's feature, in a tree
_SMALL = 0.3  # of both, for a tree of few leaves and bins
_MIN_ITERATIONS = 30
_MAX_RATE, _REACH = 0.3, 20.0  # of fewer trees: steps add up to as much


@dataclass(frozen=True)
class BoostingSettings:
    """Settings of HistGradientBoosting, by default its own."""

    num_iterations: int = 100
    learning_rate: float = 0.1
    num_leaves: int = 31
    num_bins: int = 255


DEFAULTS = BoostingSettings()


@dataclass(frozen=True)
class BoostedTrees:
    """Gradient-boosted trees, fitted to some training rows."""

    estimator: Any  # HistGradientBoostingClassifier, HistGradientBoostingRegressor
    fitted: FittedData
    num_rows: int  # that it was fitted on
    version: str  # of scikit-learn
    settings: BoostingSettings
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
    is_cut: bool = False,
) -> BoostedTrees | Unavailable | None:
    """Fit trees to encoded rows: `inputs` by field, `targets` [rows] class indices or numbers.

    `class_weights` [classes] and `weights` [rows] are factors of the rows' losses. Where the
    defaults would take more than about so many seconds, trees are fewer and smaller with `is_cut`,
    and None is returned without. Unavailable without scikit-learn, and where even few trees take
    more than `MAX_SECONDS`.
    """
    if importlib.util.find_spec("sklearn") is None:
        return Unavailable("it needs scikit-learn: pip install 'dlcli[trees]'")
    num_classes, num_rows = len(fitted.target.class_names), len(targets)
    settings = choose_settings(num_rows, _num_features(fitted), num_classes, seconds)
    if isinstance(settings, Unavailable):
        return settings
    if settings != DEFAULTS and not is_cut:
        return None
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
    estimator = kind(
        max_iter=settings.num_iterations,
        learning_rate=settings.learning_rate,
        max_leaf_nodes=settings.num_leaves,
        max_bins=settings.num_bins,
        categorical_features=taken or None,
        random_state=seed % 2**32,
    )
    factors = weights
    if class_weights is not None:
        factors = class_weights[targets] * (1.0 if weights is None else weights)
    # One thread: on a busy machine, several that wait for each other take many times as long.
    with threadpool_limits(1, user_api="openmp"):
        estimator.fit(features, targets, sample_weight=factors)
    return BoostedTrees(estimator, fitted, num_rows, sklearn.__version__, settings, ordered)


def choose_settings(
    num_rows: int, num_features: int, num_classes: int, seconds: float
) -> BoostingSettings | Unavailable:
    """Return the settings with which the import and the fit take about so many seconds at most."""
    num_trees = num_classes if num_classes > 2 else 1  # of an iteration
    tree = _TREE_SECONDS * min(1.0, num_rows / _TREE_ROWS)
    iteration = num_trees * (tree + _CELL_SECONDS * num_rows * num_features)
    if IMPORT_SECONDS + DEFAULTS.num_iterations * iteration <= seconds:
        return DEFAULTS
    least = IMPORT_SECONDS + _MIN_ITERATIONS * _SMALL * iteration
    if least > MAX_SECONDS:
        return Unavailable(
            f"it would take about {least:.0f} s, more than the {MAX_SECONDS:g} s that it may"
        )
    affordable = int((seconds - IMPORT_SECONDS) / (_SMALL * iteration))
    num_iterations = min(max(_MIN_ITERATIONS, affordable), DEFAULTS.num_iterations)
    # 8 leaves and 64 bins lose little where time is short: many small trees beat few large ones.
    return BoostingSettings(num_iterations, min(_MAX_RATE, _REACH / num_iterations), 8, 64)


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
