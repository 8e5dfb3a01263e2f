"""A search space: from points of a unit cube to settings, and back."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from dlcli.config.sections.tune import Spread
from dlcli.trials.trial import canonical_json

Settings = Mapping[str, JsonValue]  # values by the keys that `--set` would name
_DIGITS = 4  # of a sampled number: more would say nothing, and fewer are easier to read


@dataclass(frozen=True)
class Dimension:
    """A key and the values that it can take."""

    key: str
    spread: Spread

    @property
    def num_values(self) -> int | None:
        """How many values there are; None: any number between two bounds."""
        if self.spread.choice is not None:
            return len(self.spread.choice)
        if self.spread.int is not None:
            low, high = self.spread.int
            return high - low + 1
        return None

    @property
    def is_ordered(self) -> bool:
        """Whether its values are numbers, in an order."""
        choice = self.spread.choice
        return choice is None or all(type(value) in (int, float) for value in choice)

    def value(self, share: float) -> JsonValue:
        """Return the value at a place from 0 to 1, 1 excluded."""
        spread = self.spread
        if spread.choice is not None:
            value: JsonValue = spread.choice[int(share * len(spread.choice))]
            return value
        low, high = spread.bounds
        if spread.int is not None:
            return int(low + math.floor(share * (high - low + 1)))
        if spread.log is not None:
            return _rounded(low * (high / low) ** share, low, high)
        return _rounded(low + share * (high - low), low, high)

    def place(self, value: JsonValue) -> float:
        """Return where a value is, from 0 to 1; what `value` makes of it is that value."""
        spread = self.spread
        if spread.choice is not None:
            return (spread.choice.index(value) + 0.5) / len(spread.choice)
        assert isinstance(value, int | float), "it was sampled"
        low, high = spread.bounds
        if spread.int is not None:
            return (value - low + 0.5) / (high - low + 1)
        if spread.log is not None:
            return math.log(value / low) / math.log(high / low)
        return (value - low) / (high - low)


@dataclass(frozen=True)
class Space:
    """The keys that a search sets, each with its values."""

    dimensions: tuple[Dimension, ...]

    @classmethod
    def of(cls, spreads: Mapping[str, Spread]) -> "Space":
        """Return the space of a config's `tune.space`."""
        return cls(tuple(Dimension(key, spread) for key, spread in spreads.items()))

    @property
    def num_settings(self) -> int | None:
        """How many settings there are; None: without end."""
        counts = [dimension.num_values for dimension in self.dimensions]
        return None if None in counts else math.prod(count or 0 for count in counts)

    def settings(self, point: Sequence[float]) -> dict[str, JsonValue]:
        """Return the settings at a point, [dimensions] from 0 to 1, 1 excluded."""
        pairs = zip(self.dimensions, point, strict=True)
        return {dimension.key: dimension.value(share) for dimension, share in pairs}


def identity(settings: Settings) -> str:
    """Return the same text for the same settings."""
    return canonical_json(dict(settings))


def _rounded(value: float, low: float, high: float) -> float:
    return min(high, max(low, float(f"{value:.{_DIGITS}g}")))
