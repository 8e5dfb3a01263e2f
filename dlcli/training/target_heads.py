"""What of a network's outputs is each target's: a head for each; one head where there is one."""

from dataclasses import dataclass

import torch
from torch import Tensor

from dlcli.data.signature import WEIGHT
from dlcli.losses.several_losses import HeadLoss
from dlcli.targets.base import Target
from dlcli.training.objective import Objective, build_objective
from dlcli.training.rows.batches import Rows


@dataclass(frozen=True)
class TargetHead:
    """A target with its objective, and where its numbers are among those of several targets."""

    target: Target
    objective: Objective
    weight: float = 1.0  # of its loss in the sum
    outputs: tuple[int, int] = (0, 0)  # of several: the first of its outputs, one after the last
    of_several: HeadLoss | None = None  # None: it is the only one

    @property
    def prefix(self) -> str:
        """What names of its figures begin with: `species.`."""
        return "" if self.of_several is None else f"{self.target.name}."

    def cut(self, outputs: Tensor, rows: Rows) -> tuple[Tensor, Rows]:
        """Return its outputs, and the targets and weights, of the rows that have it.

        Outputs are [rows, num_outputs] of all targets, on any device.
        """
        if self.of_several is None:
            return outputs, rows
        first, end = self.outputs
        chosen, mine = self.cut_rows(rows)
        return outputs[chosen.to(outputs.device), first:end], mine

    def cut_rows(self, rows: Rows) -> tuple[Tensor, Rows]:
        """Return which rows have it, as indices on their device, and these, without inputs."""
        assert self.of_several is not None, "it is one of several"
        encoded, is_known = self.of_several.cut(rows.targets[self.target.field])
        chosen = is_known.nonzero()[:, 0]
        targets = {self.target.field: encoded[chosen]}
        if rows.weights is not None:
            targets[WEIGHT] = rows.weights[chosen]
        return chosen, Rows({}, targets, len(chosen))


def heads_of(objective: Objective, target: Target, device: torch.device) -> tuple[TargetHead, ...]:
    """Return the heads of a network's targets, in their order."""
    losses = objective.loss.of_targets
    if not losses:
        return (TargetHead(target, objective),)
    found, start = [], 0
    for head, part in zip(losses, target.parts, strict=True):
        end = start + head.num_outputs
        mine = build_objective(head.loss, part, device)
        found.append(TargetHead(part, mine, head.weight, (start, end), head))
        start = end
    return tuple(found)
