"""Windows over series on the device: each batch is cut from one array when it is needed."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from dlcli.data.signature import NUMBERS
from dlcli.data.windows.windows import Windows
from dlcli.training.rows.batches import Rows, epoch_order, rows_in_window
from dlcli.training.rows.companions import Companions


@dataclass(frozen=True)
class WindowRows:
    """Windows that share one copy of the series, however many steps they have in common."""

    past: Tensor  # a view of the series, [windows at all steps, channels, past]
    coming: Tensor  # a view of the targets, [windows at all steps, numbers, horizon]
    origins: Tensor  # the place among all steps of each window's first step, int64 [windows]
    num_past: int
    target: str  # the field of what is predicted

    @classmethod
    def of(cls, part: Windows, device: torch.device) -> "WindowRows":
        """Copy the series to the device, once."""
        series = part.series
        inputs = torch.from_numpy(series.inputs).to(device)
        targets = torch.from_numpy(series.targets).to(device)
        return cls(
            inputs.unfold(0, series.past, 1),
            targets.unfold(0, series.horizon, 1),
            torch.from_numpy(part.origins).to(device),
            series.past,
            part.target,
        )

    def __len__(self) -> int:
        return len(self.origins)

    @property
    def device(self) -> torch.device:
        """Where they are."""
        return self.origins.device

    def head(self, num_rows: int) -> Rows:
        """Return the first windows, each with its own numbers."""
        return self._at(self.origins[:num_rows])

    def take(self, chosen: Tensor) -> Rows:
        """Return some windows by their indices, int64 [chosen]."""
        return self._at(self.origins[chosen])

    def blocks(self) -> Iterator[Rows]:
        """Yield all windows in the order of time."""
        for some in torch.split(self.origins, self._rows_at_once(1)):
            yield self._at(some)

    def windows(
        self,
        *,
        seed: int,
        epoch: int,
        multiple: int,
        start: int,
        companions: Companions = "nothing",
    ) -> Generator[Rows, None, None]:
        """Yield the windows in an epoch's order, see `BatchSource`."""
        assert companions == "nothing", "series aren't augmented"
        order = epoch_order(len(self), seed=seed, epoch=epoch).to(self.device)
        size = self._rows_at_once(multiple)
        for first in range(start // size * size, len(self), size):
            some = self.take(order[first : first + size])
            yield some.cut(max(0, start - first), len(some))

    def _rows_at_once(self, multiple: int) -> int:
        return rows_in_window(self.past[0].numel() * self.past.itemsize, multiple)

    def _at(self, origins: Tensor) -> Rows:
        inputs = self.past.index_select(0, origins - self.num_past).flatten(1)
        targets = self.coming.index_select(0, origins).flatten(1)
        return Rows({NUMBERS: inputs}, {self.target: targets}, len(origins))
