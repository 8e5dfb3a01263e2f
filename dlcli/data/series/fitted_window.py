"""What a forecast's windows are: plain data that travels in the checkpoint."""

from collections.abc import Iterator, Sequence
from typing import Annotated

import numpy as np
from pydantic import Field

from dlcli.columns.base import Column
from dlcli.config.sections.window import Fill
from dlcli.data.series.arranging import Series
from dlcli.data.series.calendar_features import SLOTS, Cycle, encode_cycles
from dlcli.data.series.time_axis import TimeAxis
from dlcli.section import PositiveInt, Section
from dlcli.tables.names import ColumnName


class FittedWindow(Section):
    """How long windows are, and which channels they have.

    Channels are those of the columns, as they were, and then what is known of the steps to come:
    of the known columns and the calendar, at each step of the past, as it is `lead` steps later. So
    all channels are as long as the past, and the last steps of a lead are those of the horizon.
    """

    axis: TimeAxis
    group: ColumnName | None = None
    past: PositiveInt
    horizon: PositiveInt
    known: Annotated[tuple[ColumnName, ...], Field(strict=False)] = ()
    cycles: Annotated[tuple[Cycle, ...], Field(strict=False)] = ()
    fill: Fill | None = None
    season: PositiveInt | None = None  # of the last-season baseline

    @property
    def leads(self) -> tuple[int, ...]:
        """How far ahead known channels are, so that they cover the whole horizon."""
        ends = range(self.past, self.horizon + self.past, self.past)
        return tuple(min(end, self.horizon) for end in ends)

    def channels(self, columns: Sequence[Column]) -> Iterator[tuple[str, int]]:
        """Yield the name of each group of channels, and how many there are of it."""
        for column in columns:
            yield column.name, column.num_slots
        for lead in self.leads:
            for column in columns:
                if column.name in self.known:
                    yield f"{column.name}, {lead} ahead", column.num_slots
            for cycle in self.cycles:
                yield f"{cycle}, {lead} ahead", SLOTS

    def with_leads(
        self, numbers: np.ndarray, columns: Sequence[Column], series: Series
    ) -> np.ndarray:
        """Return all channels, float32 [steps, channels], from those of the columns.

        What lies behind the end of a series, of the known columns, is 0.
        """
        known = np.concatenate(
            [np.full(column.num_slots, column.name in self.known) for column in columns]
        )
        found = [numbers]
        for lead in self.leads:
            ahead = np.zeros((len(numbers), int(known.sum())), np.float32)
            for _, start, stop in series.ends():
                ahead[start : max(start, stop - lead)] = numbers[start + lead : stop][:, known]
            times = series.axis.times(series.positions + lead, series.origin)
            found += [ahead, encode_cycles(self.cycles, times).astype(np.float32)]
        return np.ascontiguousarray(np.concatenate(found, axis=1))
