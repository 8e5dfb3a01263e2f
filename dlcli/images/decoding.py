"""Image files → pixels of one size, one by one or many on all cores."""

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

import numpy as np

from dlcli.images.opening import ImageFileError, opened, orientation_of, swaps_sides
from dlcli.images.pixels import opaque, plain
from dlcli.images.settings import Fit, ImageSettings

if TYPE_CHECKING:
    from PIL.Image import Image

_OVERSAMPLING = 2  # pixels that are read of a large image, for each that is asked, and side
_TASK_IMAGES = 8  # decoded by a thread at a time
_WAITING_TASKS = 4  # of each thread, begun before their images are asked for


def decode(path: Path, settings: ImageSettings) -> np.ndarray:
    """Return an image as uint8 [channels, height, width]. Raises ImageFileError.

    It is turned as its EXIF data say, of an animated one the first frame, of several pages the
    first; scaling averages over the pixels that become one (antialiasing, bilinear).
    """
    with opened(path) as image:
        mode = "RGB" if settings.channels == "rgb" else "L"
        height, width = settings.size
        if image.format in ("JPEG", "MPO"):
            side = _OVERSAMPLING * max(height, width)  # whichever side is which
            image.draft(mode, (side, side))
        image.load()
        orientation = orientation_of(image)
        if swaps_sides(orientation):
            height, width = width, height
        scaled = opaque(_scaled(plain(image, mode), (width, height), settings.fit), mode)
        pixels = np.asarray(_turned(_padded(scaled, (width, height)), orientation))
    if pixels.ndim == 2:
        return pixels[np.newaxis].copy()
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def decode_many(
    paths: Iterable[Path], settings: ImageSettings, *, num_threads: int | None = None
) -> Iterator[np.ndarray | ImageFileError]:
    """Yield each image, as `decode` returns it, or why it can't be used; in their order.

    They are decoded ahead by threads, one for each core unless told: Pillow's decoders let others
    run meanwhile. A few dozen images wait at most for each thread.
    """
    num_threads = num_threads or _num_cores()

    def decode_some(some: tuple[Path, ...]) -> list[np.ndarray | ImageFileError]:
        return [_decode_or_say(path, settings) for path in some]

    waiting: deque[Future[list[np.ndarray | ImageFileError]]] = deque()
    executor = ThreadPoolExecutor(num_threads, thread_name_prefix="decode")
    try:
        remaining = iter(paths)
        while some := tuple(islice(remaining, _TASK_IMAGES)):
            waiting.append(executor.submit(decode_some, some))
            if len(waiting) > _WAITING_TASKS * num_threads:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    finally:
        executor.shutdown(cancel_futures=True)


def _num_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _decode_or_say(path: Path, settings: ImageSettings) -> np.ndarray | ImageFileError:
    try:
        return decode(path, settings)
    except ImageFileError as error:
        return error


def _scaled(image: "Image", size: tuple[int, int], fit: Fit) -> "Image":
    """Return an image of a size (width, height); smaller at two sides where it is to be padded."""
    from PIL import Image

    if image.size == size:
        return image
    width, height = size
    box: tuple[float, float, float, float] = (0, 0, image.width, image.height)
    match fit:
        case "crop":
            scale = max(width / image.width, height / image.height)
            left = max(0.0, (image.width - width / scale) / 2)
            top = max(0.0, (image.height - height / scale) / 2)
            box = (left, top, image.width - left, image.height - top)
        case "pad":
            scale = min(width / image.width, height / image.height)
            size = max(1, round(scale * image.width)), max(1, round(scale * image.height))
        case "stretch":
            pass
        case _:
            assert_never(fit)
    return image.resize(size, Image.Resampling.BILINEAR, box, reducing_gap=_OVERSAMPLING)


def _padded(image: "Image", size: tuple[int, int]) -> "Image":
    """Return an image in the middle of a black one of a size (width, height)."""
    from PIL import Image

    if image.size == size:
        return image
    padded = Image.new(image.mode, size)
    padded.paste(image, ((size[0] - image.width) // 2, (size[1] - image.height) // 2))
    return padded


def _turned(image: "Image", orientation: int) -> "Image":
    """Turn and mirror an image as EXIF's orientation says."""
    from PIL.Image import Transpose

    ways = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    return image.transpose(ways[orientation]) if orientation in ways else image
