"""A trained network and the rows that it is explained on."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn

from dlcli.data.fitted import FittedData
from dlcli.data.splits import PartName, judged_part
from dlcli.data.splits.groups import group_codes
from dlcli.losses import Loss
from dlcli.network.plan import Plan
from dlcli.tables.table import Table
from dlcli.targets.base import Target
from dlcli.training.device import Placement
from dlcli.training.evaluation import compute_outputs, to_predictions, weights_of
from dlcli.training.objective import Objective, build_objective
from dlcli.training.rows.batches import Rows, Tensors


@dataclass(frozen=True)
class ExplainedRows:
    """Rows as the network sees them, and as they are in their file."""

    encoded: Rows  # on the network's device
    kept: Table | None  # None: not kept, as nothing is asked about cells of these rows
    outputs: Tensor | None = None  # [rows, outputs] on the CPU, where they are known

    @property
    def table(self) -> Table:
        """The rows as they are in their file."""
        assert self.kept is not None, "rows of this part are kept"
        return self.kept

    def __len__(self) -> int:
        return len(self.encoded)


@dataclass(frozen=True)
class ExplainedModel:
    """A trained network in evaluation mode, with all that is needed to explain it."""

    network: nn.Module  # the best epoch's weights, on its device
    plan: Plan
    loss: Loss
    fitted: FittedData
    placement: Placement
    parts: Mapping[str, ExplainedRows]  # "train", "validation", "test", where they exist
    seed: int  # of the run
    group: str | None = None  # the column whose rows of one value are in one part
    temperature: float | None = None  # that calibrates its probabilities, if one does
    num_threads: int = 1  # that explaining it may take
    is_one_of_several: bool = False  # whether the network predicts other targets, too

    @property
    def target(self) -> Target:
        """The target that is predicted."""
        return self.fitted.target

    @property
    def objective(self) -> Objective:
        """The loss that training minimised, in the units of the network's outputs."""
        return build_objective(self.loss, self.target, self.placement.device)

    @property
    def loss_unit(self) -> float:
        """The factor from the objective to the target's units."""
        return self.loss.unit(self.target.unit)

    @property
    def judged_part(self) -> PartName:
        """The part to judge the network on: test, or else validation, or else train."""
        return judged_part(self.parts)

    def targets(self, rows: Rows) -> Tensor:
        """Return what the loss compares outputs with, [rows], on the device."""
        return rows.targets[self.target.field]

    def weights(self, rows: Rows) -> np.ndarray | None:
        """Return how much each row counts, float64 [rows]; None: each counts once."""
        return weights_of(rows)

    def groups_of(self, rows: ExplainedRows) -> np.ndarray | None:
        """Return the number of each row's group, from 0, [rows]; None: rows are independent."""
        return None if self.group is None else group_codes(rows.table, self.group)

    def predict(self, inputs: Tensors) -> np.ndarray:
        """Return probabilities [rows, classes] or numbers in the target's units [rows], float64."""
        outputs = compute_outputs(self.network, inputs, self.placement)
        calibrated = self.loss.calibrated(outputs, self.temperature)
        return to_predictions(calibrated, self.loss, self.target)

    def truth(self, rows: Rows) -> np.ndarray:
        """Return class indices, int64, or numbers in the target's units, float64, [rows]."""
        return self.target.truth(self.targets(rows).cpu().numpy())
