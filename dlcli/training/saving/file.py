"""The bytes of a checkpoint: read whole, and held to their SHA-256; without torch."""

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

from dlcli import __version__
from dlcli.errors import CheckpointError

START = b'{"__metadata__":{"dlcli":"{\\"sha256\\":\\"'  # of the header, up to the digest
NO_DIGEST = b"0" * 64
DIGEST = slice(8 + len(START), 8 + len(START) + 64)  # where it stands in the file
ABOUT = "__metadata__"  # safetensors' name for it
_MAX_HEADER_BYTES = 100_000_000  # the format's own bound


def hexdigest(blocks: Iterable[bytes | bytearray | memoryview]) -> bytes:
    """Return the SHA-256 of blocks one after the other, as ASCII."""
    hasher = hashlib.sha256()
    for block in blocks:
        hasher.update(block)
    return hasher.hexdigest().encode()


def read_file(path: Path) -> tuple[str, bytes]:
    """Return a checkpoint's metadata and all its bytes; CheckpointError if any is another.

    A file of another length is not read at all. Raises what json does where the header is none.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: there is no such checkpoint")
    try:
        with path.open("rb") as file:
            start = file.read(DIGEST.stop)
            if len(start) < DIGEST.stop or start[8 : DIGEST.start] != START:
                raise CheckpointError(
                    f"{path}: no checkpoint of this dlcli, {__version__}; train again, or use the "
                    "dlcli that wrote it"
                )
            header_size = int.from_bytes(start[:8], "little")
            if header_size > _MAX_HEADER_BYTES:
                raise damaged(path, f"its header would have {header_size:,} bytes")
            file.seek(8)
            header = json.loads(file.read(header_size))
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != ABOUT]
            expected = 8 + header_size + max(ends, default=0)
            size = os.fstat(file.fileno()).st_size
            if size != expected:
                raise damaged(path, f"it has {size:,} bytes, and was written with {expected:,}")
            file.seek(0)
            raw = file.read()
    except OSError as error:
        raise CheckpointError(f"{path}: cannot read it: {error.strerror or error}") from None
    except MemoryError:
        raise CheckpointError(f"{path}: it is larger than this machine's memory") from None
    view = memoryview(raw)
    digest = hexdigest([view[: DIGEST.start], NO_DIGEST, view[DIGEST.stop :]])
    if digest != raw[DIGEST]:
        raise damaged(path, "its bytes are not those that were written (SHA-256)")
    return header[ABOUT]["dlcli"], raw


def damaged(path: Path, reason: str) -> CheckpointError:
    """Return the error for a checkpoint that is not as it was written."""
    return CheckpointError(f"{path}: damaged: {reason}")
