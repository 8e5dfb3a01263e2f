"""Opening image files: their headers, and why a file can't be used."""

import re
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal

from dlcli.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".gif", ".bmp", ".dib"),
    *(".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".j2k", ".avif"),
)
MAX_PIXELS = 178_956_970  # Pillow's own limit: 512 MiB of RGB
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "PPM", "JPEG2000", "AVIF")
_PLUGINS = ("WebP", "Gif", "Bmp", "Tiff", "Ppm", "Jpeg2K", "Avif", "Jpeg", "Png")
_PILLOW = re.compile(r"PIL\.")  # its modules
_HEAD_BYTES = 12
_BEGINNINGS = {  # of images whose header could not be read all the same
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG": "PNG",
    b"GIF8": "GIF",
    b"RIFF": "WebP",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
}
_UNREAD = {  # images that Pillow doesn't read, or only with programs of others
    b"%PDF": "a PDF document",
    b"%!PS": "a PostScript file",
    b"8BPS": "a Photoshop file",
    b"<svg": "an SVG drawing",
}
_HEIF = (b"heic", b"heix", b"hevc", b"mif1", b"msf1")
_ORIENTATION = 0x0112  # the EXIF tag
_TURNED = (5, 6, 7, 8)  # its values for which height and width change places

What = Literal["missing", "no file", "unreadable", "empty", "no image", "too large", "damaged"]


class ImageFileError(DataError):
    """An image file that can't be used: which, and why."""

    def __init__(self, path: Path, what: What, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.what = what
        self.reason = reason  # the end of a sentence that begins with the path


@dataclass(frozen=True)
class ImageHeader:
    """What is known of an image before its pixels are read."""

    format: str  # Pillow's name, such as JPEG: by its content, whatever its name says
    height: int  # as people see it: after EXIF's rotation
    width: int


def read_header(path: Path) -> ImageHeader:
    """Return what an image file says of itself. Raises ImageFileError."""
    with opened(path) as image:
        is_known = image.format != "TIFF"  # whose size is after rotation
        if image.format == "PNG":  # without this, Pillow would look for them behind the pixels
            is_known = "exif" in image.info
        swaps = is_known and swaps_sides(orientation_of(image))
        width, height = reversed(image.size) if swaps else image.size
        return ImageHeader(image.format or "", height, width)


@contextmanager
def opened(path: Path) -> Iterator["Image"]:
    """Open an image file, its header read. Raises ImageFileError, of what is done with it too."""
    from PIL import Image, UnidentifiedImageError

    _load_plugins()
    _silence()
    try:
        file = _open(path)
    except FileNotFoundError:
        raise ImageFileError(path, "missing", "there is no such file") from None
    except (OSError, ValueError) as error:  # ValueError: a name that no system takes
        reason = getattr(error, "strerror", None) or str(error)
        raise ImageFileError(path, "unreadable", f"cannot read it: {reason}") from None
    with file:
        try:
            with Image.open(file, formats=_FORMATS) as image:
                _refuse_no_pixels(path, image)
                yield image
        except ImageFileError:
            raise
        except UnidentifiedImageError:
            raise _not_an_image(path, file) from None
        except Image.DecompressionBombError:
            raise ImageFileError(
                path,
                "too large",
                f"too large: more than {MAX_PIXELS:,} pixels, perhaps a decompression bomb; "
                "scale it down",
            ) from None
        except MemoryError:
            raise ImageFileError(
                path, "too large", "too large for the memory; scale it down"
            ) from None
        except Exception as error:  # Pillow's decoders raise anything for damaged bytes
            raise _damaged(path, error) from None


def orientation_of(image: "Image") -> int:
    """Return how an image is to be turned and mirrored, as EXIF says it: 1 for not at all."""
    found = image.getexif().get(_ORIENTATION, 1)
    return found if found in range(1, 9) else 1


def swaps_sides(orientation: int) -> bool:
    """Say whether height and width change places."""
    return orientation in _TURNED


def _open(path: Path) -> BinaryIO:
    """Open a file that has an end: no folder, no pipe, no device."""
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        raise ImageFileError(path, "no file", "a folder, not an image file")
    if not stat.S_ISREG(mode):
        raise ImageFileError(path, "no file", "not a regular file")
    return path.open("rb")


def _refuse_no_pixels(path: Path, image: "Image") -> None:
    if min(image.size) < 1:
        raise ImageFileError(path, "damaged", "a damaged image: it has no pixels")


def _not_an_image(path: Path, file: BinaryIO) -> ImageFileError:
    file.seek(0)
    head = file.read(_HEAD_BYTES)
    if not head:
        return ImageFileError(path, "empty", "the file is empty")
    if head[4:8] == b"ftyp" and head[8:12] in _HEIF:
        return ImageFileError(
            path, "no image", "a HEIF image (HEIC), which isn't read; save it as JPEG or PNG"
        )
    for magic, what in _UNREAD.items():
        if head.startswith(magic):
            return ImageFileError(path, "no image", f"{what}, not an image of pixels")
    for magic, name in _BEGINNINGS.items():
        if head.startswith(magic):
            reason = f"a damaged image: it begins as {name}, but its header can't be read"
            return ImageFileError(path, "damaged", reason)
    return ImageFileError(path, "no image", f"not an image that is read: it begins with {head!r}")


def _damaged(path: Path, error: Exception) -> ImageFileError:
    words = str(error).partition("\n")[0] or type(error).__name__
    if isinstance(error, OSError) and error.errno is not None:
        return ImageFileError(path, "unreadable", f"cannot read it: {error.strerror}")
    if isinstance(error, EOFError) or "trunc" in words.lower() or "end of file" in words.lower():
        return ImageFileError(path, "damaged", f"truncated: its end is missing ({words})")
    return ImageFileError(path, "damaged", f"a damaged image ({words})")


@lru_cache(maxsize=1)
def _load_plugins() -> None:
    """Import Pillow's decoders of the formats that are read."""
    for name in _PLUGINS:
        import_module(f"PIL.{name}ImagePlugin")


def _silence() -> None:
    """Silence Pillow's warnings: of odd metadata, which change no pixel, or what is an error here.

    Filters are a whole program's, and tests and libraries put them back, so this is done anew.
    """
    if ("ignore", None, Warning, _PILLOW, 0) not in warnings.filters:
        warnings.filterwarnings("ignore", module=_PILLOW.pattern)
