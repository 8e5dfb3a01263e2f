"""A list of augmentations → images that are changed by all of them, a batch at once.

Imported where that is done.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dlcli.augmentations.base import Augmentation, AugmentedInput
from dlcli.augmentations.computing.draws import Draws
from dlcli.augmentations.computing.warping import composed, moved


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
        height, width = images.shape[2:]
        movers = [one for one in self._purposes() if one[0].moves]
        if movers:
            matrices = [one.matrices(Draws(seeds, key), height, width) for one, key in movers]
            keeps_pixels = all(one.keeps_pixels for one, _ in movers)
            images = moved(images, composed(matrices), keeps_pixels=keeps_pixels)
        for one, key in self._purposes():
            if one.changes_values:
                images = one.change(images.float(), Draws(seeds, key), self.augmented.white)
        return images.view(rows.shape)

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
