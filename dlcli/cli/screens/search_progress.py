"""A search's progress on a terminal: the best figure so far."""

import math
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live

from dlcli.cli.screens.stages import LivePicture, Noun

if TYPE_CHECKING:
    from dlcli.trials.searching.search import Search


class SearchPicture(LivePicture):
    """A bar of the round's steps, with the best figure so far."""

    noun: Noun = "trials"

    def __init__(self, console: Console, live: Live, search: "Search") -> None:
        super().__init__(console, live)
        self._search, self._best = search, ""

    def note_stage(self) -> None:
        """Look for the best figure of the rounds that are over."""
        entries = self._search.conclude()
        if entries and math.isfinite(entries[0].value):
            self._best = f"best {self._search.config.metric} {entries[0].figure:.4g}"

    def beside_count(self) -> str:
        """Return the best figure."""
        return self._best
