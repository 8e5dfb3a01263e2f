"""How much worse a network gets when it can't use a column: permutation importance."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from dlcli.columns.base import Column, OrderedColumn
from dlcli.data.fields import Slots
from dlcli.explaining.explained_model import ExplainedModel
from dlcli.explaining.reasons.features import array_shape
from dlcli.explaining.reasons.permutation import Effort, LossIncrease, measure_rises, promises
from dlcli.explaining.reasons.sampling import SampledRows, asked_rows, take, work_a_row
from dlcli.explaining.unavailable import Unavailable
from dlcli.seeds import derive_seed

_MAX_WORK = 3e10  # multiplications: two seconds or three
_WORK_A_COLUMN = 4e6  # beside its rows: calls, and what is copied
MAX_SHUFFLES = 10
_MIN_SHUFFLES = 2
_MIN_ROWS = 100
_TOP = 10  # columns of which pairs that say the same are looked for
_ALIKE = 0.8  # the rank correlation from which on two columns say much the same


@dataclass(frozen=True)
class Importance:
    """A column's, or that of a patch of pixels, with an interval of 95 %."""

    name: str
    rise: float  # of the loss, in its own units
    low: float
    high: float

    @property
    def is_clear(self) -> bool:
        """Whether the network is worse without it, beyond chance."""
        return self.low > 0


@dataclass(frozen=True)
class Alike:
    """Two columns that say much the same."""

    first: str
    second: str
    correlation: float  # of ranks, by Spearman


@dataclass(frozen=True)
class Importances:
    """How much the loss rises when one column is shuffled among the rows."""

    asked: SampledRows
    loss: float  # on these rows as they are, in its own units
    columns: tuple[Importance, ...]  # the highest first
    num_columns: int  # that there are; where they are more, those are measured that promise most
    num_shuffles: int
    alike: tuple[Alike, ...]  # among the highest ones
    endless: tuple[str, ...]  # whose shuffling makes answers that are no finite numbers
    pixels: np.ndarray | None  # the rises, [height, width] or [channels, length]
    clear: np.ndarray | None  # whether they are beyond chance, as `pixels`
    is_image: bool  # rather than a signal, where there are pixels
    patch: int  # pixels on a side that were shuffled together


def measure_importance(subject: ExplainedModel) -> Importances | Unavailable:
    """Shuffle one column of the table after the other among the held-out rows.

    Breiman (2001), Random forests; Fisher, Rudin and Dominici (2019), arXiv:1801.01489, whose
    model reliance this is as a difference. All that a column is encoded as is shuffled together.
    The work is bounded: where it would be more, there are fewer shuffles, then fewer rows, then
    larger patches of an image or fewer columns.
    """
    asked = asked_rows(subject, "importance")
    if len(asked) < 2:
        return Unavailable("a single row has no other to be shuffled with")
    by_column = subject.fitted.slots()
    slots = [by_column[column.name] for column in subject.fitted.columns]
    shape = array_shape(subject)
    if shape is not None:
        return _of_array(subject, asked, slots, shape)
    columns = subject.fitted.columns
    chosen = np.arange(len(columns))
    most = _most_groups(subject, asked)
    if len(columns) > most:
        chosen = np.argsort(-promises(subject, asked.rows.encoded, slots), kind="stable")[:most]
        chosen = np.sort(chosen)
    names = [columns[index].name for index in chosen]
    own, rises, effort = _measure(subject, asked, [slots[index] for index in chosen])
    found = _in_order(names, rises)
    by_name = {column.name: column for column in columns}
    top = [by_name[importance.name] for importance in found[:_TOP]]
    return Importances(
        asked=own,
        loss=rises.loss,
        columns=found,
        num_columns=len(columns),
        num_shuffles=effort.num_shuffles,
        alike=_find_alike(subject, asked, top),
        endless=_endless(names, rises),
        pixels=None,
        clear=None,
        is_image=False,
        patch=1,
    )


def _of_array(
    subject: ExplainedModel, asked: SampledRows, slots: Sequence[Slots], shape: tuple[int, ...]
) -> Importances:
    """Shuffle patches, as small as the work allows: all channels of an image, one of a signal."""
    places = np.concatenate([own.indices for own in slots]).reshape(shape)
    if len(shape) == 2:
        places = places[None]  # as an image of one channel, its rows the signal's channels
    _, height, width = places.shape
    is_image = len(shape) == 3
    most = _most_groups(subject, asked)
    for patch in range(1, max(height, width) + 1):
        down = patch if is_image else 1
        corners = [(y, x) for y in range(0, height, down) for x in range(0, width, patch)]
        if len(corners) <= most:
            break
    groups = [
        Slots(slots[0].field, tuple(places[:, y : y + down, x : x + patch].ravel().tolist()))
        for y, x in corners
    ]
    own, rises, effort = _measure(subject, asked, groups)
    pixels, clear = np.empty((height, width)), np.empty((height, width), bool)
    for (y, x), mean, reach in zip(corners, rises.mean, rises.reach, strict=True):
        pixels[y : y + down, x : x + patch] = mean if math.isfinite(mean) else np.nan
        clear[y : y + down, x : x + patch] = mean > reach
    names = [
        subject.fitted.columns[group.indices[0]].name
        if len(group.indices) == 1
        else f"{'row' if is_image else 'channel'} {y}, {'column' if is_image else 'place'} {x}"
        for group, (y, x) in zip(groups, corners, strict=True)
    ]
    return Importances(
        asked=own,
        loss=rises.loss,
        columns=_in_order(names, rises),
        num_columns=len(groups),
        num_shuffles=effort.num_shuffles,
        alike=(),
        endless=_endless(names, rises),
        pixels=pixels,
        clear=clear,
        is_image=is_image,
        patch=patch,
    )


def _most_groups(subject: ExplainedModel, asked: SampledRows) -> int:
    """Return how many groups of features there is time for, with the least effort."""
    passes = min(_MIN_ROWS, len(asked)) * _MIN_SHUFFLES
    return max(1, int(_MAX_WORK / (passes * work_a_row(subject.plan) + _WORK_A_COLUMN)))


def _measure(
    subject: ExplainedModel, asked: SampledRows, groups: Sequence[Slots]
) -> tuple[SampledRows, LossIncrease, Effort]:
    """Measure with as many shuffles, then rows, as there is time for."""
    work = max(0.0, _MAX_WORK / len(groups) - _WORK_A_COLUMN)
    passes = int(work / work_a_row(subject.plan))
    num_shuffles = min(max(passes // len(asked), _MIN_SHUFFLES), MAX_SHUFFLES, len(asked) - 1)
    num_rows = min(len(asked), max(passes // num_shuffles, _MIN_ROWS))
    generator = np.random.default_rng(derive_seed(subject.seed, "importance"))
    if num_rows < len(asked):
        chosen = generator.choice(len(asked), num_rows, replace=False)
        asked = SampledRows(asked.part, take(asked.rows, chosen), asked.num_held)
    effort = Effort(num_shuffles, generator.permutation(num_rows))
    return asked, measure_rises(subject, asked.rows.encoded, groups, effort), effort


def _in_order(names: Sequence[str], rises: LossIncrease) -> tuple[Importance, ...]:
    found = [
        Importance(name, float(mean), float(mean - reach), float(mean + reach))
        for name, mean, reach in zip(names, rises.mean, rises.reach, strict=True)
        if math.isfinite(mean)
    ]
    return tuple(sorted(found, key=lambda importance: -importance.rise))


def _endless(names: Sequence[str], rises: LossIncrease) -> tuple[str, ...]:
    return tuple(
        name for name, mean in zip(names, rises.mean, strict=True) if not math.isfinite(mean)
    )


def _find_alike(
    subject: ExplainedModel, asked: SampledRows, columns: Sequence[Column]
) -> tuple[Alike, ...]:
    """Return pairs whose ranks are correlated, among columns that have an order."""
    values = {
        column.name: column.numbers(asked.rows.table, subject.fitted.missing_values)
        for column in columns
        if isinstance(column, OrderedColumn)
    }
    found = []
    for index, first in enumerate(values):
        for second in list(values)[index + 1 :]:
            one, other = values[first], values[second]
            known = ~(np.isnan(one) | np.isnan(other))
            if known.sum() < 3 or not np.ptp(one[known]) or not np.ptp(other[known]):
                continue
            ranks = [pl.Series(each[known]).rank().to_numpy() for each in (one, other)]
            correlation = float(np.corrcoef(ranks[0], ranks[1])[0, 1])
            if abs(correlation) > _ALIKE:
                found.append(Alike(first, second, correlation))
    return tuple(sorted(found, key=lambda pair: -abs(pair.correlation)))
