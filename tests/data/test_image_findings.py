"""What `dlcli init` says about images before it trains: copies, labels, sizes, unusable files."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dlcli.data.survey import images
from dlcli.data.survey.images import image_findings
from dlcli.tables.reading import read_table
from dlcli.tables.sources import find_source


def scene(seed: int, size: tuple[int, int] = (64, 48)) -> Image.Image:
    """Return a smooth picture of random colours."""
    noise = np.random.default_rng(seed).integers(0, 256, (6, 8, 3)).astype(np.uint8)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)


def save(image: Image.Image, path: str, quality: int = 95) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    image.save(path, quality=quality)


def findings(*, part: str | None = None) -> list[str]:
    return image_findings(read_table(find_source("pets")), "image", label="label", part=part)


def make(parent: str, first: int = 0) -> None:
    for index in range(first, first + 12):
        save(scene(index), f"{parent}/{'ab'[index % 2]}/{index}.png")


def test_images_that_differ_give_no_finding() -> None:
    make("pets")
    save(Image.new("RGB", (64, 48), "red"), "pets/a/blank.png")
    save(Image.new("RGB", (64, 48), "blue"), "pets/b/blank.png")
    assert findings() == []


def test_a_copy_is_found_however_it_was_scaled_and_compressed() -> None:
    make("pets")
    save(scene(2).resize((40, 30)), "pets/a/copy.jpg", quality=60)
    save(scene(3).point(lambda value: value * 0.8), "pets/b/darker.png")
    (said,) = findings()
    assert said.startswith(
        "4 images look like another one (a/2.png and a/copy.jpg; b/3.png and b/darker.png): a "
        "random split puts some in different parts"
    )


def test_a_copy_in_another_part_is_found() -> None:
    make("pets/train")
    make("pets/test", first=100)
    save(scene(2), "pets/train/a/again.png")
    assert findings(part="part") == []
    save(scene(4), "pets/test/a/copy.png")
    (said,) = findings(part="part")
    assert said.startswith(
        "2 images look like one in another part (train/a/4.png and test/a/copy.png): the metrics"
    )


def test_a_copy_with_another_label_is_found() -> None:
    make("pets")
    save(scene(2), "pets/b/copy.png")
    assert "2 images look like one with another label (a/2.png and b/copy.png)" in findings()[1]


def test_of_many_images_runs_of_neighbours_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "_MAX_IMAGES", 32)
    for index in range(60):
        save(Image.new("RGB", (64, 48), "red"), f"pets/a/{index:02}.png")
    save(scene(1), "pets/a/zz.png")
    save(scene(1), "pets/a/zzz.png")
    (said,) = findings()
    assert said.startswith("2 of 32 sampled images look like another one (a/zz.png and a/zzz.png)")


def test_sizes_far_off_and_files_that_cannot_be_used_are_named() -> None:
    make("pets")
    save(scene(50, (640, 480)), "pets/a/large.png")
    Path("pets/b/broken.png").write_bytes(b"text")
    broken, size = findings()
    assert broken == (
        "1 image can't be used: pets/b/broken.png: not an image that is read: it begins with "
        "b'text'"
    )
    assert size.startswith(
        "1 image is of a size far from the median of 48 × 64 pixels (a/large.png with 480 × 640)"
    )
