"""How good the weights are that a run of a comparison came to."""

from typing import Any, Literal

from dlcli.data.target import metrics_of
from dlcli.errors import DivergedError
from dlcli.network.builder import build_network
from dlcli.training.evaluation import evaluate
from dlcli.training.losses import build_objective
from dlcli.training.rows.batches import Rows
from dlcli.trials.trial import FinishedTrial, SharedSetup


class TrialEvaluator:
    """Looks at the held-out rows of a problem, the test rows only here."""

    def __init__(self, problem: SharedSetup, test: Rows | None) -> None:
        """Take the test rows, if there are any."""
        self._problem = problem
        self._parts: dict[Literal["validation", "test"], Rows] = {"validation": problem.validation}
        if test is not None:
            self._parts["test"] = test
        self._network = build_network(problem.plan, seed=0).to(problem.placement.device)
        self._objective = build_objective(problem.loss, problem.target, problem.placement.device)

    def figures(
        self, outcome: FinishedTrial
    ) -> dict[Literal["validation", "test"], dict[str, Any]]:
        """Return the loss and the figures of a run's best weights, by part of the data.

        Nothing of a run that diverged, and of a part on which the answers are not finite.
        """
        if outcome.end == "diverged":
            return {}
        problem = self._problem
        self._network.load_state_dict(outcome.weights)
        found: dict[Literal["validation", "test"], dict[str, Any]] = {}
        for name, rows in self._parts.items():
            try:
                found[name] = evaluate(
                    self._network,
                    self._objective,
                    rows,
                    target=problem.target,
                    placement=problem.placement,
                    names=metrics_of(problem.target),
                )
            except DivergedError:
                continue
        return found
