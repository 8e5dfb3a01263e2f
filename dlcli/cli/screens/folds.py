"""What `dlcli train --folds` shows: the start, a bar of the steps, the figures at the end."""

import shlex
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from dlcli.cli.screens.tables import show_confusion, show_labels, show_network
from dlcli.cli.screens.terminal import can_redraw
from dlcli.errors import counted
from dlcli.runs.comparison.stages import Stopped
from dlcli.runs.folder.run_folder import resume_command
from dlcli.runs.folds.train import FoldsFinished, FoldsStarted
from dlcli.trials.running.executor import StageStarted, TrialFinished
from dlcli.trials.running.workers import StepsTaken

if TYPE_CHECKING:
    from dlcli.runs.folds.preparation import PreparedFolds
    from dlcli.runs.folds.train import Event


class FoldsScreen:
    """Shows events as they come."""

    def __init__(self, console: Console, folds: "PreparedFolds") -> None:
        self._console = console
        self._folds = folds
        self._bar: Progress | None = None

    def show(self, event: "Event") -> None:
        """Show an event; the end of a whole run, `show_end` shows."""
        match event:
            case FoldsStarted():
                self._show_start(event)
            case StageStarted():
                self._begin(event)
            case StepsTaken() if self._bar is not None:
                self._bar.advance(self._bar.task_ids[-1], event.num_steps)
                self._bar.refresh()
            case TrialFinished() if self._bar is not None:
                task = self._bar.tasks[-1]
                total = (task.total or 0) - event.num_steps_saved
                self._bar.update(task.id, total=total, done=task.fields["done"] + 1)
            case FoldsFinished():
                self._close()
            case Stopped():
                self._close()
                self._show_stopped(event)
            case _:
                pass

    def show_end(self, finished: FoldsFinished, *, is_smoke: bool) -> None:
        """Show the figures of the ensemble, and what to do with it."""
        summary, console = finished.summary, self._console
        show_summary(console, summary)
        matrix = (summary["test"] or summary["validation"]).get("confusion_matrix")
        if matrix is not None:
            target = self._folds.rows.whole.fitted.target
            show_confusion(console, matrix, target.class_names)
        show_labels(console, summary["test"] or summary["validation"])
        if is_smoke:
            console.print("every stage ran; nothing was left behind")
            return
        folder, data = str(finished.folder.path), shlex.join(finished.data)
        console.print(f"run: {folder}", markup=False, soft_wrap=True)
        command = f"dlcli predict {shlex.quote(folder)} {data} -o predictions.csv"
        console.print(f"next: {command}", markup=False, soft_wrap=True)

    def _show_start(self, started: FoldsStarted) -> None:
        console, folds = self._console, self._folds
        show_network(console, folds.first, started.placement)
        settings = folds.settings
        cut = f", cut {settings.repeats} times" if settings.repeats > 1 else ""
        console.print(
            f"[bold]folds[/] {settings.folds} of {len(folds.rows.rows):,} rows{cut}: "
            f"{counted(settings.num_trials, 'network')}, whose predictions are averaged "
            f"({'all alike' if settings.weights == 'mean' else 'greedy weights'}) (folds)"
        )
        if started.num_finished:
            console.print(f"[bold]resumed[/] {counted(started.num_finished, 'network')} finished")
        for note in started.notes:
            console.print(f"  {escape(note)}")

    def _begin(self, stage: StageStarted) -> None:
        self._close()
        trials = counted(stage.num_trials, "network")
        self._console.print(f"[bold]training[/] {trials}, {escape(stage.execution)}")
        if can_redraw(self._console):
            self._bar = Progress(
                BarColumn(bar_width=20),
                TextColumn("{task.fields[done]} done"),
                TimeElapsedColumn(),
                TextColumn("at most", style="dim"),
                TimeRemainingColumn(),
                console=self._console,
                auto_refresh=False,  # no thread of rich's: processes are forked meanwhile
                transient=True,
            )
            self._bar.add_task("folds", total=stage.max_steps, done=0)
            self._bar.start()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _show_stopped(self, stopped: Stopped) -> None:
        kept = counted(stopped.num_finished, "finished network")
        self._console.print(f"stopped by {stopped.signal.upper()}; {kept} kept")
        command = resume_command(stopped.folder)
        self._console.print(f"resume: {command}", markup=False, soft_wrap=True)


def show_summary(console: Console, summary: dict[str, Any]) -> None:
    """Show what a summary says of an ensemble."""
    console.print(
        f"{counted(len(summary['folds']['networks']), 'network')} trained; "
        f"{summary['seconds']:.1f} s"
    )
    console.print(_figures(summary))


def _figures(summary: dict[str, Any]) -> Table:
    """Return the figures of the ensemble, out of fold and on the test rows, with intervals."""
    parts = {"out of fold": "validation", "test": "test"}
    shown = {title: part for title, part in parts.items() if summary[part] is not None}
    titles = [name for title in shown for name in (title, "95 % interval")]
    table = Table("ensemble", *titles)
    for name in summary["intervals"]["validation"]:
        cells = []
        for part in shown.values():
            found = summary["intervals"][part][name]
            value, low, high = (found[key] for key in ("value", "low", "high"))
            cells.append("–" if value is None else f"{value:.4g}")
            cells.append("–" if low is None else f"{low:.4g} to {high:.4g}")
        table.add_row(name, *cells)
    return table
