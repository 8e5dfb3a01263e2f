"""The family of augmentations: its members, and the config's section for any of them."""

from typing import Annotated, get_args

from dlcli.augmentations.auto import Auto
from dlcli.augmentations.base import Augmentation
from dlcli.augmentations.colour import Colour
from dlcli.augmentations.erasing import Erasing
from dlcli.augmentations.geometry import Crop, Flip, Rotation, Scaling, Shift
from dlcli.augmentations.mixing import CutMix, MixUp
from dlcli.section import ByType

AnyAugmentation = Annotated[
    Flip | Shift | Crop | Rotation | Scaling | Colour | Erasing | Auto | MixUp | CutMix,
    ByType(),
]
AUGMENTATIONS: tuple[type[Augmentation], ...] = get_args(get_args(AnyAugmentation)[0])
