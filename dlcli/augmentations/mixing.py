"""Augmentations that mix pairs of training rows: mixup and cutmix."""

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, final

from pydantic import Field

from dlcli.augmentations.base import Augmentation, AugmentedInput, Probability, needs_shape

if TYPE_CHECKING:
    from torch import Tensor

    from dlcli.augmentations.computing.draws import Draws

Alpha = Annotated[float, Field(gt=0, le=100)]


@final
class MixUp(Augmentation):
    """Rows are weighted means of two, and so are their targets.

    mixup (Zhang et al. 2018, *mixup: beyond empirical risk minimization*). The loss is the mean of
    the losses with either class, by the same weights.
    """

    type: Literal["mixup"]
    alpha: Alpha = Field(
        0.2, description="the share of the other row is drawn from Beta(alpha, alpha)"
    )
    probability: Probability = Field(1.0, description="share of the rows that are mixed")

    mixes: ClassVar[bool] = True

    def obstacle(self, augmented: AugmentedInput) -> str | None:
        del augmented
        return None

    @property
    def in_short(self) -> str:
        rows = "" if self.probability == 1 else f" with probability {self.probability:g}"
        return f"mixed with another row, by shares of Beta({self.alpha:g}, {self.alpha:g}){rows}"

    def mixed(self, draws: "Draws", height: int, width: int) -> "Tensor":
        del height, width
        shares = draws.beta("share", self.alpha)
        return shares.where(draws.happens("is mixed", self.probability), 1.0)[:, None, None, None]


@final
class CutMix(Augmentation):
    """A rectangle of some images is another image's, and so is its share of the target.

    CutMix (Yun et al. 2019, *CutMix: regularization strategy to train strong classifiers with
    localizable features*), but that rectangles lie within the image whole. Of a signal, a stretch.
    """

    type: Literal["cutmix"]
    alpha: Alpha = Field(
        1.0, description="the rectangle's share of the area is drawn from Beta(alpha, alpha)"
    )
    probability: Probability = Field(0.5, description="share of the rows that are mixed")

    mixes: ClassVar[bool] = True

    def obstacle(self, augmented: AugmentedInput) -> str | None:
        return needs_shape(augmented, self.type)

    @property
    def in_short(self) -> str:
        return f"a rectangle of another image's, with probability {self.probability:g}"

    def mixed(self, draws: "Draws", height: int, width: int) -> "Tensor":
        import torch

        from dlcli.augmentations.computing.rectangles import placed, rectangle_sides

        area = draws.beta("share", self.alpha)
        down, across = rectangle_sides(area, torch.zeros_like(area), height, width)
        cut = placed(draws, down, across, height, width)
        cut &= draws.happens("is mixed", self.probability)[:, None, None, None]
        return 1.0 - cut.float()
