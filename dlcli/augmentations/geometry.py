"""Augmentations that move pixels: flips, shifts, crops, rotations and changes of scale."""

import math
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self, final

from pydantic import Field, model_validator

from dlcli.augmentations.base import (
    Augmentation,
    AugmentedInput,
    Probability,
    needs_image,
    needs_shape,
)

if TYPE_CHECKING:
    from torch import Tensor

    from dlcli.augmentations.computing.draws import Draws

Share = Annotated[float, Field(gt=0, le=1)]
Stretch = Annotated[float, Field(ge=1, le=10)]


@final
class Flip(Augmentation):
    """Images are mirrored, each with a probability.

    As RandomHorizontalFlip and RandomVerticalFlip of torchvision.
    """

    type: Literal["flip"]
    axis: Literal["horizontal", "vertical", "both"] = Field(
        "horizontal",
        description="horizontal: left and right are swapped; vertical: top and bottom; both: each "
        "of the two by itself",
    )
    probability: Probability = Field(0.5, description="share of the images that are mirrored")

    moves: ClassVar[bool] = True

    def obstacle(self, augmented: AugmentedInput) -> str | None:
        return needs_image(augmented, self.type)

    @property
    def in_short(self) -> str:
        sides = {
            "horizontal": "left to right",
            "vertical": "top to bottom",
            "both": "left to right and top to bottom",
        }
        return f"mirrored {sides[self.axis]} with probability {self.probability:g}"

    def matrices(self, draws: "Draws", height: int, width: int) -> "Tensor":
        from dlcli.augmentations.computing.warping import affine

        del height, width
        signs = [
            1 - 2 * draws.happens(name, self.probability).float()
            if self.axis in (name, "both")
            else None
            for name in ("horizontal", "vertical")
        ]
        return affine(draws.seeds, a=signs[0], d=signs[1])


@final
class Shift(Augmentation):
    """Images are moved by whole pixels; what comes in at the edge is a reflection.

    As torchvision's RandomCrop with `padding` and `padding_mode="reflect"`.
    """

    type: Literal["shift"]
    by: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.125, description="the largest shift, as a share of the height and of the width"
    )

    moves: ClassVar[bool] = True

    def obstacle(self, augmented: AugmentedInput) -> str | None:
        if reason := needs_shape(augmented, self.type):
            return reason
        sides = augmented.shape[1:]
        if max(round(self.by * side) for side in sides) < 1:
            least = math.ceil(100 * 0.51 / max(sides)) / 100
            return f"moves {list(sides)} by less than a pixel; give by: {least:g} or more"
        return None

    @property
    def in_short(self) -> str:
        return f"shifted by up to {100 * self.by:g} %, reflected at the edges"

    def matrices(self, draws: "Draws", height: int, width: int) -> "Tensor":
        from dlcli.augmentations.computing.warping import affine

        x, y = (
            draws.whole(name, 2 * round(self.by * side) + 1) - round(self.by * side)
            for name, side in (("x", width), ("y", height))
        )
        return affine(draws.seeds, x=x.float(), y=y.float())


@final
class Crop(Augmentation):
    """A part of the image, of random size, proportions and place, fills the whole of it.

    As torchvision's RandomResizedCrop (Szegedy et al. 2015, *Going deeper with convolutions*), but
    that a part which doesn't fit is cut to the image's height or width.
    """

    type: Literal["crop"]
    area: Annotated[tuple[Share, Share], Field(strict=False)] = Field(
        (0.5, 1.0), description="smallest and largest share of the image's area that is kept"
    )
    ratio: Annotated[tuple[Share, Stretch], Field(strict=False)] = Field(
        (0.75, 1.3333),
        description="smallest and largest factor by which width over height changes",
    )

    moves: ClassVar[bool] = True
    keeps_pixels: ClassVar[bool] = False

    @model_validator(mode="after")
    def _refuse_empty_range(self) -> Self:
        if self.area[0] > self.area[1]:
            raise ValueError("`area` is [smallest, largest]: the first number is the larger one")
        return self

    def obstacle(self, augmented: AugmentedInput) -> str | None:
        return needs_shape(augmented, self.type)

    @property
    def in_short(self) -> str:
        return f"cropped to {100 * self.area[0]:g} to {100 * self.area[1]:g} % of the area"

    def matrices(self, draws: "Draws", height: int, width: int) -> "Tensor":
        from dlcli.augmentations.computing.warping import affine

        area = draws.between("area", *self.area)
        if height == 1:
            return affine(draws.seeds, a=area, x=draws.around("x", 0, 1) * (1 - area) * width / 2)
        root = draws.between("ratio", *map(math.log, self.ratio)).mul(0.5).exp()
        across, down = (area.sqrt() * root).clamp(max=1), (area.sqrt() / root).clamp(max=1)
        x = draws.around("x", 0, 1) * (1 - across) * width / 2
        y = draws.around("y", 0, 1) * (1 - down) * height / 2
        return affine(draws.seeds, a=across, d=down, x=x, y=y)


@final
class Rotation(Augmentation):
    """Images are turned about their centre; corners are reflections.

    As torchvision's RandomRotation, bilinear.
    """

    type: Literal["rotation"]
    degrees: Annotated[float, Field(gt=0, le=180)] = Field(
        15.0, description="the largest angle, to either side"
    )

    moves: ClassVar[bool] = True
    keeps_pixels: ClassVar[bool] = False

    def obstacle(self, augmented: AugmentedInput) -> str | None:
        return needs_image(augmented, self.type)

    @property
    def in_short(self) -> str:
        return f"rotated by up to {self.degrees:g}°"

    def matrices(self, draws: "Draws", height: int, width: int) -> "Tensor":
        from dlcli.augmentations.computing.warping import rotations

        del height, width
        return rotations(draws.seeds, draws.around("angle", 0, math.radians(self.degrees)))


@final
class Scaling(Augmentation):
    """Images are made larger or smaller about their centre; what comes in is a reflection.

    As `scale` of torchvision's RandomAffine. Signals are stretched in time.
    """

    type: Literal["scale"]
    by: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.2, description="0.2: by a factor from 1 / 1.2 to 1.2, small and large alike"
    )

    moves: ClassVar[bool] = True
    keeps_pixels: ClassVar[bool] = False

    def obstacle(self, augmented: AugmentedInput) -> str | None:
        return needs_shape(augmented, self.type)

    @property
    def in_short(self) -> str:
        return f"scaled by a factor of up to {1 + self.by:g}"

    def matrices(self, draws: "Draws", height: int, width: int) -> "Tensor":
        from dlcli.augmentations.computing.warping import affine

        del height, width
        factor = draws.around("factor", 0, math.log1p(self.by)).exp()
        return affine(draws.seeds, a=factor, d=factor)
