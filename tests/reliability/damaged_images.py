"""Image files, damaged at random: `python -m tests.reliability.damaged_images 1000 [SEED]`.

A small image is written in one form; then its end is cut off, bits are flipped, its header is made
to promise a huge image, it gets another name, or something else stands in its place. dlcli must
decode it to pixels of the size that was asked for, or refuse it by an error of its own that begins
with the path. An image that only got another name must be decoded, one whose second half is missing
must not. What is wrong is printed as JSON, a line each.
"""

import io
import os
import random
import struct
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from dlcli.images.decoding import decode
from dlcli.images.opening import SUFFIXES, ImageFileError, read_header
from dlcli.images.settings import ImageSettings
from tests.reliability.outcomes import report_outcomes

_MAX_SECONDS = 5.0
_NOT_IMAGES = (
    *(b"", b"\n", b"name,age\n1,2\n", b"%PDF-1.7\n", b"<svg xmlns='x'/>", b"PK\x03\x04", b"P6"),
    *(b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"II*\0", b"RIFF", bytes(4096)),
    b"\0\0\0\x18ftypheic\0\0\0\0",
)
_KNOW_THEIR_END = ("jpeg", "png", "png 16", "bmp", "tiff", "webp", "ppm")


@dataclass(frozen=True)
class Wrong:
    """What dlcli did with a file, and must not do."""

    number: int  # of the file: with the seed, it makes it again
    form: str
    damage: str
    what: str


def _bytes(image: Image.Image, form: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, format=form, **options)
    return file.getvalue()


def _exif() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "made for a test"
    return exif


def make_images(seed: int) -> dict[str, bytes]:
    """Return an image in each form."""
    noise = np.random.default_rng(seed).integers(0, 256, (40, 56, 4)).astype(np.uint8)
    rgba, rgb = Image.fromarray(noise), Image.fromarray(noise[..., :3])
    wide = Image.fromarray(noise[..., 0].astype(np.uint16) * 257)
    others = {"save_all": True, "append_images": [Image.new("RGB", rgb.size, "red")]}
    return {
        "jpeg": _bytes(rgb, "JPEG", exif=_exif()),
        "jpeg progressive": _bytes(rgb, "JPEG", progressive=True),
        "jpeg cmyk": _bytes(rgb.convert("CMYK"), "JPEG"),
        "png": _bytes(rgba, "PNG", exif=_exif()),
        "png 16": _bytes(wide, "PNG"),
        "png palette": _bytes(rgb.quantize(16), "PNG", transparency=3),
        "gif": _bytes(rgb, "GIF", **others),
        "bmp": _bytes(rgb, "BMP"),
        "tiff": _bytes(rgb, "TIFF", exif=_exif()),
        "tiff lzw": _bytes(wide, "TIFF", compression="tiff_lzw"),
        "tiff float": _bytes(Image.fromarray(noise[..., 1].astype(np.float32)), "TIFF"),
        "webp": _bytes(rgba, "WEBP", exif=_exif()),
        "webp animated": _bytes(rgb, "WEBP", **others),
        "ppm": _bytes(rgb, "PPM"),
        "jpeg 2000": _bytes(rgb, "JPEG2000"),
        "avif": _bytes(rgb, "AVIF"),
    }


def _cut(data: bytes, draw: random.Random) -> bytes:
    return data[: draw.randrange(len(data))]


def _halved(data: bytes, draw: random.Random) -> bytes:
    return data[: draw.randrange(len(data) // 2)]


def _flipped(data: bytes, draw: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(draw.choice([1, 3, 30])):
        changed[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def _flipped_header(data: bytes, draw: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(draw.choice([1, 3, 10])):
        changed[draw.randrange(min(120, len(data)))] = draw.randrange(256)
    return bytes(changed)


def _lengthened(data: bytes, draw: random.Random) -> bytes:
    return data + draw.randbytes(draw.randrange(1, 500))


def _with_hole(data: bytes, draw: random.Random) -> bytes:
    start = draw.randrange(len(data))
    length = draw.randrange(1, 200)
    return data[:start] + bytes(len(data[start : start + length])) + data[start + length :]


def _bomb(data: bytes, draw: random.Random) -> bytes:
    """Let a header promise a huge image: where it has its width, whatever the form."""
    huge = draw.choice([30_000, 65_000])
    for width in (struct.pack(">I", 56), struct.pack("<I", 56), struct.pack(">H", 56), b"56 40"):
        at = data.find(width)
        if at >= 0:
            text = f"{huge} {huge}".encode()
            form = {4: ">I" if width[0] == 0 else "<I", 2: ">H"}.get(len(width))
            new = text if form is None else struct.pack(form, huge)
            data = data[:at] + new + data[at + len(width) :]
    return data


_DAMAGES: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "whole": lambda data, _: data,
    "cut": _cut,
    "halved": _halved,
    "flipped": _flipped,
    "flipped header": _flipped_header,
    "lengthened": _lengthened,
    "hole": _with_hole,
    "bomb": _bomb,
    "other content": lambda _, draw: draw.choice(_NOT_IMAGES),
}
_PLACES = ("folder", "missing", "pipe", "link to itself", "no permission")


def try_images(num_images: int, seed: int, folder: Path) -> Iterator[str | Wrong]:
    """Yield what became of each damaged file: "decoded", the reason's sort, or what is wrong."""
    images = make_images(seed)
    for number in range(num_images):
        draw = random.Random(f"{seed} {number}")
        form = draw.choice(list(images))
        damage = draw.choice([*_DAMAGES, *_DAMAGES, "place"])
        path = folder / f"{number}{draw.choice(SUFFIXES)}"
        if damage == "place":
            damage = _put_something(path, images[form], draw)
        else:
            path.write_bytes(_DAMAGES[damage](images[form], draw))
        what, outcome = _try(path)
        if what is None and damage in ("whole", "lengthened") and outcome != "decoded":
            what = f"refused: {outcome}"
        if what is None and damage == "halved" and form in _KNOW_THEIR_END and outcome == "decoded":
            what = "decoded without its end"
        yield outcome if what is None else Wrong(number, form, damage, what)


def _put_something(path: Path, data: bytes, draw: random.Random) -> str:
    place = draw.choice(_PLACES)
    match place:
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "link to itself":
            path.symlink_to(path)
        case "no permission":
            path.write_bytes(data)
            path.chmod(0)
    return place


def _try(path: Path) -> tuple[str | None, str]:
    """Return what is wrong, if something is, and what became of a file."""
    settings = ImageSettings(size=(12, 10))
    started = time.perf_counter()
    outcome, what = "decoded", None
    for read in (read_header, lambda file: decode(file, settings)):
        try:
            found = read(path)
        except ImageFileError as error:
            outcome = error.what
            if not str(error).startswith(f"{path}: ") or not error.reason.strip():
                what = f"no reason with its path: {error}"
        except Exception:  # any other is a bug: that is what is looked for
            what = traceback.format_exc()
        else:
            if isinstance(found, np.ndarray):
                is_right = found.dtype == np.uint8 and found.shape == settings.shape
                what = what or (None if is_right else f"decoded as {found.dtype} {found.shape}")
    if (seconds := time.perf_counter() - started) > _MAX_SECONDS:
        what = what or f"took {seconds:.1f} s"
    return what, outcome


if __name__ == "__main__":
    sys.exit(report_outcomes(try_images, sys.argv[1:]))
