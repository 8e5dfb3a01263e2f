"""The interface of all metrics, and the sums that they are computed from."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Self

from dlcli.targets.task import Task

if TYPE_CHECKING:
    import numpy as np

    from dlcli.metrics.rows import ScoredRows
    from dlcli.targets.base import TargetValues


class Sums(ABC):
    """Weighted counts and sums over rows, from which metrics are computed.

    They add up: rows can come at once, block by block or as resamples.
    Arrays end with the axes that weights have beyond the rows: weights [rows, resamples] give each
    resample its own sums.
    """

    @abstractmethod
    def add(self, rows: "ScoredRows", weights: "np.ndarray | None" = None) -> None:
        """Add rows, each `weights` [rows, …] times; once without."""

    @abstractmethod
    def __iadd__(self, other: Self) -> Self:
        """Add the sums of other rows."""


class Metric(ABC):
    """A metric: a figure that says how good predictions are."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Its name in the config and in summaries."""

    @property
    @abstractmethod
    def label(self) -> str:
        """Its name on pages."""

    @property
    @abstractmethod
    def tasks(self) -> tuple[Task, ...]:
        """The tasks that have it."""

    @property
    @abstractmethod
    def is_higher_better(self) -> bool:
        """Whether better predictions have a higher value."""

    @property
    def is_share(self) -> bool:
        """Whether it lies between 0 and 1."""
        return False

    @property
    def streaming_note(self) -> str | None:
        """What is approximate where rows come block by block; None: nothing."""
        return None

    def why_undefined(self, values: "TargetValues") -> str | None:
        """Say why it has no value on rows with such targets; None where it has one."""
        del values
        return None

    @abstractmethod
    def new_sums(self, *, is_streamed: bool) -> Sums:
        """Return empty sums of the kind that it is computed from.

        `is_streamed`: in memory that does not grow with the rows.
        """

    @abstractmethod
    def values(self, sums: Any) -> "np.ndarray":  # noqa: ANN401 - of its kind
        """Return the metric of each resample, [] without resamples; NaN where it is undefined."""

    def value(self, sums: Any) -> float | None:  # noqa: ANN401 - of its kind
        """Return the metric of sums without resamples; None where the rows don't define it."""
        value = float(self.values(sums))
        return None if value != value else value
