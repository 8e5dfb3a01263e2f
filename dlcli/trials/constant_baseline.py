"""Whether anything is learned: what a range test and a comparison say of it alike."""

import math
from dataclasses import dataclass

import numpy as np
import torch

from dlcli.training.objective import build_objective
from dlcli.training.rows.batches import Rows
from dlcli.trials.setup import SharedSetup

_MAX_NOISE = 0.1  # of the baseline's loss: more is learning, however few the rows


@dataclass(frozen=True)
class ConstantBaseline:
    """The loss of the outputs that are the best for all training rows at once."""

    loss: float  # in the target's units
    num_rows: int  # that it is the mean of

    def why_not_beaten(self, loss: float, what: str) -> str | None:
        """Say that a loss is no better within the noise of so many rows; None where it is better.

        The noise of a mean of n losses of one sign is about `1 / √n` of it.
        """
        noise = min(_MAX_NOISE, 1 / math.sqrt(self.num_rows))
        if loss < self.loss * (1 - noise) or self.loss <= 0:
            return None
        return (
            f"Nothing is learned from the features: {what}, {loss:.4g}, is not clearly below that "
            f"of the constant baseline, {self.loss:.4g}."
        )


def constant_baseline(setup: SharedSetup, rows: Rows) -> ConstantBaseline:
    """Return the baseline of a setup's training rows on some rows."""
    encoded = rows.targets[setup.target.field].cpu()
    of_rows = None if rows.weights is None else rows.weights.cpu()
    objective = build_objective(setup.loss, setup.target, torch.device("cpu"))
    objective = objective.on(encoded, of_rows)
    weights = objective.class_weights
    class_weights = None if weights is None else weights.double().numpy()
    values, counts = setup.target.training_values(
        _targets(setup, setup.train), _counts(setup.train)
    )
    outputs = torch.tensor(setup.loss.best_constant(values, counts, class_weights))
    losses = objective.loss.each(
        outputs.expand(len(encoded), -1),
        encoded,
        None if class_weights is None else torch.tensor(class_weights),
    )
    mean = float(np.average(losses.numpy(), weights=_counts(rows)))
    return ConstantBaseline(mean * objective.unit, len(encoded))


def _targets(setup: SharedSetup, rows: Rows) -> np.ndarray:
    targets: np.ndarray = rows.targets[setup.target.field].cpu().numpy()
    return targets


def _counts(rows: Rows) -> np.ndarray | None:
    return None if rows.weights is None else rows.weights.cpu().double().numpy()
