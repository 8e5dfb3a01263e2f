"""Image files that can't be used are named, each with its reason."""

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dlcli.images.decoding import decode
from dlcli.images.opening import ImageFileError, read_header
from dlcli.images.settings import ImageSettings
from tests.reliability.damaged_images import Wrong, try_images

SETTINGS = ImageSettings(size=(8, 8))


def image_bytes(tmp_path: Path, form: str) -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    path = tmp_path / "whole"
    Image.fromarray(noise).save(path, format=form)
    return path.read_bytes()


def reason(path: Path) -> str:
    """Return why a file can't be decoded, without its name, which must come first."""
    with pytest.raises(ImageFileError) as caught:
        decode(path, SETTINGS)
    assert str(caught.value) == f"{path}: {caught.value.reason}"
    return caught.value.reason


def test_a_file_that_is_missing(tmp_path: Path) -> None:
    assert reason(tmp_path / "a.jpg") == "there is no such file"
    with pytest.raises(ImageFileError, match="there is no such file"):
        read_header(tmp_path / "a.jpg")


def test_what_is_no_image(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    for content, words in (
        (b"", "the file is empty"),
        (b"name,age\n", "not an image that is read: it begins with b'name,age"),
        (b"%PDF-1.7", "a PDF document, not an image of pixels"),
        (b"\0\0\0\x18ftypheic\0\0", "a HEIF image (HEIC), which isn't read; save it as JPEG"),
        (b"\xff\xd8\xff\xe0\0", "a damaged image: it begins as JPEG, but its header can't be read"),
    ):
        path.write_bytes(content)
        assert reason(path).startswith(words)
    folder = tmp_path / "b.jpg"
    folder.mkdir()
    assert reason(folder) == "a folder, not an image file"
    assert reason(tmp_path / "a\0.jpg").startswith("cannot read it")


@pytest.mark.skipif(os.name != "posix", reason="there are no pipes among files")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    assert reason(tmp_path / "a.jpg") == "not a regular file"


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM"])
def test_what_is_truncated(tmp_path: Path, form: str) -> None:
    whole = image_bytes(tmp_path, form)
    path = tmp_path / "cut.jpg"
    path.write_bytes(whole[: len(whole) // 2])
    assert reason(path).startswith(("truncated: its end is missing", "a damaged image"))


def test_a_decompression_bomb_is_not_unpacked(tmp_path: Path) -> None:
    def chunk(name: bytes, data: bytes) -> bytes:
        crc = zlib.crc32(name + data)
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", crc)

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    path = tmp_path / "a.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(10_000)))
        + chunk(b"IEND", b"")
    )
    assert reason(path).startswith("too large: more than 178,956,970 pixels")
    with pytest.raises(ImageFileError, match="too large"):
        read_header(path)


def test_numbers_that_are_not_finite(tmp_path: Path) -> None:
    numbers = np.ones((8, 8), np.float32)
    numbers[2, 3] = np.nan
    Image.fromarray(numbers).save(tmp_path / "a.tif")
    assert reason(tmp_path / "a.tif") == "a damaged image (it has pixels that are not finite)"


def test_files_damaged_at_random_are_decoded_or_named(tmp_path: Path) -> None:
    """A short form of a campaign in docs/measurements/campaigns.md."""
    outcomes = list(try_images(100, seed=0, folder=tmp_path))
    assert [outcome for outcome in outcomes if isinstance(outcome, Wrong)] == []
    assert {"decoded", "damaged", "no image", "no file"} <= {*outcomes}
