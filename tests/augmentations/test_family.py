"""Every augmentation: a function of a row and its seed alone, on images, signals and numbers."""

from functools import cache

import pytest
import torch

from dlcli.augmentations.base import AugmentedInput
from dlcli.config.reference import reference_page
from dlcli.section import type_of
from tests.augmentations.samples import (
    IMAGE,
    NUMBERS,
    SAMPLES,
    SIGNAL,
    TABLE_IMAGE,
    images,
    pipeline,
    read,
    seeds,
)
from tests.conftest import ROOT
from tests.families import Settings

INPUTS = {"image": IMAGE, "table": TABLE_IMAGE, "signal": SIGNAL, "numbers": NUMBERS}
MOVES_OR_COLOURS = {
    name: one for name, one in SAMPLES.items() if one["type"] not in ("erasing", "mixup", "cutmix")
}
FITTING = {
    f"{name} {place}": (one, augmented)
    for name, one in SAMPLES.items()
    for place, augmented in INPUTS.items()
    if read(one)[0].obstacle(augmented) is None
}
each_sample = pytest.mark.parametrize("settings", SAMPLES.values(), ids=SAMPLES)


def augmented_rows(settings: Settings, augmented: AugmentedInput, rows: slice) -> torch.Tensor:
    """Return some rows as they come out, mixed with the rows in the opposite order."""
    one, all_rows, all_seeds = pipeline(settings, augmented=augmented), images(augmented), seeds()
    changed = one.changed(all_rows[rows], all_seeds[rows])
    kept = one.kept_shares(all_seeds[rows])
    if kept is None:
        return changed
    return one.mixed(changed, one.changed(all_rows.flip(0)[rows], all_seeds.flip(0)[rows]), kept)


@pytest.mark.parametrize(("settings", "augmented"), FITTING.values(), ids=FITTING)
def test_a_row_comes_out_the_same_in_whatever_batch_it_is(
    settings: Settings, augmented: AugmentedInput
) -> None:
    together = augmented_rows(settings, augmented, slice(None))
    assert together.shape == images(augmented).shape
    assert together.isfinite().all() if together.is_floating_point() else True
    assert not torch.equal(together, images(augmented).to(together.dtype)), "it does something"
    for start, stop in ((0, 1), (1, 14), (14, 40)):
        assert torch.equal(
            together[start:stop], augmented_rows(settings, augmented, slice(start, stop))
        )


@each_sample
def test_other_seeds_give_other_images_and_values_stay_from_black_to_white(
    settings: Settings,
) -> None:
    one, rows = pipeline(settings), images()
    first, second = (one.changed(rows, seeds(start=start)).float() for start in (0, 1))
    if read(settings)[0].mixes:
        shares = [one.kept_shares(seeds(start=start)) for start in (0, 1)]
        assert shares[0] is not None
        assert shares[1] is not None
        assert not torch.equal(shares[0], shares[1])
        assert ((shares[0] >= 0) & (shares[0] <= 1)).all()
    elif settings != {"type": "flip", "axis": "vertical", "probability": 1.0}:
        assert not torch.equal(first, second)
    assert first.min() >= 0
    assert first.max() <= 255


@pytest.mark.parametrize("settings", MOVES_OR_COLOURS.values(), ids=MOVES_OR_COLOURS)
def test_another_augmentation_in_the_list_changes_no_draw(settings: Settings) -> None:
    erasing = {"type": "erasing", "probability": 1.0, "area": [0.9, 0.95]}
    alone, beside = pipeline(settings), pipeline(settings, erasing)
    is_same = (alone.changed(images(), seeds()).float() == beside.changed(images(), seeds())).all(1)
    assert is_same.flatten(1).any(1).all(), "what is not erased is the same"


@cache
def page() -> str:
    return reference_page()


@pytest.mark.parametrize("kind", sorted({settings["type"] for settings in SAMPLES.values()}))
def test_it_is_in_the_reference_and_says_what_it_does(kind: str) -> None:
    member = next(type(read(one)[0]) for one in SAMPLES.values() if one["type"] == kind)
    assert type_of(member) == kind
    family = page().partition("## Augmentations")[2]
    section = family.partition(f"### `{kind}`\n")[2].partition("###")[0]
    assert (member.__doc__ or "nothing").strip().split("\n")[0] in section
    assert read({"type": kind})[0].in_short
    assert f"`{kind}`" in (ROOT / "docs/guides/augmentation.md").read_text("utf-8")
