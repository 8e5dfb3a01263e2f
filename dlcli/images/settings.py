"""The config section `data.images`: what image files become."""

from typing import Annotated, Literal

from pydantic import Field

from dlcli.section import Section

Fit = Literal["crop", "pad", "stretch"]
Channels = Literal["rgb", "grey"]
_Side = Annotated[int, Field(ge=1, le=8192)]


class ImageSettings(Section):
    """What image files become: pixels of one size. Columns of the kind `image` use it."""

    size: Annotated[tuple[_Side, _Side], Field(strict=False)] = Field(
        (96, 96), description="height and width in pixels that images are scaled to"
    )
    fit: Fit = Field(
        "crop",
        description="images of another aspect ratio: their middle is cut out, as large as it can "
        "be (crop), black bars are added at two sides (pad), or they are distorted (stretch)",
    )
    channels: Channels = Field(
        "rgb",
        description="colours, or grey alone; what is transparent is laid on white, and 16-bit "
        "images become 8-bit",
    )

    @property
    def num_channels(self) -> int:
        """How many numbers a pixel has."""
        return 3 if self.channels == "rgb" else 1

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of a decoded image: [channels, height, width]."""
        return (self.num_channels, *self.size)
