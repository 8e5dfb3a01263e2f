"""Images a second that are augmented, beside torchvision: `python -m benchmarks.augmentation`.

`--write` writes the page. Both are given the same decoded images, in memory as bytes, and make the
batches of an epoch that a step on two cores would get: torchvision's transforms in a DataLoader
with two workers, which stay from epoch to epoch; here, what `training.augment` does before a step.
Epochs take turns, and the first of each is not counted.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import torch
from pydantic import TypeAdapter
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from benchmarks.measurement import machine, met, publish
from dlcli.augmentations.base import Augmentation, AugmentedInput
from dlcli.augmentations.computing.pipeline import Pipeline
from dlcli.augmentations.family import AnyAugmentation
from dlcli.training.rows.augmenting import Augmenter
from dlcli.training.rows.batches import Rows
from dlcli.training.rows.companions import companions_of
from dlcli.training.rows.steps import epoch_steps
from tests import torchvision_import  # noqa: F401 - before torchvision

from torchvision.transforms import v2  # type: ignore[import-untyped]  # isort: skip

PAGE = Path(__file__).parent.parent / "docs" / "measurements" / "augmentation.md"
NUM_IMAGES, SIZE, BATCH, NUM_EPOCHS = 2000, 96, 32, 7
ASKED = 2.0
LISTS: dict[str, tuple[list[dict[str, object]], list[Callable[[Tensor], Tensor]]]] = {
    "flip, shift, colour": (
        [{"type": "flip"}, {"type": "shift"}, {"type": "colour"}],
        [
            v2.RandomHorizontalFlip(),
            v2.RandomCrop(SIZE, padding=SIZE // 8, padding_mode="reflect"),
            v2.ColorJitter(0.2, 0.2, 0.2),
        ],
    ),
    "flip, rotation": (
        [{"type": "flip"}, {"type": "rotation"}],
        [
            v2.RandomHorizontalFlip(),
            v2.RandomRotation(15.0, interpolation=v2.InterpolationMode.BILINEAR),
        ],
    ),
    "auto": (
        [{"type": "auto"}],
        [v2.TrivialAugmentWide(interpolation=v2.InterpolationMode.BILINEAR)],
    ),
}


class Images(Dataset[Tensor]):
    """Images in memory, each transformed when it is asked for."""

    def __init__(self, images: Tensor, transform: Callable[[Tensor], Tensor]) -> None:
        self.images, self.transform = images, transform

    def __len__(self) -> int:
        """Return their number."""
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        """Transform one."""
        return self.transform(self.images[index])


def torchvision_epoch(images: Tensor, transforms: list[Callable[[Tensor], Tensor]]) -> Callable:  # type: ignore[type-arg]
    """Return what makes the batches of an epoch."""
    data = Images(images, v2.Compose([*transforms, v2.ToDtype(torch.float32, scale=True)]))
    loader = DataLoader(data, BATCH, shuffle=True, num_workers=2, persistent_workers=True)

    def epoch(_: int) -> None:
        assert sum(len(batch) for batch in loader) == len(images)

    return epoch


def our_epoch(images: Tensor, settings: list[dict[str, object]]) -> Callable[[int], None]:
    """Do the same with a list of augmentations."""
    reader: TypeAdapter[Augmentation] = TypeAdapter(AnyAugmentation)
    augmentations = [reader.validate_python(one) for one in settings]
    pipeline = Pipeline(augmentations, AugmentedInput("image", (3, SIZE, SIZE), 255.0), 0)
    augmenter = Augmenter((pipeline,), "target", mixes_targets=False)
    rows = Rows({"image": images}, {"target": torch.arange(len(images))}, len(images))

    def epoch(number: int) -> None:
        steps = epoch_steps(
            rows,
            batch_size=BATCH,
            accumulate=1,
            seed=0,
            epoch=number,
            companions=companions_of(augmentations),
        )
        assert sum(len(augmenter(step)[0]) for step in steps) == len(images)

    return epoch


def images_a_second(epochs: list[Callable[[int], None]]) -> list[float]:
    """Return those of the fastest of the later epochs, which take turns."""
    seconds: list[list[float]] = [[] for _ in epochs]
    for number in range(1, NUM_EPOCHS + 1):
        for found, epoch in zip(seconds, epochs, strict=True):
            begun = time.perf_counter()
            epoch(number)
            found.append(time.perf_counter() - begun)
    return [NUM_IMAGES / min(found[1:]) for found in seconds]


def main() -> None:
    """Measure, and print or write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    size = (NUM_IMAGES, 3, SIZE, SIZE)
    images = torch.randint(256, size, generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    lines = [
        "# Speed of augmentation",
        "",
        f"`python -m benchmarks.augmentation --write` on {machine()}. {NUM_IMAGES:,} images of "
        f"{SIZE} × {SIZE} pixels in three colours, decoded and in memory, in batches of {BATCH}: "
        "images a second of later epochs, beside torchvision's transforms in a DataLoader with "
        f"two workers. Epochs take turns; the fastest of {NUM_EPOCHS - 1}.",
        "",
        f"| list | dlcli | torchvision | times | asked: {ASKED:g} |",
        "|---|---|---|---|---|",
    ]
    for name, (settings, transforms) in LISTS.items():
        ours, theirs = images_a_second(
            [our_epoch(images, settings), torchvision_epoch(images, transforms)]
        )
        ratio = ours / theirs
        lines.append(
            f"| {name} | {ours:,.0f} | {theirs:,.0f} | {ratio:.1f} | {met(ratio, ASKED)} |"
        )
    publish(lines, PAGE, is_written=arguments.write)


if __name__ == "__main__":
    main()
