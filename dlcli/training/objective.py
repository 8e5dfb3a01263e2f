"""The objective: a loss with its class weights on the device, for one target or several."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from dlcli.data.signature import KEPT_SHARE, partner_of
from dlcli.losses import Loss
from dlcli.targets.base import Target


@dataclass(frozen=True)
class MixedTargets:
    """Targets of the rows that were mixed into others, and how much of each is its own, [batch]."""

    partners: Tensor
    kept: Tensor

    @classmethod
    def of(cls, targets: Mapping[str, Tensor], name: str) -> "MixedTargets | None":
        """Return those beside a target field; None where rows aren't mixed."""
        kept = targets.get(KEPT_SHARE)
        return None if kept is None else cls(targets[partner_of(name)], kept)


@dataclass(frozen=True)
class Objective:
    """A loss, called with outputs `[batch, num_outputs]` and encoded targets `[batch, *shape]`.

    Outputs of an ensemble's members are `[batch, members, num_outputs]`: the loss of an example is
    the mean of the members'. The result is the mean over the batch's examples. Class weights are
    factors of each example's loss, and the mean divides by the number of examples, not by the sum
    of the weights: so every example counts alike in whichever batch it falls. Weights of rows are
    what repeats examples: the mean divides by their sum.
    """

    loss: Loss
    class_weights: Tensor | None  # [classes]
    unit: float  # the factor from its values to the target's own units

    def __call__(
        self,
        outputs: Tensor,
        targets: Tensor,
        shares: Tensor | None = None,
        mixed: "MixedTargets | None" = None,
    ) -> Tensor:
        """Return the mean loss, a scalar; with `shares` [batch], the sum of losses times those.

        They are the weights of the rows over the total weight, see `as_shares`. `mixed` are the
        targets of other rows that were mixed in.
        """
        if mixed is not None:
            losses = self.each(outputs, targets, mixed)
            return losses.mean() if shares is None else (losses * shares).sum()
        if shares is None and outputs.ndim == 3:
            outputs, targets = _member_by_member(outputs, targets)
        if shares is None:
            return self.loss.mean(outputs, targets, self.class_weights)
        return (self.each(outputs, targets) * shares).sum()

    def on(self, targets: Tensor, weights: Tensor | None) -> "Objective":
        """Return the objective whose mean over some rows is what is reported of them.

        Another one only where rows lack some of several targets: each counts over those with it.
        """
        return replace(self, loss=self.loss.on(targets, weights))

    def each(self, outputs: Tensor, targets: Tensor, mixed: "MixedTargets | None" = None) -> Tensor:
        """Return the loss of each example, [batch]: their mean is what a call returns."""
        if mixed is not None:
            mine, theirs = (self.each(outputs, some) for some in (targets, mixed.partners))
            return mine * mixed.kept + theirs * (1 - mixed.kept)
        if outputs.ndim == 2:
            return self.loss.each(outputs, targets, self.class_weights)
        losses = self.loss.each(*_member_by_member(outputs, targets), self.class_weights)
        return losses.view(outputs.shape[:2]).mean(1)


def _member_by_member(outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return outputs `[batch · members, num_outputs]`, and targets for each."""
    repeated = targets[:, None].expand(*outputs.shape[:2], *targets.shape[1:])
    return outputs.flatten(0, 1), repeated.flatten(0, 1)


def build_objective(loss: Loss, target: Target, device: torch.device) -> Objective:
    """Build for a target; class weights come to its device."""
    weights = loss.class_weights_of(target)
    tensor = None if weights is None else torch.tensor(weights, device=device)
    return Objective(loss, tensor, loss.unit(target.unit))
