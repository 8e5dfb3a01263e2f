"""TrivialAugment: one of many changes, drawn for each image."""

import math
from typing import TYPE_CHECKING, ClassVar, Literal, final

from dlcli.augmentations.base import Augmentation, AugmentedInput, needs_image, needs_white

if TYPE_CHECKING:
    from torch import Tensor

    from dlcli.augmentations.computing.draws import Draws

_MOVES = ("shear x", "shear y", "shift x", "shift y", "rotate")
_COLOURS = ("brightness", "contrast", "saturation")
_TONES = ("sharpness", "posterize", "solarize", "autocontrast", "equalize")
_CHANGES = ("nothing", *_MOVES, *_COLOURS, *_TONES)
_MAX_SHEAR, _MAX_DEGREES, _MAX_FACTOR = 0.99, 135.0, 0.99
_MAX_SHIFT = 32  # pixels, and a third of the image at most
_MAX_BITS_LOST = 6


@final
class Auto(Augmentation):
    """Each image gets one of 14 changes, of random strength; there is nothing to set.

    TrivialAugment, "wide" (Müller and Hutter 2021, *TrivialAugment: tuning-free yet
    state-of-the-art data augmentation*), but that what comes in at an edge is a reflection.
    """

    type: Literal["auto"]

    moves: ClassVar[bool] = True
    keeps_pixels: ClassVar[bool] = False
    changes_values: ClassVar[bool] = True

    def obstacle(self, augmented: AugmentedInput) -> str | None:
        reason = needs_image(augmented, self.type) or needs_white(augmented, self.type)
        if reason is None and augmented.shape[0] not in (1, 3):
            return f"works on 1 or 3 channels, the images have {augmented.shape[0]}; leave it out"
        return reason

    @property
    def in_short(self) -> str:
        return f"one of {len(_CHANGES)} changes an image (TrivialAugment)"

    def matrices(self, draws: "Draws", height: int, width: int) -> "Tensor":
        from dlcli.augmentations.computing.warping import affine, composed, rotations

        chosen, strength = draws.whole("change", len(_CHANGES)), _signed(draws)

        def where(change: str, most: float) -> "Tensor":
            return (strength * most).where(chosen == _CHANGES.index(change), 0.0)

        moved = affine(
            draws.seeds,
            b=where("shear x", _MAX_SHEAR),
            c=where("shear y", _MAX_SHEAR),
            x=where("shift x", min(_MAX_SHIFT, width / 3)),
            y=where("shift y", min(_MAX_SHIFT, height / 3)),
        )
        turned = rotations(draws.seeds, where("rotate", math.radians(_MAX_DEGREES)))
        return composed([moved, turned])

    def change(self, images: "Tensor", draws: "Draws", white: float | None) -> None:
        from dlcli.augmentations.computing.colour_maps import Factors, change_colours

        assert white is not None, "others are refused"
        chosen, signed = draws.whole("change", len(_CHANGES)), _signed(draws)
        for name in (*_COLOURS, *_TONES):
            rows = (chosen == _CHANGES.index(name)).nonzero()[:, 0]
            if not len(rows) or (name == "saturation" and images.shape[1] != 3):
                continue
            some, strength = images[rows], signed[rows]
            if name in _COLOURS:
                change_colours(some, Factors(**{name: 1 + _MAX_FACTOR * strength}), white)
            else:
                some = _toned(name, some * (255 / white), strength, strength.abs())
                some = (some * (white / 255)).clamp_(0, white)
            images[rows] = some


def _toned(name: str, images: "Tensor", signed: "Tensor", strength: "Tensor") -> "Tensor":
    """Return images, from 0 to 255, of which the tones are changed."""
    from dlcli.augmentations.computing import tones

    match name:
        case "sharpness":
            return tones.sharpened(images, 1 + _MAX_FACTOR * signed)
        case "posterize":
            return tones.posterized(images, 8 - (strength * _MAX_BITS_LOST).round())
        case "solarize":
            return tones.solarized(images, 255 * (1 - strength))
        case "autocontrast":
            return tones.stretched(images)
        case _:
            return tones.equalized(images)


def _signed(draws: "Draws") -> "Tensor":
    """Return the strength of each row's change, from -1 to 1, in steps of a thirtieth."""
    return (draws.whole("strength", 31) / 30) * (1.0 - 2.0 * draws.happens("is negative", 0.5))
