"""The stages of trials as they are executed: a picture on a terminal, a line each elsewhere."""

import shlex
import time
from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from rich.console import Console, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from dlcli.cli.screens.cluster import count_cores, count_nodes
from dlcli.cli.screens.terminal import can_redraw
from dlcli.trials.running.backend import NodesChanged
from dlcli.trials.running.executor import StageStarted, TrialFinished
from dlcli.trials.running.workers import StepsTaken

if TYPE_CHECKING:
    from dlcli.runs.comparison.stages import Stopped
    from dlcli.trials.results import TrialResult

_REFRESH_SECONDS = 0.25  # between two updates of the picture

Noun = Literal["runs", "trials"]


class LivePicture:
    """What is drawn while a stage is executed: a bar of its steps, and what a command adds."""

    noun: Noun = "runs"

    def __init__(self, console: Console, live: Live) -> None:
        self._console, self._live = console, live
        self._shown = 0.0

    def note_stage(self) -> None:
        """Take note that a stage begins."""

    def note_result(self, result: "TrialResult") -> None:
        """Take note of a finished trial."""

    def beside_count(self) -> str:
        """Return what stands beside the number of trials."""
        return ""

    def around(self, bar: Progress) -> RenderableType:
        """Return the bar with what is drawn around it."""
        return bar

    def begin_stage(self, stage: StageStarted) -> None:
        """Start a bar for the stage's trials."""
        self.note_stage()
        self._num_over, self._num_trials, self._num_nodes = 0, stage.num_trials, stage.num_nodes
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

    def show_steps(self, taken: StepsTaken) -> None:
        """Move the bar."""
        self._bar.advance(self._task, taken.num_steps)
        self._draw()

    def show_trial(self, over: TrialFinished) -> None:
        """Count a finished trial, and take the steps that it saved off the bar."""
        self._num_over += 1
        self.note_result(over.result)
        total = (self._bar.tasks[0].total or 0) - over.num_steps_saved
        self._bar.update(self._task, total=total, trials=self._count())
        self._draw()

    def show_nodes(self, changed: NodesChanged) -> None:
        """Count the nodes beside the bar."""
        self._num_nodes = changed.num_nodes
        self._bar.update(self._task, trials=self._count())
        self._draw()

    def _count(self) -> str:
        count = f"{self._num_over}/{self._num_trials} {self.noun}"
        if self._num_nodes is not None:
            count += f" on {count_nodes(self._num_nodes)}"
        return f"{count}  {self.beside_count()}".rstrip()

    def _draw(self) -> None:
        if time.perf_counter() - self._shown < _REFRESH_SECONDS:
            return
        self._shown = time.perf_counter()
        self._live.update(self.around(self._bar), refresh=True)


class StageScreen:
    """Shows the events of an executor as they come; leaving the block removes the picture."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._stack = ExitStack()
        self._picture: LivePicture | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def open(self, picture: Callable[[Console, Live], LivePicture]) -> None:
        """Draw a picture from now on, where the screen can be redrawn."""
        if can_redraw(self._console):
            # No thread of rich's: processes are forked meanwhile.
            live = Live(console=self._console, auto_refresh=False, transient=True)
            self._picture = picture(self._console, self._stack.enter_context(live))

    def close(self) -> None:
        """Remove the picture."""
        self._picture = None
        self._stack.close()

    def show(self, event: object) -> None:
        """Show an event; others than an executor's show nothing."""
        match event:
            case StageStarted():
                how = escape(event.execution)
                self._console.print(f"[bold]{event.title}[/]: {event.num_trials:,} runs, {how}")
                if self._picture is not None:
                    self._picture.begin_stage(event)
            case StepsTaken() if self._picture is not None:
                self._picture.show_steps(event)
            case TrialFinished() if self._picture is not None:
                self._picture.show_trial(event)
            case NodesChanged():
                self._print_nodes(event)
                if self._picture is not None:
                    self._picture.show_nodes(event)
            case _:
                pass

    def _print_nodes(self, changed: NodesChanged) -> None:
        """Print which nodes of a cluster went away or joined."""
        lost, joined = changed.num_lost, changed.num_joined
        left = f"{count_nodes(changed.num_nodes)} with {count_cores(changed.num_cores)}"
        if joined:
            self._console.print(f"[bold]ray[/] {count_nodes(joined)} joined: {left}")
        if lost:
            again = "what they had not finished is done again; finished runs are kept"
            more = "" if changed.num_nodes else ", as soon as a node joins"
            self._console.print(
                f"[bold]ray[/] {count_nodes(lost)} lost, {left} left: {again}{more}"
            )


def show_stopped(
    console: Console, stopped: "Stopped", command: str, noun: Noun, ray: str | None
) -> dict[str, Any]:
    """Show what a signal left, and the command that goes on; return what --json prints."""
    folder = stopped.folder
    kept = f"{stopped.num_finished:,} finished {noun} are kept"
    console.print(f"stopped by {stopped.signal.upper()}; {kept}")
    arguments = [str(folder.config), "--run-dir", str(folder.path), "--resume"]
    arguments += ["--ray", ray] if ray else []
    again = f"dlcli {command} {shlex.join(arguments)}"
    console.print(f"resume: {again}", markup=False, soft_wrap=True)
    return {
        "stop_reason": stopped.signal,
        f"finished_{noun}": stopped.num_finished,
        "run_dir": str(folder.path),
    }
