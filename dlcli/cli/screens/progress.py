"""Training progress: a live bar on a terminal, lines of epochs elsewhere."""

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from rich.console import Console, Group
from rich.text import Text

from dlcli.cli.screens.terminal import can_redraw, open_status
from dlcli.numbers import number_text

if TYPE_CHECKING:
    from rich.progress import Progress

    from dlcli.data.stream import Reading
    from dlcli.training import loop

Result = TypeVar("Result")
_REDRAW_SECONDS = 0.1  # between two updates of the bar
_MAX_LINES = 3000  # of a log in which each epoch has one


class EpochLines:
    """A line for each epoch, for logs; of thousands, the first ones, every tenth, and the best.

    The first epoch of a run that is resumed, and the last one, have a line in any case.
    """

    def __init__(self, console: Console, num_epochs: int, record: Path) -> None:
        self._console = console
        self._num_epochs = num_epochs
        self._record = record
        self._interval = 0  # nothing is shown yet
        self._best: loop.EpochResult | None = None  # since the last line
        self._last: loop.EpochResult | None = None

    def show_progress(self, progress: "loop.Progress") -> None:
        """Do nothing: only finished epochs are printed."""

    def show_epoch(self, result: "loop.EpochResult") -> None:
        """Print the epoch, or keep it until it is known to be the best or the last."""
        interval, is_first = _interval(result.epoch), self._interval == 0
        if interval > max(1, self._interval):
            self._console.print(
                f"from epoch {result.epoch:,} on, a line for every {interval:,}th epoch and the "
                f"best one between; all epochs are in {self._record}",
                markup=False,
                soft_wrap=True,
            )
        self._interval = interval
        self._best = result if result.is_best else self._best
        self._last = result
        if is_first or result.epoch % interval == 0:
            self.show_kept()

    def show_kept(self) -> None:
        """Print the best epoch since the last line, and the last one."""
        best, last = self._best, self._last
        self._best = self._last = None
        for result in (best, None if last is best else last):
            if result is not None:
                text = f"epoch {result.epoch}/{self._num_epochs}  {describe(result)}"
                self._console.print(text, soft_wrap=True)


def _interval(epoch: int) -> int:
    """Return how many epochs share a line: 1, then ten times as many from a limit on, and so on."""
    interval = 1
    while epoch > _MAX_LINES * interval:
        interval *= 10
    return interval


class LiveBar:
    """A progress bar with the metrics of the last epoch below it, redrawn in place."""

    def __init__(
        self,
        progress: "Progress",
        figures: Text,
        *,
        num_epochs: int,
        rows_per_epoch: int,
        first_epoch: int,
    ) -> None:
        self._progress = progress
        self._figures = figures
        self._num_epochs = num_epochs
        self._rows_per_epoch = rows_per_epoch
        self._started = self._shown = time.perf_counter()
        self._num_rows_before = (first_epoch - 1) * rows_per_epoch
        self._task = progress.add_task(
            "",
            total=num_epochs * rows_per_epoch,
            completed=self._num_rows_before,
            epoch=f"epoch {first_epoch}/{num_epochs}",
            left="",
        )

    def show_progress(self, progress: "loop.Progress") -> None:
        """Move the bar, at most ten times a second."""
        if time.perf_counter() - self._shown < _REDRAW_SECONDS:
            return
        self._shown = time.perf_counter()
        self._move((progress.epoch - 1) * self._rows_per_epoch + progress.num_rows, progress.epoch)

    def show_epoch(self, result: "loop.EpochResult") -> None:
        """Move the bar and show the epoch's metrics."""
        self._figures.plain = describe(result)
        self._move(result.epoch * self._rows_per_epoch, result.epoch)

    def _move(self, num_rows: int, epoch: int) -> None:
        seconds = time.perf_counter() - self._started
        rate = (num_rows - self._num_rows_before) / seconds if seconds else 0.0
        left = (self._num_epochs * self._rows_per_epoch - num_rows) / rate if rate else 0.0
        self._progress.update(
            self._task,
            completed=num_rows,
            epoch=f"epoch {epoch}/{self._num_epochs}",
            left=f"{rate:,.0f} rows/s, at most {_duration(left)} left",
        )


@contextmanager
def open_progress(
    console: Console, *, num_epochs: int, rows_per_epoch: int, first_epoch: int, record: Path
) -> Iterator[EpochLines | LiveBar]:
    """Open a live bar on a terminal, plain lines elsewhere, which name the record of all epochs."""
    if not can_redraw(console):
        lines = EpochLines(console, num_epochs, record)
        try:
            yield lines
        finally:
            lines.show_kept()
        return
    from rich.live import Live
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.fields[epoch]}"),
        BarColumn(bar_width=20),
        TextColumn("{task.fields[left]}", style="dim"),
        TimeElapsedColumn(),
    )
    progress, figures = Progress(*columns), Text()
    with Live(Group(progress, figures), console=console, refresh_per_second=8):
        yield LiveBar(
            progress,
            figures,
            num_epochs=num_epochs,
            rows_per_epoch=rows_per_epoch,
            first_epoch=first_epoch,
        )


def follow_reading(
    console: Console, reading: "Generator[Reading, None, Result]", *, lasting: bool = True
) -> "Result":
    """Show how many rows are read; return the generator's result. With `lasting`, lines stay."""
    shown = 0.0
    with ExitStack() as stack:
        show: Callable[[str], None] | None = None
        while True:
            try:
                now = next(reading)
            except StopIteration as end:
                result: Result = end.value
                return result
            text = f"read {now.source} for {now.purpose}: {now.num_rows:,} rows"
            if now.is_over and lasting:
                console.print(f"{text} in {now.seconds:.1f} s", markup=False, soft_wrap=True)
            elif time.perf_counter() - shown >= _REDRAW_SECONDS:
                shown = time.perf_counter()
                show = show or stack.enter_context(open_status(console))
                show(text)


def describe(result: "loop.EpochResult") -> str:
    """Write an epoch's metrics on one line."""
    text = f"train loss {result.train_loss:.4g}"
    for name, value in (result.validation or {}).items():
        if value is not None:
            text += f"  {'validation ' if name == 'loss' else ''}{name} {number_text(value, 4)}"
    return f"{text}  best: epoch {result.best_epoch}  lr {result.lr:.3g}  {result.seconds:.2f} s"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
