"""Random erasing."""

import math
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self, final

from pydantic import Field, model_validator

from dlcli.augmentations.base import Augmentation, AugmentedInput, Probability, needs_shape

if TYPE_CHECKING:
    from torch import Tensor

    from dlcli.augmentations.computing.draws import Draws

Share = Annotated[float, Field(gt=0, lt=1)]


@final
class Erasing(Augmentation):
    """A rectangle of some images is replaced by the mean of each of their channels.

    Random erasing (Zhong et al. 2020, *Random erasing data augmentation*); of a signal, a stretch.
    """

    type: Literal["erasing"]
    probability: Probability = Field(0.5, description="share of the images that lose a rectangle")
    area: Annotated[tuple[Share, Share], Field(strict=False)] = Field(
        (0.02, 0.33), description="smallest and largest share of the area that is erased"
    )
    ratio: Annotated[float, Field(ge=1, le=10)] = Field(
        3.3, description="the longer side of the rectangle over the shorter one, at most"
    )

    changes_values: ClassVar[bool] = True

    @model_validator(mode="after")
    def _refuse_empty_range(self) -> Self:
        if self.area[0] > self.area[1]:
            raise ValueError("`area` is [smallest, largest]: the first number is the larger one")
        return self

    def obstacle(self, augmented: AugmentedInput) -> str | None:
        return needs_shape(augmented, self.type)

    @property
    def in_short(self) -> str:
        low, high = (100 * share for share in self.area)
        return f"{low:g} to {high:g} % erased with probability {self.probability:g}"

    def change(self, images: "Tensor", draws: "Draws", white: float | None) -> None:
        import torch

        from dlcli.augmentations.computing.blocks import blocks
        from dlcli.augmentations.computing.rectangles import placed, rectangle_sides

        del white
        height, width = images.shape[2:]
        ratio = math.log(self.ratio)
        down, across = rectangle_sides(
            draws.between("area", *self.area), draws.between("ratio", -ratio, ratio), height, width
        )
        erased = placed(draws, down, across, height, width)
        erased &= draws.happens("is erased", self.probability)[:, None, None, None]
        means = images.mean((2, 3), keepdim=True)
        for block in blocks(images):
            images[block] = torch.where(erased[block], means[block], images[block])
