"""How good the best weights of a trial are."""

from collections.abc import Sequence
from typing import Any

from dlcli.errors import DivergedError
from dlcli.metrics import figures_of
from dlcli.network.builder import build_network
from dlcli.training.evaluation import evaluate
from dlcli.training.objective import build_objective
from dlcli.training.rows.batches import Rows
from dlcli.trials.results import FinishedTrial, HeldOutPart
from dlcli.trials.setup import SharedSetup


class TrialEvaluator:
    """Evaluates trials of one setup on the held-out rows; nothing else looks at the test rows."""

    def __init__(self, setup: SharedSetup) -> None:
        """Build a network to load weights into."""
        self.setup = setup
        parts: dict[HeldOutPart, Rows | None] = {
            "validation": setup.validation,
            "test": setup.test,
        }
        self.parts = {name: rows for name, rows in parts.items() if rows is not None}
        self._network = build_network(setup.plan, seed=0).to(setup.placement.device)
        self.objective = build_objective(setup.loss, setup.target, setup.placement.device)

    def figures(self, finished: FinishedTrial) -> dict[HeldOutPart, dict[str, Any]]:
        """Return the loss and the metrics of a trial's best weights, by part of the data.

        Nothing of a trial that diverged, and of a part on which predictions are not finite.
        """
        if finished.end == "diverged":
            return {}
        setup = self.setup
        self._network.load_state_dict(finished.weights)
        found: dict[HeldOutPart, dict[str, Any]] = {}
        for name, rows in self.parts.items():
            try:
                found[name] = self.evaluate(rows, figures_of(setup.target))
            except DivergedError:
                continue
        return found

    def evaluate(self, rows: Rows, metrics: Sequence[str]) -> dict[str, Any]:
        """Return the loss and metrics of the weights at hand; DivergedError."""
        return evaluate(
            self._network,
            self.objective,
            rows,
            target=self.setup.target,
            placement=self.setup.placement,
            names=metrics,
        )

    def blocks(self, finished: FinishedTrial) -> tuple[float | None, ...] | None:  # noqa: ARG002
        """Return a metric on blocks of the validation rows; None: nobody asks for that."""
        return None
