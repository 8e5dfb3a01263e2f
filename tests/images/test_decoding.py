"""Image files of any kind become the same pixels."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.Image import Transpose

from dlcli.images.decoding import decode, decode_many
from dlcli.images.opening import ImageFileError, read_header
from dlcli.images.settings import ImageSettings

HEIGHT, WIDTH = 16, 24
AS_IT_IS = ImageSettings(size=(HEIGHT, WIDTH))
GREY = ImageSettings(size=(HEIGHT, WIDTH), channels="grey")
UNDONE = {  # EXIF orientation → how an upright image is stored under it
    1: None,
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_90,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_270,
}


def blocks() -> Image.Image:
    """Return six blocks of colours, 8 × 8 pixels each, no two alike."""
    colours = np.array(
        [[[0, 0, 0], [255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 0], [255, 255, 255]]]
    )
    return Image.fromarray(np.kron(colours, np.ones((8, 8, 1))).astype(np.uint8))


def pixels(image: Image.Image) -> np.ndarray:
    """Return an image as [channels, height, width]."""
    array = np.asarray(image)
    return array[np.newaxis] if array.ndim == 2 else array.transpose(2, 0, 1)


def saved(image: Image.Image, path: Path, **options: object) -> Path:
    image.save(path, **options)  # type: ignore[arg-type]
    return path


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("orientation", UNDONE)
def test_images_are_turned_as_exif_says(tmp_path: Path, suffix: str, orientation: int) -> None:
    way = UNDONE[orientation]
    stored = blocks() if way is None else blocks().transpose(way)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if suffix == "webp" else {"quality": 100, "subsampling": 0}
    path = saved(stored, tmp_path / f"a.{suffix}", exif=exif, **options)
    header = read_header(path)
    assert (header.height, header.width) == (HEIGHT, WIDTH)
    found = decode(path, AS_IT_IS)
    np.testing.assert_allclose(found.astype(int), pixels(blocks()).astype(int), atol=3)


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [("P", "gif"), ("P", "png"), ("RGBA", "png"), ("RGB", "bmp"), ("RGB", "ppm"), ("RGBX", "tif")],
)
def test_colours_are_the_same_from_any_mode(tmp_path: Path, mode: str, suffix: str) -> None:
    path = saved(blocks().convert(mode), tmp_path / f"a.{suffix}")
    np.testing.assert_array_equal(decode(path, AS_IT_IS), pixels(blocks()))


@pytest.mark.parametrize("suffix", ["jpg", "tif"])
def test_cmyk_becomes_rgb(tmp_path: Path, suffix: str) -> None:
    path = saved(blocks().convert("CMYK"), tmp_path / f"a.{suffix}", quality=100)
    found = decode(path, AS_IT_IS).astype(int)
    np.testing.assert_allclose(found, pixels(blocks()).astype(int), atol=6)


RAMP = np.linspace(0, 255, WIDTH).round().astype(np.uint8)[np.newaxis].repeat(HEIGHT, axis=0)


@pytest.mark.parametrize(
    ("numbers", "suffix"),
    [
        (RAMP, "png"),
        (RAMP.astype(np.uint16) * 257, "png"),
        (RAMP.astype(np.uint16) * 257, "tif"),
        (RAMP.astype(np.int32) * 257, "pgm"),
        (RAMP.astype(np.int32) * 100_000 - 5_000_000, "tif"),
        ((RAMP / 255).astype(np.float32), "tif"),
        ((RAMP * 3.5 - 70).astype(np.float32), "tif"),
    ],
)
def test_greys_of_any_width_are_scaled_not_clipped(
    tmp_path: Path, numbers: np.ndarray, suffix: str
) -> None:
    path = saved(Image.fromarray(numbers), tmp_path / f"a.{suffix}")
    np.testing.assert_array_equal(decode(path, GREY)[0], RAMP)
    np.testing.assert_array_equal(decode(path, AS_IT_IS), np.stack([RAMP] * 3))


def test_dark_16_bit_images_stay_dark(tmp_path: Path) -> None:
    path = saved(Image.fromarray(RAMP.astype(np.uint16)), tmp_path / "a.png")
    assert decode(path, GREY).max() == 1


def test_what_is_transparent_is_laid_on_white(tmp_path: Path) -> None:
    alpha = np.full((HEIGHT, WIDTH), 255, np.uint8)
    alpha[:8, :8] = 0
    image = blocks()
    image.putalpha(Image.fromarray(alpha))
    expected = pixels(blocks()).copy()
    expected[:, :8, :8] = 255
    np.testing.assert_array_equal(decode(saved(image, tmp_path / "a.png"), AS_IT_IS), expected)
    grey = Image.merge("LA", [Image.fromarray(RAMP), Image.fromarray(alpha)])
    found = decode(saved(grey, tmp_path / "b.png"), GREY)[0]
    assert (found[:8, :8] == 255).all()
    np.testing.assert_array_equal(found[8:], RAMP[8:])
    keyed = saved(blocks(), tmp_path / "c.png", transparency=(0, 0, 0))
    np.testing.assert_array_equal(decode(keyed, AS_IT_IS), expected)
    wide = Image.fromarray(RAMP.astype(np.uint16) * 257)
    found = decode(saved(wide, tmp_path / "d.png", transparency=0), GREY)[0]
    assert (found[:, 0] == 255).all()
    np.testing.assert_array_equal(found[:, 1:], RAMP[:, 1:])


@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "tif"])
def test_the_first_frame_counts(tmp_path: Path, suffix: str) -> None:
    others = [Image.new("RGB", (WIDTH, HEIGHT), colour) for colour in ("red", "blue")]
    options = {"lossless": True} if suffix == "webp" else {}
    path = saved(blocks(), tmp_path / f"a.{suffix}", save_all=True, append_images=others, **options)
    np.testing.assert_array_equal(decode(path, AS_IT_IS), pixels(blocks()))


def test_fit_crops_pads_or_stretches(tmp_path: Path) -> None:
    path = saved(blocks(), tmp_path / "a.png")
    cropped = decode(path, ImageSettings(size=(16, 8)))
    np.testing.assert_array_equal(cropped, pixels(blocks())[:, :, 8:16])
    padded = decode(path, ImageSettings(size=(24, 24), fit="pad"))
    np.testing.assert_array_equal(padded[:, 4:20], pixels(blocks()))
    assert not padded[:, :4].any()
    assert not padded[:, 20:].any()
    stretched = decode(path, ImageSettings(size=(32, 24), fit="stretch"))
    np.testing.assert_array_equal(stretched[:, 8::16, 4::8], pixels(blocks())[:, 4::8, 4::8])


def test_scaling_averages_what_becomes_one_pixel(tmp_path: Path) -> None:
    board = np.indices((64, 64)).sum(axis=0) % 2 * np.uint8(255)
    path = saved(Image.fromarray(board.astype(np.uint8)), tmp_path / "a.png")
    found = decode(path, ImageSettings(size=(8, 8), channels="grey")).astype(int)
    np.testing.assert_allclose(found, 127.5, atol=2)


@pytest.mark.parametrize("channels", ["rgb", "grey"])
def test_reading_fewer_pixels_of_large_jpegs_changes_little(tmp_path: Path, channels: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (20, 30, 3)).astype(np.uint8)
    smooth = Image.fromarray(noise).resize((450, 300), Image.Resampling.BICUBIC)
    settings = ImageSettings.model_validate({"size": [40, 60], "channels": channels})
    fast = decode(saved(smooth, tmp_path / "a.jpg", quality=95), settings).astype(int)
    whole = decode(saved(smooth, tmp_path / "a.png"), settings).astype(int)
    assert np.abs(fast - whole).mean() < 1.5
    assert np.abs(fast - whole).max() < 12


def test_names_say_nothing_of_the_content(tmp_path: Path) -> None:
    for name in ("a.jpg", "B.PNG", "Übung – 1.jpeg", "no suffix", "日本.JPG"):
        path = tmp_path / name
        blocks().save(path, format="PNG")
        assert read_header(path).format == "PNG"
        np.testing.assert_array_equal(decode(path, AS_IT_IS), pixels(blocks()))


def test_many_images_come_in_their_order_and_errors_in_their_place(tmp_path: Path) -> None:
    paths = []
    for index in range(100):
        image = Image.new("L", (200 - index, 50 + index), index)
        paths.append(saved(image, tmp_path / f"{index}.png"))
    paths[17].unlink()
    settings = ImageSettings(size=(4, 4), channels="grey")
    found = list(decode_many(paths, settings, num_threads=3))
    error = found.pop(17)
    assert isinstance(error, ImageFileError)
    assert error.path == paths[17]
    greys = [int(item.max()) for item in found if isinstance(item, np.ndarray)]
    assert greys == [index for index in range(100) if index != 17]
