"""A list of augmentations → images that are changed by all of them, a batch at once.

Imported where that is done.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dlcli.augmentations.base import Augmentation, AugmentedInput
from dlcli.augmentations.computing.blocks import blocks
from dlcli.augmentations.computing.draws import Draws
from dlcli.augmentations.computing.warping import composed, copied, resampled


@dataclass(frozen=True)
class Pipeline:
    """The augmentations of one input.

    Those that move pixels do so first, all in one pass, as composed; then values change, in the
    order of the list. Each is told apart by its type and how many of the type come before it, so
    that another one in the list changes no draw of the others.
    """

    augmentations: Sequence[Augmentation]
    augmented: AugmentedInput
    place: int  # of the input among those that are augmented: each has draws of its own

    def changed(self, rows: Tensor, seeds: Tensor) -> Tensor:
        """Return rows [rows, *shape] as augmented by draws from their seeds, int64 [rows].

        They are float32, or of the type that they were where pixels are only copied.
        """
        images = rows.reshape(len(rows), *self.augmented.image_shape)
        changed = self._moved(images, seeds)
        changes = [(one, key) for one, key in self._purposes() if one.changes_values]
        if changes:
            changed = changed.to(torch.float32, copy=changed is images)
        for one, key in changes:
            one.change(changed, Draws(seeds, key), self.augmented.white)
        return changed.view(rows.shape)

    def _moved(self, images: Tensor, seeds: Tensor) -> Tensor:
        """Return images whose pixels are moved; themselves where nothing moves them."""
        matrices = self._matrices(seeds)
        if matrices is None:
            return images
        if all(one.keeps_pixels for one in self.augmentations if one.moves):
            return copied(images, matrices)
        result = images.to(torch.float32, copy=True)
        still = torch.eye(3, device=matrices.device)
        rows = (matrices != still).flatten(1).any(1).nonzero()[:, 0]
        for block in blocks(images):
            chosen = rows[block]
            if len(chosen):
                result[chosen] = resampled(images[chosen], matrices[chosen])
        return result

    def _matrices(self, seeds: Tensor) -> Tensor | None:
        """Return where the pixels of each row come from, [rows, 3, 3]; None: they stay."""
        _, height, width = self.augmented.image_shape
        each = [
            one.matrices(Draws(seeds, key), height, width)
            for one, key in self._purposes()
            if one.moves
        ]
        return composed(each) if each else None

    def kept_shares(self, seeds: Tensor) -> Tensor | None:
        """Return how much of each row's own pixels is left beside its partner's.

        Float32 [rows, 1, height or 1, width or 1]; None where rows aren't mixed. Of several ways to
        mix, each row takes one.
        """
        mixers = [one for one in self._purposes() if one[0].mixes]
        if not mixers:
            return None
        _, height, width = self.augmented.image_shape
        each = [one.mixed(Draws(seeds, key), height, width) for one, key in mixers]
        if len(each) == 1:
            return each[0]
        chosen = Draws(seeds, ("mixing",)).whole("which", len(each))
        shares = [share.expand(-1, -1, height, width) for share in each]
        return torch.stack(shares)[chosen, torch.arange(len(seeds), device=seeds.device)]

    def mixed(self, rows: Tensor, partners: Tensor, kept: Tensor) -> Tensor:
        """Return rows of which only the shares are their own, float32 [rows, *shape]."""
        shape = (len(rows), *self.augmented.image_shape)
        first, second = rows.float().reshape(shape), partners.float().reshape(shape)
        return torch.lerp(second, first, kept).view(rows.shape)

    def _purposes(self) -> list[tuple[Augmentation, tuple[str | int, ...]]]:
        """Return each augmentation with what tells its draws apart."""
        found: list[tuple[Augmentation, tuple[str | int, ...]]] = []
        for one in self.augmentations:
            before = sum(other.type == one.type for other, _ in found)
            place = 0 if one.mixes else self.place  # what is mixed is the same in all inputs
            found.append((one, (place, one.type, before)))
        return found
