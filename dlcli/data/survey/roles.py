"""Recognising columns that say which rows belong together, and which come later."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from dlcli.columns.cells import parse_numbers, to_labels
from dlcli.columns.family import infer_kind
from dlcli.targets.task import Task

_MIN_VALUES = 10  # different groups or times, to be split
_MIN_SHARE = 0.1  # of the rows that are not alone in their group
_MAX_ROWS = 100  # in a group on average, of a column that isn't named like an identifier
_BEYOND_CHANCE = 4.0  # standard errors
_SAME = 0.9  # correlation of the rows of a group from which they are near-duplicates
_SORTED = 0.99  # share of the rows that are not before the row above them
_MAX_GROUPS, _MAX_PAIRS = 2_000, 5_000  # that are looked at
_FEW = 1_000  # rows that tell a column's kind at first
_EARLY = 0.6  # share of the rows that train at least

_ENTITY = re.compile(
    "ids?|uuid|guid|patient|customer|user|client|subject|person|participant|member|student|employee"
    "|household|family|account|device|session|visitor|animal|donor|respondent|player|driver|owner"
    "|author|speaker|machine"
)
_NUMBERED = re.compile("no|nr|number|num|code|key|name|hash")
_TIME = re.compile("timestamp|time|datetime|date|year")
_FUTURE = re.compile("next|future|tomorrow|forecast|upcoming|later|ahead|churn|churned|will")


@dataclass(frozen=True)
class SplitRole:
    """A column to split by, and why."""

    key: Literal["group", "time"]
    column: str
    reason: str  # a sentence without its end

    @property
    def consequence(self) -> str:
        """What splitting by it means, and how to do without."""
        if self.key == "group":
            return (
                f"each '{self.column}' is in one part only, and '{self.column}' is no feature "
                "(data.split.group); to predict for the ones that are known already, take it out "
                "of data.split"
            )
        return (
            f"the latest rows test (data.split.time), and '{self.column}' is no feature, as later "
            "rows have times that training hasn't seen; to learn from it nevertheless, name it in "
            "data.features"
        )


def find_split_roles(
    columns: Mapping[str, pl.Series], target: pl.Series, task: Task
) -> list[SplitRole]:
    """Return columns to split by, null where missing, the one to take first.

    `target` is numbers, or labels. A column of sorted times goes before one of identifiers.
    """
    if len(columns) < 2:
        return []  # nothing would be left to learn from
    codes = target.rank("dense").to_numpy()
    values = parse_numbers(target).to_numpy() if task == "regression" else codes
    found = [_as_time(cells, target, task) for cells in columns.values()]
    times = sorted((role for role in found if role is not None), key=_has_order, reverse=True)
    groups = [_as_group(cells, columns, values, task) for cells in columns.values()]
    ranked = sorted((group for group in groups if group is not None), key=lambda group: group[0])
    return [*times, *(role for _, role in ranked)]


def _has_order(role: SplitRole) -> bool:
    return "from row to row" in role.reason


def _as_group(
    cells: pl.Series, columns: Mapping[str, pl.Series], target: np.ndarray, task: Task
) -> tuple[tuple[bool, int], SplitRole] | None:
    """Return the role of a column whose rows of one value are alike, with its rank."""
    is_named, num_values = _names_entity(cells.name), cells.drop_nulls().n_unique()
    is_small = len(cells) <= _MAX_ROWS * num_values
    if num_values < _MIN_VALUES or not (is_named or is_small) or not _may_identify(cells):
        return None
    if len(cells) - cells.null_count() - num_values < _MIN_SHARE * len(cells):
        return None
    first, second = _pairs(to_labels(cells))
    num_groups = cells.gather(first).n_unique()
    if num_groups < _MIN_VALUES:
        return None
    alike = _alike(target, first, second, num_groups, is_class=task != "regression")
    both = np.concatenate([first, second])
    others = [column.gather(both) for column in columns.values() if column.name != cells.name]
    same = [_is_same(column) for column in others]
    are_duplicates = len(same) >= 2 and sum(same) * 2 >= len(same)
    if is_named and not (alike or are_duplicates):
        return None
    if not is_named and not are_duplicates:
        return None
    what = alike or f"{sum(same)} of the {len(same)} other columns are nearly the same in them"
    reason = (
        f"'{cells.name}' has {num_values:,} values in {len(cells):,} rows, and the rows of one "
        f"value belong together: {what}"
    )
    return (not is_named, num_values), SplitRole("group", cells.name, reason)


def _may_identify(cells: pl.Series) -> bool:
    """Say whether cells are text or whole numbers."""
    inference = infer_kind(cells)
    kind = inference.kind
    if kind is None or kind.axis == "time":
        return inference.mixed  # numbers and text, such as 1017 and A1018
    if kind.axis == "category":
        return cells.dtype == pl.String
    numbers = parse_numbers(cells).drop_nulls()
    return bool(kind.accepts_numbers and len(numbers) and (numbers.floor() == numbers).all())


def _pairs(labels: pl.Series) -> tuple[np.ndarray, np.ndarray]:
    """Return pairs of rows of one value, each row with another one: [pairs], twice."""
    known = labels.drop_nulls().unique(maintain_order=True)
    chosen = np.linspace(0, len(known) - 1, min(len(known), _MAX_GROUPS)).astype(np.int64)
    rows = labels.is_in(known.gather(chosen).implode()).arg_true().to_numpy()
    order = np.random.default_rng(0).permutation(rows)  # the order of the file says nothing
    codes = labels.gather(order).rank("dense").to_numpy()
    by_code = np.argsort(codes, kind="stable")
    order, codes = order[by_code], codes[by_code]
    pairs = np.flatnonzero(codes[:-1] == codes[1:])
    if len(pairs) > _MAX_PAIRS:
        pairs = pairs[np.linspace(0, len(pairs) - 1, _MAX_PAIRS).astype(np.int64)]
    return order[pairs], order[pairs + 1]


def _alike(
    values: np.ndarray, first: np.ndarray, second: np.ndarray, num_groups: int, *, is_class: bool
) -> str | None:
    """Say how alike the target of the rows of a pair is; None where that may be chance."""
    if is_class:
        shares = np.unique(values, return_counts=True)[1] / len(values)
        chance, found = float((shares**2).sum()), float((values[first] == values[second]).mean())
        error = np.sqrt(chance * (1 - chance) / num_groups)
        if not error or found - chance < _BEYOND_CHANCE * error:
            return None
        return f"{found:.0%} of pairs of them have the same target, {chance:.0%} of any two rows"
    correlation = _correlation(values, first, second)
    if correlation * np.sqrt(num_groups) < _BEYOND_CHANCE:
        return None
    return f"their targets are correlated, by {correlation:.2f}"


def _is_same(cells: pl.Series) -> bool:
    """Say whether the rows of a pair hardly differ in a column that differs elsewhere.

    The first row of each pair is in the first half, the second one in the other.
    """
    first, second = np.split(np.arange(len(cells)), 2)
    kind = infer_kind(cells).kind
    if kind is not None and kind.axis == "number":
        return _correlation(kind.parse(cells).to_numpy().astype(float), first, second) >= _SAME
    codes = to_labels(cells).rank("dense").fill_null(0).to_numpy()
    shares = np.unique(codes, return_counts=True)[1] / len(codes)
    chance, found = float((shares**2).sum()), float((codes[first] == codes[second]).mean())
    return chance < 1 and (found - chance) / (1 - chance) >= _SAME


def _correlation(values: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
    """Return the intraclass correlation of pairs, of ranks; 0 where there is none."""
    known = ~(np.isnan(values[first]) | np.isnan(values[second]))
    if known.sum() < _MIN_VALUES:
        return 0.0
    both = np.concatenate([values[first][known], values[second][known]])
    x, y = np.split(pl.Series(both).rank().to_numpy() - (len(both) + 1) / 2, 2)
    spread = float((x**2 + y**2).mean() / 2)
    return float((x * y).mean() / spread) if spread else 0.0


def _as_time(cells: pl.Series, target: pl.Series, task: Task) -> SplitRole | None:
    """Return the role of a column of times by which rows are sorted, or of a future target."""
    kind = infer_kind(cells.head(_FEW)).kind
    is_dated = kind is not None and kind.axis == "time"
    is_named = kind is not None and kind.accepts_numbers and _has_word(cells.name, _TIME)
    if kind is None or not (is_dated or is_named) or cells.null_count():
        return None
    parsed = kind.parse(cells)
    times = parsed.to_physical().to_numpy().astype(float)
    if parsed.null_count() or len(np.unique(times)) < _MIN_VALUES:
        return None
    if task != "regression":
        early = target.gather(np.argsort(times, kind="stable")[: int(_EARLY * len(times))])
        if early.n_unique() < target.n_unique():
            return None  # a class comes too late to be learned
    steps = np.diff(times)
    if max((steps >= 0).mean(), (steps <= 0).mean()) >= _SORTED:
        direction = "increases" if (steps >= 0).mean() >= _SORTED else "decreases"
        return SplitRole("time", cells.name, f"'{cells.name}' {direction} from row to row")
    if is_dated and _has_word(target.name, _FUTURE):
        reason = f"'{target.name}' is about the future, and '{cells.name}' says when a row is from"
        return SplitRole("time", cells.name, reason)
    return None


def _names_entity(name: str) -> bool:
    """Say whether a column is named like one of many: patient, userId, USER NO; not user_age."""
    words = _words(name)
    while words and _NUMBERED.fullmatch(words[-1]):
        words = words[:-1]
    return bool(words) and _ENTITY.fullmatch(words[-1]) is not None


def _has_word(name: str, pattern: re.Pattern[str]) -> bool:
    return any(pattern.fullmatch(word) for word in _words(name))


def _words(name: str) -> list[str]:
    """Return the words of a column's name in lower case: those of userId, user_id and USER ID."""
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)]
