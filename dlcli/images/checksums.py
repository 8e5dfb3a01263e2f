"""The contents of image files in short, to tell whether one of them has changed."""

import hashlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path


def checksums_of(files: Iterable[Path | None]) -> Iterator[str]:
    """Yield each file's SHA-256, in their order; of one that can't be read, that it can't be.

    They are read by threads, which let each other run while they hash.
    """
    with ThreadPoolExecutor(thread_name_prefix="checksum") as executor:
        yield from executor.map(_checksum, files)


def _checksum(file: Path | None) -> str:
    try:
        if file is None or not file.is_file():  # a pipe would not end
            return "no file"
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError:
        return "unreadable"
