"""The interface of all augmentations."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from dlcli.section import Section

if TYPE_CHECKING:
    from torch import Tensor

    from dlcli.augmentations.computing.draws import Draws

Probability = Annotated[float, Field(gt=0, le=1)]


@dataclass(frozen=True)
class AugmentedInput:
    """An input of the network whose training rows are augmented."""

    field: str
    shape: tuple[int, ...]  # of a row: [channels, height, width], [channels, length] or [numbers]
    # The value of white where 0 is black; None: the numbers of a table, of which nobody knows.
    white: float | None = None

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width; a signal has the height 1."""
        if len(self.shape) == 3:
            channels, height, width = self.shape
            return channels, height, width
        channels, width = (self.shape[0], 1) if len(self.shape) == 1 else self.shape
        return channels, 1, width

    @property
    def is_image(self) -> bool:
        """Whether it has rows and columns of pixels."""
        return len(self.shape) == 3


class Augmentation(Section, ABC):
    """Random changes of training images, which leave what they show as it is.

    Images are [rows, channels, height, width]; signals are images of height 1. What is drawn for a
    row comes from `draws`, by names, and from nowhere else. Torch is imported inside of functions.
    """

    type: str

    moves: ClassVar[bool] = False  # whether `matrices` says where pixels go
    keeps_pixels: ClassVar[bool] = True  # whether they go to places of pixels, none in between
    changes_values: ClassVar[bool] = False  # whether `change` changes pixels' values
    mixes: ClassVar[bool] = False  # whether `mixed` mixes pairs of rows

    @abstractmethod
    def obstacle(self, augmented: AugmentedInput) -> str | None:
        """Say why it doesn't work on an input, and what to do; None: it does."""

    @property
    @abstractmethod
    def in_short(self) -> str:
        """What it does, as a part of a sentence."""

    def matrices(self, draws: "Draws", height: int, width: int) -> "Tensor":
        """Return where each pixel of the result comes from, float32 [rows, 3, 3].

        They map (x, y, 1) of the result to that of the original, in pixels from the image's centre.
        """
        raise NotImplementedError(f"{self.type} moves nothing")

    def change(self, images: "Tensor", draws: "Draws", white: float | None) -> None:
        """Change the values of images, float32, in place; `white` is as in AugmentedInput."""
        raise NotImplementedError(f"{self.type} changes no values")

    def mixed(self, draws: "Draws", height: int, width: int) -> "Tensor":
        """Return how much of each row's own pixels is left, float32 [rows, 1, height, width].

        The rest is its partner's. [rows, 1, 1, 1] where all pixels have the same share.
        """
        raise NotImplementedError(f"{self.type} mixes nothing")


def needs_image(augmented: AugmentedInput, kind: str) -> str | None:
    """Say that an augmentation is for images, where the input is none."""
    if augmented.is_image:
        return None
    what = "signals" if len(augmented.shape) == 2 else "rows without a shape"
    return (
        f"{kind} is for images, the rows are {what}; leave it out, or arrange the numbers as an "
        "image (data.shape: [channels, height, width])"
    )


def needs_shape(augmented: AugmentedInput, kind: str) -> str | None:
    """Say that an augmentation is for images and signals, where the input is neither."""
    if len(augmented.shape) > 1:
        return None
    return (
        f"{kind} is for images and signals; leave it out, or arrange the numbers (data.shape: "
        "[channels, height, width] or [channels, length])"
    )


def needs_white(augmented: AugmentedInput, kind: str) -> str | None:
    """Say that an augmentation needs to know what black and white are."""
    if augmented.white is not None:
        return None
    return (
        f"{kind} needs the values of image files, from black to white, which the numbers of a "
        "table don't have; leave it out, or give the images as files"
    )
