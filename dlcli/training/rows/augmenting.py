"""Batches of training rows → the same, augmented, as a step learns from them."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dlcli.augmentations.base import Augmentation
from dlcli.augmentations.computing.pipeline import Pipeline
from dlcli.data.signature import KEPT_SHARE, SEED, Signature, partner_of
from dlcli.network.augmented_inputs import augmented_inputs
from dlcli.training.rows.batches import Rows


@dataclass(frozen=True)
class Augmenter:
    """Changes the inputs of rows by draws from the seeds that travel with them.

    What comes out of a row, and of its partner, depends on nothing else: neither on the batch nor
    on the process that computes it.
    """

    pipelines: tuple[Pipeline, ...]  # one for each input that is augmented
    target: str  # the field of what is predicted
    mixes_targets: bool  # whether targets are numbers, which are mixed as inputs are

    @classmethod
    def of(
        cls, augmentations: Sequence[Augmentation], signature: Signature, target: str
    ) -> "Augmenter | None":
        """Return the one of a config's list; None where it is empty."""
        if not augmentations:
            return None
        inputs = augmented_inputs(signature)
        are_numbers = signature.num_classes is None and not signature.has_several_targets
        pipelines = [Pipeline(augmentations, one, place) for place, one in enumerate(inputs)]
        return cls(tuple(pipelines), target, are_numbers)

    def __call__(self, batches: tuple[Rows, ...]) -> tuple[Rows, ...]:
        """Return batches as a step computes them: without seeds, with targets that are mixed."""
        with torch.no_grad():
            return tuple(map(self._augmented, batches))

    def stacked(self, batches: tuple[Rows, ...]) -> tuple[Rows, ...]:
        """Do the same with the rows of several runs side by side, [runs, batch, ...]."""
        found = []
        for batch in batches:
            runs = len(batch.targets[SEED])
            flat = batch.each(lambda tensor: tensor.flatten(0, 1), runs * len(batch))
            [augmented] = self((flat,))
            found.append(
                augmented.each(
                    lambda tensor, runs=runs: tensor.unflatten(0, (runs, -1)),  # type: ignore[misc]
                    len(batch),
                )
            )
        return tuple(found)

    def _augmented(self, batch: Rows) -> Rows:
        seeds = batch.targets[SEED]
        shares: list[Tensor] = []
        inputs = {
            name: tensor
            for name, tensor in batch.inputs.items()
            if not name.endswith(partner_of(""))
        }
        for pipeline in self.pipelines:
            name = pipeline.augmented.field
            inputs[name] = pipeline.changed(inputs[name], seeds)
            kept = pipeline.kept_shares(seeds)
            if kept is not None:
                others = batch.inputs[partner_of(name)]
                changed = pipeline.changed(others, batch.targets[partner_of(SEED)])
                inputs[name] = pipeline.mixed(inputs[name], changed, kept)
                shares.append(kept.mean((1, 2, 3)))
        targets = {
            name: tensor
            for name, tensor in batch.targets.items()
            if name != SEED and not name.endswith(partner_of(""))
        }
        if shares:
            targets |= self._mixed_targets(batch, torch.stack(shares).mean(0))
        return Rows(inputs, targets, batch.num_rows)

    def _mixed_targets(self, batch: Rows, kept: Tensor) -> dict[str, Tensor]:
        """Return the targets of mixed rows: numbers, or classes with those of partners."""
        others = partner_of(self.target)
        mine, theirs = batch.targets[self.target], batch.targets[others]
        if self.mixes_targets:
            return {self.target: torch.lerp(theirs, mine, kept)}
        return {others: theirs, KEPT_SHARE: kept}
