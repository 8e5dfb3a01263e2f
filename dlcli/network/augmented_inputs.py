"""Which inputs of a network are augmented, and which augmentations don't fit them."""

from collections.abc import Iterator, Sequence

import numpy as np

from dlcli.augmentations.base import Augmentation, AugmentedInput
from dlcli.data.signature import CODES, NUMBERS, Signature

_WHITE = 255.0  # of an image file's values


def augmented_inputs(signature: Signature) -> list[AugmentedInput]:
    """Return the images that a network is given, or the numbers of a table without images."""
    images = [
        AugmentedInput(field.name, field.shape, _WHITE)
        for field in signature.inputs
        if field.dtype == np.uint8 and len(field.shape) == 3
    ]
    if images:
        return images
    numbers = [field for field in signature.inputs if field.name == NUMBERS]
    return [AugmentedInput(field.name, signature.shape or field.shape) for field in numbers]


def augmentation_obstacles(
    augmentations: Sequence[Augmentation], signature: Signature
) -> Iterator[tuple[int, str]]:
    """Yield what doesn't fit: the place in the list, and why, with what to do."""
    inputs = augmented_inputs(signature)
    others = {field.name for field in signature.inputs} - {one.field for one in inputs}
    for place, one in enumerate(augmentations):
        if not inputs:
            yield place, "there is nothing to augment: no column is an image or a number"
            continue
        if one.mixes and others:
            what = "embedded categories" if CODES in others else "the numbers beside images"
            if signature.sequences:
                what = "texts and other sequences"
            yield (
                place,
                f"{one.type} mixes whole rows, and {what} can't be mixed; leave it out, or leave "
                "those columns out (data.features)",
            )
            continue
        reasons = (one.obstacle(augmented) for augmented in inputs)
        reason = next((reason for reason in reasons if reason is not None), None)
        if reason is not None:
            yield place, reason
        elif not one.mixes and any(other.mixes for other in augmentations[:place]):
            yield place, f"{one.type} has to stand before what mixes rows; move it up in the list"
