"""A comparison's progress on a terminal: a row of results for each optimizer."""

import statistics
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from dlcli.cli.screens.stages import LivePicture

if TYPE_CHECKING:
    from dlcli.trials.comparing.protocol import ComparisonProtocol
    from dlcli.trials.results import TrialResult


class ComparisonPicture(LivePicture):
    """A row of results for each optimizer, above a bar of the stage's steps."""

    def __init__(self, console: Console, live: Live, protocol: "ComparisonProtocol") -> None:
        super().__init__(console, live)
        self._protocol = protocol
        self._runs: dict[str, list[TrialResult]] = {name: [] for name in protocol.optimizers}
        self._judged: dict[str, list[float]] = {name: [] for name in protocol.optimizers}

    def note_result(self, result: "TrialResult") -> None:
        """Add a finished run to the table."""
        for name in self._protocol.names_of(result.trial):
            self._runs[name].append(result)
            if result.figures is not None and result.is_sound:
                self._judged[name].append(result.best_loss)

    def around(self, bar: Progress) -> RenderableType:
        """Return the table above the bar."""
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
        return Group(table, bar)
