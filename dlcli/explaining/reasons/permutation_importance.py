"""Permutation importance: how much worse a network gets when a column is shuffled."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import polars as pl

from dlcli.columns.base import Column, OrderedColumn
from dlcli.data.fields import Slots
from dlcli.explaining.explained_model import ExplainedModel
from dlcli.explaining.reasons.features import array_shape
from dlcli.explaining.reasons.permutation import (
    LossIncrease,
    ShufflePlan,
    estimate_increase,
    measure_loss_increase,
)
from dlcli.explaining.reasons.sampling import SampledRows, sample_rows, take, work_per_row
from dlcli.explaining.unavailable import Unavailable
from dlcli.seeds import derive_seed

SECONDS = 2.0
_PRODUCTS = 1.5e10  # multiplications per second of a CPU core of 2020, which are counted, not timed
_WORK_PER_COLUMN = 4e6  # besides its rows: calls and copies
MAX_SHUFFLES = 10
_MIN_SHUFFLES = 2
_MIN_ROWS = 100
_MAX_COMPARED = 10  # columns among which correlated pairs are looked for
_MIN_CORRELATION = 0.8  # rank correlation above which two columns hold much the same information


@dataclass(frozen=True)
class ColumnImportance:
    """The importance of a column, or of a patch of pixels, with a 95 % interval."""

    name: str
    increase: float  # of the loss, in the units of the loss
    low: float
    high: float

    @property
    def is_clear(self) -> bool:
        """Whether shuffling makes the network worse, beyond chance."""
        return self.low > 0


@dataclass(frozen=True)
class CorrelatedPair:
    """Two columns that hold much the same information."""

    first: str
    second: str
    correlation: float  # of ranks, by Spearman


@dataclass(frozen=True)
class PermutationImportance:
    """How much the loss increases when one column is shuffled across rows."""

    sample: SampledRows
    loss: float  # on these rows without shuffling
    columns: tuple[ColumnImportance, ...]  # the highest first
    num_columns: int  # in the data; of very many, those with the largest gradients are measured
    num_shuffles: int
    correlated: tuple[CorrelatedPair, ...]  # among the highest ones
    not_finite: tuple[str, ...]  # columns whose shuffling makes predictions that are not finite
    pixels: np.ndarray | None  # the increases, [height, width] or [channels, length]
    clear: np.ndarray | None  # whether they are above 0 beyond chance, as `pixels`
    is_image: bool  # rather than a signal, where there are pixels
    patch: int  # pixels on a side that were shuffled together
    weight: str | None  # the column that says how much rows count
    group: str | None  # the column whose rows of one value aren't independent
    num_groups: int | None  # that the rows are of; None where rows are independent


def measure_importance(
    model: ExplainedModel, *, seconds: float = SECONDS
) -> PermutationImportance | Unavailable:
    """Shuffle one column of the table after the other across the held-out rows.

    Breiman (2001), Random forests; Fisher, Rudin and Dominici (2019), arXiv:1801.01489, whose
    model reliance this is as a difference. All features that encode a column are shuffled together.
    The work is bounded: where it would be more, there are fewer shuffles, then fewer rows, then
    larger patches of an image or fewer columns. It takes about so many seconds.
    """
    sample, max_work = sample_rows(model, "importance"), seconds * _PRODUCTS
    if len(sample) < 2:
        return Unavailable("a single row can't be shuffled")
    groups = model.groups_of(sample.rows)
    if groups is not None and not groups.any():
        return Unavailable("its rows are of a single group")
    by_column = model.fitted.slots()
    slots = [by_column[column.name] for column in model.fitted.columns]
    shape = array_shape(model)
    if shape is not None:
        return _of_array(model, sample, slots, shape, max_work)
    columns = model.fitted.columns
    chosen = np.arange(len(columns))
    max_groups = _max_groups(model, sample, max_work)
    if len(columns) > max_groups:
        chosen = np.argsort(-estimate_increase(model, sample.rows.encoded, slots), kind="stable")[
            :max_groups
        ]
        chosen = np.sort(chosen)
    names = [columns[index].name for index in chosen]
    used, increases, shuffle_plan = _measure(
        model, sample, [slots[index] for index in chosen], max_work
    )
    found = _in_order(names, increases)
    by_name = {column.name: column for column in columns}
    top = [by_name[importance.name] for importance in found[:_MAX_COMPARED]]
    return PermutationImportance(
        sample=used,
        loss=increases.loss,
        columns=found,
        num_columns=len(columns),
        num_shuffles=shuffle_plan.num_shuffles,
        correlated=_find_correlated(model, sample, top),
        not_finite=_not_finite(names, increases),
        pixels=None,
        clear=None,
        is_image=False,
        patch=1,
        weight=model.fitted.weight,
        group=model.group,
        num_groups=_count_groups(model, used),
    )


def _of_array(
    model: ExplainedModel,
    sample: SampledRows,
    slots: Sequence[Slots],
    shape: tuple[int, ...],
    max_work: float,
) -> PermutationImportance:
    """Shuffle patches, as small as the work allows: all channels of an image, one of a signal."""
    features = np.concatenate([column.indices for column in slots]).reshape(shape)
    if len(shape) == 2:
        features = features[None]  # as an image of one channel, its rows the signal's channels
    _, height, width = features.shape
    is_image = len(shape) == 3
    max_groups = _max_groups(model, sample, max_work)
    for patch in range(1, max(height, width) + 1):
        down = patch if is_image else 1
        corners = [(y, x) for y in range(0, height, down) for x in range(0, width, patch)]
        if len(corners) <= max_groups:
            break
    groups = [
        Slots(slots[0].field, tuple(features[:, y : y + down, x : x + patch].ravel().tolist()))
        for y, x in corners
    ]
    used, increases, shuffle_plan = _measure(model, sample, groups, max_work)
    pixels, clear = np.empty((height, width)), np.empty((height, width), bool)
    for (y, x), mean, reach in zip(corners, increases.mean, increases.reach, strict=True):
        pixels[y : y + down, x : x + patch] = mean if math.isfinite(mean) else np.nan
        clear[y : y + down, x : x + patch] = mean > reach
    names = [
        model.fitted.columns[group.indices[0]].name
        if len(group.indices) == 1
        else f"{'row' if is_image else 'channel'} {y}, {'column' if is_image else 'position'} {x}"
        for group, (y, x) in zip(groups, corners, strict=True)
    ]
    return PermutationImportance(
        sample=used,
        loss=increases.loss,
        columns=_in_order(names, increases),
        num_columns=len(groups),
        num_shuffles=shuffle_plan.num_shuffles,
        correlated=(),
        not_finite=_not_finite(names, increases),
        pixels=pixels,
        clear=clear,
        is_image=is_image,
        patch=patch,
        weight=model.fitted.weight,
        group=model.group,
        num_groups=_count_groups(model, used),
    )


def _max_groups(model: ExplainedModel, sample: SampledRows, max_work: float) -> int:
    """Return how many groups of features there is time for, with the fewest rows and shuffles."""
    passes = min(_MIN_ROWS, len(sample)) * _MIN_SHUFFLES
    return max(1, int(max_work / (passes * work_per_row(model.plan) + _WORK_PER_COLUMN)))


def _measure(
    model: ExplainedModel, sample: SampledRows, groups: Sequence[Slots], max_work: float
) -> tuple[SampledRows, LossIncrease, ShufflePlan]:
    """Measure with as many shuffles, then rows, as there is time for."""
    work = max(0.0, max_work / len(groups) - _WORK_PER_COLUMN)
    passes = int(work / work_per_row(model.plan))
    num_shuffles = min(max(passes // len(sample), _MIN_SHUFFLES), MAX_SHUFFLES, len(sample) - 1)
    num_rows = min(len(sample), max(passes // num_shuffles, _MIN_ROWS))
    generator = np.random.default_rng(derive_seed(model.seed, "importance"))
    if num_rows < len(sample):
        chosen = generator.choice(len(sample), num_rows, replace=False)
        sample = SampledRows(sample.part, take(sample.rows, chosen), sample.num_held)
    shuffle_plan = ShufflePlan(num_shuffles, generator.permutation(num_rows))
    increase = measure_loss_increase(
        model, sample.rows.encoded, groups, shuffle_plan, model.groups_of(sample.rows)
    )
    return sample, increase, shuffle_plan


def _count_groups(model: ExplainedModel, sample: SampledRows) -> int | None:
    groups = model.groups_of(sample.rows)
    return None if groups is None else int(groups.max()) + 1


def _in_order(names: Sequence[str], increases: LossIncrease) -> tuple[ColumnImportance, ...]:
    found = [
        ColumnImportance(name, float(mean), float(mean - reach), float(mean + reach))
        for name, mean, reach in zip(names, increases.mean, increases.reach, strict=True)
        if math.isfinite(mean)
    ]
    return tuple(sorted(found, key=lambda importance: -importance.increase))


def _not_finite(names: Sequence[str], increases: LossIncrease) -> tuple[str, ...]:
    return tuple(
        name for name, mean in zip(names, increases.mean, strict=True) if not math.isfinite(mean)
    )


def _find_correlated(
    model: ExplainedModel, sample: SampledRows, columns: Sequence[Column]
) -> tuple[CorrelatedPair, ...]:
    """Return pairs whose ranks are correlated, among columns that have an order."""
    values = {
        column.name: column.numbers(sample.rows.table, model.fitted.missing_values)
        for column in columns
        if isinstance(column, OrderedColumn)
    }
    ranks = {name: _ranks(numbers) for name, numbers in values.items()}  # of columns without gaps
    found = []
    for first, second in combinations(values, 2):
        one, other = values[first], values[second]
        known = ~(np.isnan(one) | np.isnan(other))
        if known.all():
            pair = ranks[first], ranks[second]
        else:
            pair = _ranks(one[known]), _ranks(other[known])
        if known.sum() < 3 or not np.ptp(pair[0]) or not np.ptp(pair[1]):
            continue
        correlation = float(np.corrcoef(*pair)[0, 1])
        if abs(correlation) > _MIN_CORRELATION:
            found.append(CorrelatedPair(first, second, correlation))
    return tuple(sorted(found, key=lambda pair: -abs(pair.correlation)))


def _ranks(values: np.ndarray) -> np.ndarray:
    """Return the rank of each value, [values], the mean rank of equal ones."""
    return pl.Series(values).rank().to_numpy()
