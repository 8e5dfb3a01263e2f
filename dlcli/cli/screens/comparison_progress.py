"""A comparison's progress: a live table on a terminal, a line per stage elsewhere."""

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from dlcli.cli.screens.cluster import count_cores, count_nodes
from dlcli.cli.screens.terminal import can_redraw

if TYPE_CHECKING:
    from dlcli.trials.comparing.protocol import ComparisonProtocol
    from dlcli.trials.results import TrialResult
    from dlcli.trials.running.backend import NodesChanged
    from dlcli.trials.running.executor import StageStarted, TrialFinished
    from dlcli.trials.running.workers import StepsTaken

_REFRESH_SECONDS = 0.25  # between two updates of the table


class StageLines:
    """A plain line for each stage, for files and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def begin_stage(self, stage: "StageStarted") -> None:
        """Print which runs begin, and how they are executed."""
        show_stage(self._console, stage)

    def show_steps(self, taken: "StepsTaken") -> None:
        """Print nothing within a stage."""

    def show_run(self, over: "TrialFinished") -> None:
        """Print nothing for each run."""

    def show_nodes(self, changed: "NodesChanged") -> None:
        """Print how many nodes are there now."""
        show_nodes(self._console, changed)


class LiveTable:
    """A progress bar of the stage's steps, and a row of results for each optimizer."""

    def __init__(self, console: Console, live: Live, protocol: "ComparisonProtocol") -> None:
        self._console = console
        self._live = live
        self._protocol = protocol
        self._runs: dict[str, list[TrialResult]] = {name: [] for name in protocol.optimizers}
        self._judged: dict[str, list[float]] = {name: [] for name in protocol.optimizers}
        self._shown = 0.0
        self._bar: Progress | None = None

    def begin_stage(self, stage: "StageStarted") -> None:
        """Print which runs begin, and start a bar for them."""
        show_stage(self._console, stage)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[runs]}"),
            TimeElapsedColumn(),
            TextColumn("at most", style="dim"),
            TimeRemainingColumn(),
            auto_refresh=False,
        )
        self._num_runs, self._num_over = stage.num_trials, 0
        self._num_nodes = stage.num_nodes
        self._task = self._bar.add_task(stage.title, total=stage.max_steps, runs=self._count_runs())
        self._draw()

    def show_steps(self, taken: "StepsTaken") -> None:
        """Move the bar."""
        if self._bar is not None:
            self._bar.advance(self._task, taken.num_steps)
        self._draw()

    def show_run(self, over: "TrialFinished") -> None:
        """Add a finished run to the table, and take the steps that it saved off the bar."""
        self._num_over += 1
        for name in self._protocol.names_of(over.result.trial):
            self._runs[name].append(over.result)
            if over.result.figures is not None and over.result.is_sound:
                self._judged[name].append(over.result.best_loss)
        if self._bar is not None:
            task = self._bar.tasks[0]
            self._bar.update(
                self._task,
                total=(task.total or 0) - over.num_steps_saved,
                runs=self._count_runs(),
            )
        self._draw()

    def show_nodes(self, changed: "NodesChanged") -> None:
        """Print how many nodes are there now, and count them beside the bar."""
        show_nodes(self._console, changed)
        self._num_nodes = changed.num_nodes
        if self._bar is not None:
            self._bar.update(self._task, runs=self._count_runs())
        self._draw()

    def _count_runs(self) -> str:
        runs = f"{self._num_over}/{self._num_runs} runs"
        return runs if self._num_nodes is None else f"{runs} on {count_nodes(self._num_nodes)}"

    def _draw(self) -> None:
        if time.perf_counter() - self._shown < _REFRESH_SECONDS:
            return
        self._shown = time.perf_counter()
        table = Table("optimizer")
        for title in ("runs", "diverged", "best lr", "tuning loss", "judging loss"):
            table.add_column(title, justify="right")
        choices = self._protocol.choices
        for name, runs in self._runs.items():
            choice, judged = choices[name], self._judged[name]
            table.add_row(
                escape(name),
                str(len(runs)),
                str(sum(not run.is_sound for run in runs) or ""),
                f"{choice.lr:g}" if choice else "",
                f"{choice.loss:.4g}" if choice else "",
                f"{statistics.mean(judged):.4g}" if judged else "",
            )
        assert self._bar is not None, "a stage has begun"
        self._live.update(Group(table, self._bar), refresh=True)


def show_stage(console: Console, stage: "StageStarted") -> None:
    """Print which runs begin, and how they are executed."""
    console.print(f"[bold]{stage.title}[/]: {stage.num_trials:,} runs, {escape(stage.execution)}")


def show_nodes(console: Console, changed: "NodesChanged") -> None:
    """Print which nodes of a cluster went away or joined."""
    lost, joined = changed.num_lost, changed.num_joined
    left = f"{count_nodes(changed.num_nodes)} with {count_cores(changed.num_cores)}"
    if joined:
        console.print(f"[bold]ray[/] {count_nodes(joined)} joined: {left}")
    if lost:
        again = "what they had not finished is done again; finished runs are kept"
        more = "" if changed.num_nodes else ", as soon as a node joins"
        console.print(f"[bold]ray[/] {count_nodes(lost)} lost, {left} left: {again}{more}")


@contextmanager
def open_comparison_progress(
    console: Console, protocol: "ComparisonProtocol"
) -> Iterator[StageLines | LiveTable]:
    """Open the display that suits the screen."""
    if not can_redraw(console):
        yield StageLines(console)
        return
    # No thread of rich's: processes are forked meanwhile.
    with Live(console=console, auto_refresh=False, transient=True) as live:
        yield LiveTable(console, live, protocol)
