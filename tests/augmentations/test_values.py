"""What augmentations compute, against Pillow, NumPy and SciPy."""

import math

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps
from scipy import stats

from dlcli.augmentations.base import AugmentedInput
from dlcli.augmentations.computing import tones
from dlcli.augmentations.computing.colour_maps import Factors, change_colours
from dlcli.augmentations.computing.draws import Draws, row_seeds
from dlcli.augmentations.computing.warping import affine, composed, copied, resampled, rotations
from tests.augmentations.samples import IMAGE, SIGNAL, images, pipeline, seeds

MANY = Draws(row_seeds(torch.arange(40_000), torch.tensor(7)), ("test",))


def splitmix64(state: int) -> int:
    """Return the number after a state, as published, of the next state."""
    mask = 2**64 - 1
    state = (state + 0x9E3779B97F4A7C15) & mask
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & mask
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & mask
    return state ^ (state >> 31)


def test_seeds_of_rows_are_the_numbers_of_splitmix64() -> None:
    assert splitmix64(0) == 0xE220A8397B1DCDAF  # as its authors print it
    found = row_seeds(torch.arange(3), torch.tensor(12345))
    gamma = 0x9E3779B97F4A7C15
    expected = [splitmix64((12345 + row * gamma) & (2**64 - 1)) for row in range(3)]
    assert [number % 2**64 for number in found.tolist()] == expected


def test_draws_are_uniform_and_those_of_two_names_independent() -> None:
    first, second = MANY.uniform("first"), MANY.uniform("second")
    assert stats.kstest(first.numpy(), "uniform").pvalue > 0.01
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.02
    assert abs(np.corrcoef(first[1:], first[:-1])[0, 1]) < 0.02
    assert set(MANY.whole("side", 5).tolist()) == set(range(5))


@pytest.mark.parametrize("alpha", [0.02, 0.2, 0.5, 1.0, 4.0])
def test_shares_are_of_the_beta_distribution(alpha: float) -> None:
    drawn = MANY.beta("share", alpha).numpy()
    assert ((drawn >= 0) & (drawn <= 1)).all()
    for quantile in (0.1, 0.3, 0.5, 0.7, 0.9):
        place = stats.beta(alpha, alpha).ppf(quantile)
        below, at = (drawn < place - 1e-6).mean(), (drawn <= place + 1e-6).mean()
        assert below - 0.01 < quantile < at + 0.01


def test_shifts_are_crops_of_the_reflected_image() -> None:
    shifted = pipeline({"type": "shift", "by": 0.3}).changed(images(), seeds())
    assert shifted.dtype == torch.uint8
    down, across = round(0.3 * 12), round(0.3 * 9)
    pad = ((0, 0), (0, 0), (down, down), (across, across))
    padded = np.pad(images().numpy(), pad, mode="reflect")
    places = set()
    for before, after in zip(padded, shifted.numpy(), strict=True):
        [place] = [
            (y, x)
            for y in range(2 * down + 1)
            for x in range(2 * across + 1)
            if (before[:, y : y + 12, x : x + 9] == after).all()
        ]
        places.add(place)
    assert {y for y, _ in places} == set(range(2 * down + 1)), "all shifts, the largest ones too"


def test_a_flip_mirrors_and_half_of_the_images_are_flipped() -> None:
    flipped = pipeline({"type": "flip"}).changed(images(), seeds())
    is_same = (flipped == images()).flatten(1).all(1)
    assert torch.equal(flipped[~is_same], images()[~is_same].flip(3))
    assert 10 < int(is_same.sum()) < 30


def test_moves_are_composed_into_one_in_their_order() -> None:
    pixels = torch.randn(1, 1, 7, 7)
    quarter = rotations(pixels, torch.tensor([math.pi / 2]))
    right = affine(pixels, x=torch.tensor([-2.0]))
    first_turned = resampled(pixels, composed([quarter, right]))
    step_by_step = resampled(resampled(pixels, quarter), right)
    torch.testing.assert_close(first_turned, step_by_step, atol=1e-4, rtol=0)
    turned = resampled(pixels, quarter)
    torch.testing.assert_close(turned, pixels.rot90(1, (2, 3)), atol=1e-4, rtol=0)


@pytest.mark.parametrize("size", [(1, 9), (9, 1), (1, 1), (2, 3)])
def test_tiny_images_are_moved_too(size: tuple[int, int]) -> None:
    pixels = torch.randn(4, 2, *size)
    matrices = affine(pixels, x=torch.full((4,), 3.0), y=torch.full((4,), -5.0))
    torch.testing.assert_close(copied(pixels, matrices), resampled(pixels, matrices))


def with_colours(pixels: torch.Tensor, factors: Factors, white: float) -> torch.Tensor:
    changed = pixels.clone()
    change_colours(changed, factors, white)
    return changed


def enhanced(name: str, factor: float) -> np.ndarray:
    """Return the first image as Pillow changes it, float [channels, height, width]."""
    picture = Image.fromarray(images()[0].permute(1, 2, 0).numpy())
    return np.asarray(getattr(ImageEnhance, name)(picture).enhance(factor)).transpose(2, 0, 1)


@pytest.mark.parametrize("factor", [0.3, 1.6])
@pytest.mark.parametrize(
    ("ours", "pillows"),
    [("brightness", "Brightness"), ("contrast", "Contrast"), ("saturation", "Color")],
)
def test_colours_are_pillows(ours: str, pillows: str, factor: float) -> None:
    factors = Factors(**{ours: torch.tensor([factor])})
    changed = with_colours(images()[:1].float(), factors, 255.0)[0]
    np.testing.assert_allclose(changed, enhanced(pillows, factor), atol=1.6)  # it rounds twice


def test_turning_the_hue_keeps_brightness_and_a_whole_turn_is_none() -> None:
    pixels = 100 + 20 * torch.rand(2, 3, 4, 4)
    grey = torch.tensor([0.299, 0.587, 0.114])[None, :, None, None]
    turned = with_colours(pixels, Factors(hue=torch.tensor([0.25, 1.0])), 255.0)
    torch.testing.assert_close((turned * grey).sum(1), (pixels * grey).sum(1))
    torch.testing.assert_close(turned[1], pixels[1])
    assert (turned[0] - pixels[0]).abs().max() > 5


def test_several_colours_at_once_are_one_after_the_other() -> None:
    pixels = 100 + 20 * torch.rand(2, 3, 4, 4)
    each = {
        "brightness": torch.tensor([1.1, 0.8]),
        "contrast": torch.tensor([0.7, 1.2]),
        "saturation": torch.tensor([0.5, 1.5]),
        "hue": torch.tensor([0.1, -0.2]),
    }
    by_steps = pixels
    for name, factors in each.items():
        by_steps = with_colours(by_steps, Factors(**{name: factors}), 255.0)
    torch.testing.assert_close(with_colours(pixels, Factors(**each), 255.0), by_steps)


@pytest.mark.parametrize("index", range(5))
def test_tones_are_pillows(index: int) -> None:
    pixels = images(AugmentedInput("image", (3, 40, 30), 255.0), 5)[index] // 2 + 20
    picture = Image.fromarray(pixels.permute(1, 2, 0).numpy())
    given = pixels[None].float()
    pairs = [
        (tones.equalized(given), ImageOps.equalize(picture), 0),
        (tones.stretched(given), ImageOps.autocontrast(picture), 1),
        (tones.posterized(given, torch.tensor([3.0])), ImageOps.posterize(picture, 3), 0),
        (tones.solarized(given, torch.tensor([90.0])), ImageOps.solarize(picture, 90), 0),
        (
            tones.sharpened(given, torch.tensor([1.7])),
            ImageEnhance.Sharpness(picture).enhance(1.7),
            2,
        ),
    ]
    for ours, pillows, tolerance in pairs:
        expected = np.asarray(pillows).transpose(2, 0, 1)
        np.testing.assert_allclose(ours[0].numpy(), expected, atol=tolerance)


def test_erased_rectangles_have_the_share_that_is_asked_for() -> None:
    settings = {"type": "erasing", "probability": 1.0, "area": [0.2, 0.4]}
    one = pipeline(settings, augmented=AugmentedInput("image", (1, 50, 40), 255.0))
    pixels = images(AugmentedInput("image", (1, 50, 40), 255.0)).float()
    erased = (one.changed(pixels, seeds()) != pixels).flatten(1).float().mean(1)
    assert (erased > 0.18).all()
    assert (erased < 0.42).all()
    means = one.changed(pixels, seeds()).mean((1, 2, 3))
    torch.testing.assert_close(means, pixels.mean((1, 2, 3)), atol=8, rtol=0)


def test_cutmix_keeps_as_much_of_an_image_as_its_share_says() -> None:
    one = pipeline({"type": "cutmix", "probability": 1.0})
    kept = one.kept_shares(seeds())
    assert kept is not None
    mixed = one.mixed(torch.ones(40, 3, 12, 9), torch.zeros(40, 3, 12, 9), kept)
    assert ((mixed == 0) | (mixed == 1)).all()
    torch.testing.assert_close(mixed.mean((1, 2, 3)), kept.mean((1, 2, 3)))


def test_of_mixup_and_cutmix_each_row_takes_one() -> None:
    both = ({"type": "mixup", "alpha": 1.0}, {"type": "cutmix", "probability": 1.0})
    kept = pipeline(*both).kept_shares(seeds())
    assert kept is not None
    is_cut = ((kept == 0) | (kept == 1)).flatten(1).all(1)
    assert 10 < int(is_cut.sum()) < 30
    assert (kept[~is_cut].flatten(1).std(1) < 1e-6).all()


def test_a_signal_is_stretched_in_time_alone() -> None:
    signal = torch.linspace(0, 1, 16).expand(40, 3, 16)
    stretched = pipeline({"type": "scale"}, augmented=SIGNAL).changed(signal, seeds())
    slopes = (stretched[:, :, 9] - stretched[:, :, 8]) / (signal[:, :, 9] - signal[:, :, 8])
    assert (slopes > 1 / 1.21).all()
    assert (slopes < 1.21).all()
    assert slopes.std() > 0.05
    assert IMAGE.is_image
