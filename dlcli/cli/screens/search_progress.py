"""A search's progress: a live line on a terminal, a line per round elsewhere."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from dlcli.cli.screens.comparison_progress import StageLines, show_nodes, show_stage
from dlcli.cli.screens.terminal import can_redraw

if TYPE_CHECKING:
    from dlcli.trials.running.backend import NodesChanged
    from dlcli.trials.running.executor import StageStarted, TrialFinished
    from dlcli.trials.running.workers import StepsTaken
    from dlcli.trials.searching.search import Search

_REFRESH_SECONDS = 0.25


class LiveLine:
    """A progress bar of the round's steps, with the best figure so far."""

    def __init__(self, console: Console, live: Live, search: "Search") -> None:
        self._console, self._live, self._search = console, live, search
        self._shown, self._best = 0.0, ""
        self._bar: Progress | None = None

    def begin_stage(self, stage: "StageStarted") -> None:
        """Print which trials begin, and start a bar for them."""
        show_stage(self._console, stage)
        entries = self._search.conclude()
        if entries and math.isfinite(entries[0].value):
            self._best = f"best {self._search.config.metric} {entries[0].figure:.4g}"
        self._num_over, self._num_trials = 0, stage.num_trials
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[trials]}"),
            TimeElapsedColumn(),
            TextColumn("at most", style="dim"),
            TimeRemainingColumn(),
            auto_refresh=False,
        )
        self._task = self._bar.add_task(stage.title, total=stage.max_steps, trials=self._count())
        self._draw()

    def show_steps(self, taken: "StepsTaken") -> None:
        """Move the bar."""
        if self._bar is not None:
            self._bar.advance(self._task, taken.num_steps)
        self._draw()

    def show_run(self, over: "TrialFinished") -> None:
        """Count a finished trial, and take the steps that it saved off the bar."""
        self._num_over += 1
        if self._bar is not None:
            total = (self._bar.tasks[0].total or 0) - over.num_steps_saved
            self._bar.update(self._task, total=total, trials=self._count())
        self._draw()

    def show_nodes(self, changed: "NodesChanged") -> None:
        """Print how many nodes are there now."""
        show_nodes(self._console, changed)

    def _count(self) -> str:
        return f"{self._num_over}/{self._num_trials} trials  {self._best}".rstrip()

    def _draw(self) -> None:
        if time.perf_counter() - self._shown < _REFRESH_SECONDS or self._bar is None:
            return
        self._shown = time.perf_counter()
        self._live.update(self._bar, refresh=True)


@contextmanager
def open_search_progress(console: Console, search: "Search") -> Iterator[StageLines | LiveLine]:
    """Open the display that suits the screen."""
    if not can_redraw(console):
        yield StageLines(console)
        return
    # No thread of rich's: processes are forked meanwhile.
    with Live(console=console, auto_refresh=False, transient=True) as live:
        yield LiveLine(console, live, search)
