"""Settings of every augmentation to test, and images to try them on."""

import torch
from pydantic import TypeAdapter

from dlcli.augmentations.base import Augmentation, AugmentedInput
from dlcli.augmentations.computing.pipeline import Pipeline
from dlcli.augmentations.family import AUGMENTATIONS, AnyAugmentation
from tests.families import Settings, samples_of

SAMPLES = samples_of(
    AUGMENTATIONS,
    {
        "flip": [{"axis": "both"}, {"axis": "vertical", "probability": 1.0}],
        "shift": [{"by": 0.5}],
        "crop": [{"area": [0.1, 0.2], "ratio": [0.5, 2.0]}],
        "colour": [{"hue": 0.5}, {"brightness": 0.0, "contrast": 0.9, "saturation": 0.0}],
        "erasing": [{"probability": 1.0, "area": [0.5, 0.6], "ratio": 1.0}],
        "mixup": [{"alpha": 1.0, "probability": 0.5}],
        "cutmix": [{"alpha": 0.3, "probability": 1.0}],
    },
)
IMAGE = AugmentedInput("image", (3, 12, 9), 255.0)
TABLE_IMAGE = AugmentedInput("numbers", (2, 5, 6))
SIGNAL = AugmentedInput("numbers", (3, 16))
NUMBERS = AugmentedInput("numbers", (12,))


def read(*settings: Settings) -> tuple[Augmentation, ...]:
    reader: TypeAdapter[Augmentation] = TypeAdapter(AnyAugmentation)
    return tuple(reader.validate_python(one) for one in settings)


def pipeline(*settings: Settings, augmented: AugmentedInput = IMAGE) -> Pipeline:
    return Pipeline(read(*settings), augmented, 0)


def images(augmented: AugmentedInput = IMAGE, count: int = 40) -> torch.Tensor:
    """Return images whose values all differ from their neighbours', uint8 where there is white."""
    generator = torch.Generator().manual_seed(4)
    if augmented.white is None:
        return torch.randn(count, *augmented.shape, generator=generator)
    size = (count, *augmented.shape)
    return torch.randint(256, size, generator=generator, dtype=torch.uint8)


def seeds(count: int = 40, start: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(start)
    return torch.randint(-(2**62), 2**62, (count,), generator=generator)
