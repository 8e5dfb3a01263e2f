"""How good the trials of a search are: on all validation rows, and on blocks of them."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from dlcli.errors import DivergedError
from dlcli.metrics import figures_of
from dlcli.seeds import derive_seed
from dlcli.training.engines.threads import using_threads
from dlcli.training.evaluation import figures_of_outputs
from dlcli.training.rows.batches import Rows
from dlcli.trials.evaluation import TrialEvaluator
from dlcli.trials.results import FinishedTrial, HeldOutPart
from dlcli.trials.setup import SharedSetup

NUM_BLOCKS = 20  # of the validation rows
_MIN_ROWS = 5  # of a block


class SearchEvaluator(TrialEvaluator):
    """Evaluates trials on one thread, so that the same weights have the same figures to the bit.

    Trials of a fold are judged by the outputs for the rows that it holds out, see cross_fitting.
    """

    def __init__(self, setup: SharedSetup, metric: str, seed: int, num_blocks: int) -> None:
        """Cut the validation rows into blocks, the same ones for all trials of a seed."""
        super().__init__(setup)
        self._metric = metric
        self._rows = self.parts["validation"]
        generator = torch.Generator().manual_seed(derive_seed(seed, "tune", "blocks"))
        order = torch.randperm(len(self._rows), generator=generator)
        self._blocks = order.tensor_split(max(1, min(num_blocks, len(order) // _MIN_ROWS)))

    def figures(self, finished: FinishedTrial) -> dict[HeldOutPart, dict[str, Any]]:
        """Return the loss and the metrics, by part of the data."""
        if finished.outputs is None:
            with using_threads(1):
                return super().figures(finished)
        if finished.end == "diverged":
            return {}
        names = figures_of(self.setup.target)
        try:
            return {"validation": self._of_outputs(finished.outputs, self._rows, names)}
        except DivergedError:
            return {}

    def blocks(self, finished: FinishedTrial) -> tuple[float | None, ...] | None:
        """Return the metric on each block, of the weights that `figures` was asked for last."""
        if finished.end == "diverged":
            return None
        return tuple(self._figure(places, finished.outputs) for places in self._blocks)

    def _figure(self, places: Tensor, outputs: Tensor | None) -> float | None:
        names = [] if self._metric == "loss" else [self._metric]
        rows = self._rows.take(places.to(self._rows.device))
        try:
            if outputs is not None:
                figures = self._of_outputs(outputs[places], rows, names)
            else:
                with using_threads(1):
                    figures = self.evaluate(rows, names)
        except DivergedError:
            return None
        figure: float | None = figures[self._metric]
        return figure

    def _of_outputs(self, outputs: Tensor, rows: Rows, names: Sequence[str]) -> dict[str, Any]:
        with using_threads(1):
            return figures_of_outputs(
                outputs, self.objective, rows, target=self.setup.target, names=names
            )
