"""Random brightness, contrast, saturation and hue."""

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self, final

from pydantic import Field, model_validator

from dlcli.augmentations.base import Augmentation, AugmentedInput, needs_image, needs_white

if TYPE_CHECKING:
    from torch import Tensor

    from dlcli.augmentations.computing.draws import Draws

Strength = Annotated[float, Field(ge=0, lt=1)]
_DEFAULT_SATURATION = 0.2


@final
class Colour(Augmentation):
    """Brightness, contrast, saturation and hue of each image, by random factors.

    As torchvision's ColorJitter, in this order. Hue is turned in the plane of YIQ's two colour
    axes, so that grey stays grey and the four are one linear map of each pixel.
    """

    type: Literal["colour"]
    brightness: Strength = Field(
        0.2, description="values are multiplied by a factor from 1 - `brightness` to 1 + it"
    )
    contrast: Strength = Field(
        0.2, description="differences to the image's mean grey are, by 1 - `contrast` to 1 + it"
    )
    saturation: Strength | None = Field(
        None,
        description="differences to each pixel's grey are, by 1 - `saturation` to 1 + it; default: "
        "0.2, and 0 where images have one channel",
    )
    hue: Annotated[float, Field(ge=0, le=0.5)] = Field(
        0.0, description="the largest turn of the hue to either side, as a share of the circle"
    )

    changes_values: ClassVar[bool] = True

    @model_validator(mode="after")
    def _refuse_nothing(self) -> Self:
        if not (self.brightness or self.contrast or self.hue or self.saturation != 0):
            raise ValueError("changes nothing: all of its settings are 0; leave it out")
        return self

    def obstacle(self, augmented: AugmentedInput) -> str | None:
        reason = needs_image(augmented, self.type) or needs_white(augmented, self.type)
        if reason is not None:
            return reason
        channels = augmented.shape[0]
        if channels != 3 and (self.saturation or self.hue):
            return f"saturation and hue need 3 channels, the images have {channels}; leave both out"
        if channels != 3 and not (self.brightness or self.contrast):
            return f"changes nothing in images of {channels} channels; leave it out"
        return None

    @property
    def in_short(self) -> str:
        saturation = _DEFAULT_SATURATION if self.saturation is None else self.saturation
        each = {
            "brightness": self.brightness,
            "contrast": self.contrast,
            "saturation": saturation,
            "hue": self.hue,
        }
        return ", ".join(
            f"{name} ±{100 * strength:g} %" for name, strength in each.items() if strength
        )

    def change(self, images: "Tensor", draws: "Draws", white: float | None) -> None:
        from dlcli.augmentations.computing.colour_maps import Factors, change_colours

        assert white is not None, "others are refused"
        saturation = hue = None
        if images.shape[1] == 3:
            share = _DEFAULT_SATURATION if self.saturation is None else self.saturation
            saturation = draws.around("saturation", 1, share) if share else None
            hue = draws.around("hue", 0, self.hue) if self.hue else None
        factors = Factors(
            draws.around("brightness", 1, self.brightness) if self.brightness else None,
            draws.around("contrast", 1, self.contrast) if self.contrast else None,
            saturation,
            hue,
        )
        change_colours(images, factors, white)
