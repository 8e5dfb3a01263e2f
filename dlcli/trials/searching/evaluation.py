"""How good the trials of a search are: on all validation rows, and on blocks of them."""

from typing import Any

import torch

from dlcli.errors import DivergedError
from dlcli.seeds import derive_seed
from dlcli.training.engines.threads import using_threads
from dlcli.training.rows.batches import Rows
from dlcli.trials.evaluation import TrialEvaluator
from dlcli.trials.results import FinishedTrial, HeldOutPart
from dlcli.trials.setup import SharedSetup

_NUM_BLOCKS = 20  # of the validation rows
_MIN_ROWS = 5  # of a block


class SearchEvaluator(TrialEvaluator):
    """Evaluates trials on one thread, so that the same weights have the same figures to the bit."""

    def __init__(self, setup: SharedSetup, metric: str, seed: int) -> None:
        """Cut the validation rows into blocks, the same ones for all trials of a seed."""
        super().__init__(setup)
        self._metric = metric
        rows = self.parts["validation"]
        generator = torch.Generator().manual_seed(derive_seed(seed, "tune", "blocks"))
        order = torch.randperm(len(rows), generator=generator).to(rows.device)
        number = max(1, min(_NUM_BLOCKS, len(rows) // _MIN_ROWS))
        self._blocks: list[Rows] = [rows.take(some) for some in order.tensor_split(number)]

    def figures(self, finished: FinishedTrial) -> dict[HeldOutPart, dict[str, Any]]:
        """Return the loss and the metrics, by part of the data."""
        with using_threads(1):
            return super().figures(finished)

    def blocks(self, finished: FinishedTrial) -> tuple[float | None, ...] | None:
        """Return the metric on each block, of the weights that `figures` was asked for last."""
        if finished.end == "diverged":
            return None
        with using_threads(1):
            return tuple(self._figure(rows) for rows in self._blocks)

    def _figure(self, rows: Rows) -> float | None:
        names = [] if self._metric == "loss" else [self._metric]
        try:
            figure: float | None = self.evaluate(rows, names)[self._metric]
        except DivergedError:
            return None
        return figure
