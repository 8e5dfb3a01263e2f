"""Augmented images: what training sees of some rows in several epochs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from dlcli.augmentations.base import Augmentation
from dlcli.explaining.explained_model import ExplainedModel
from dlcli.explaining.row_images import row_images
from dlcli.training.rows.augmenting import Augmenter
from dlcli.training.rows.batches import Rows, accompanied
from dlcli.training.rows.companions import EpochCompanions, companions_of

NUM_IMAGES, NUM_EPOCHS = 5, 6


@dataclass(frozen=True)
class AugmentedImages:
    """Training images, and how augmentation changes them."""

    plain: np.ndarray  # [images, channels, height, width], as `row_images` gives them
    changed: np.ndarray  # [images, epochs, channels, height, width], of the same type
    names: tuple[str, ...]  # of the augmentations, in short


def augment_images(
    model: ExplainedModel, augmentations: Sequence[Augmentation]
) -> AugmentedImages | None:
    """Augment the first training rows as the first epochs do; None: there are no images, or none.

    Of training rows that are too many to be kept, these are drawn likewise, not with the same
    numbers.
    """
    rows = model.parts["train"].encoded
    chosen = torch.arange(min(NUM_IMAGES, len(rows)), device=rows.device)
    places = chosen.cpu().numpy()
    signature = model.plan.signature
    augmenter = Augmenter.of(augmentations, signature, model.target.field)
    plain = row_images(model.fitted, rows, places)
    if augmenter is None or plain is None:
        return None
    needed = companions_of(augmentations)
    found = []
    for epoch in range(1, NUM_EPOCHS + 1):
        beside = EpochCompanions.of(needed, len(rows), model.seed, epoch, rows.device)
        batch = accompanied(rows.take(chosen), chosen, beside, rows.take)
        (changed,) = augmenter((batch,))
        found.append(_shown(model, changed, places, plain.dtype))
    return AugmentedImages(plain, np.stack(found, axis=1), tuple(a.in_short for a in augmentations))


def _shown(
    model: ExplainedModel, rows: Rows, places: np.ndarray, dtype: np.dtype[np.generic]
) -> np.ndarray:
    images = row_images(model.fitted, rows, places)
    assert images is not None, "rows are images"
    rounded: np.ndarray = (
        np.rint(images).clip(0, 255).astype(dtype) if dtype == np.uint8 else images
    )
    return rounded
