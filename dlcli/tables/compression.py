"""Compressed files → their bytes, as a stream: gzip and zstd, recognised by their first bytes."""

import gzip
import sys
import zlib
from typing import BinaryIO, Protocol, cast

from dlcli.errors import DataError

MAGIC_BYTES = 16  # that tell what a file is
_OTHERS = {  # compressed, and not read: what to do
    b"BZh": "bzip2; decompress it: bunzip2",
    b"\xfd7zXZ\x00": "xz; decompress it: unxz",
    b"7z\xbc\xaf\x27\x1c": "7-Zip; decompress it: 7z x",
    b"\x04\x22\x4d\x18": "LZ4; decompress it: unlz4",
}
SUFFIXES = (".gz", ".gzip", ".zst", ".zstd")


class ByteStream(Protocol):
    """Anything that bytes can be read from."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes, none at the end."""
        ...


def compression_of(head: bytes, source: str) -> str | None:
    """Return what a file that begins with some bytes is compressed with, None where it isn't.

    Raises DataError for what is compressed otherwise.
    """
    if head.startswith(b"\x1f\x8b"):
        return "gzip"
    if head.startswith(b"\x28\xb5\x2f\xfd"):
        return "zstd"
    for magic, how in _OTHERS.items():
        if head.startswith(magic):
            raise DataError(f"{source}: compressed with {how} {source}")
    return None


class Prefixed:
    """A stream, with bytes that were already read from it put back in front."""

    def __init__(self, head: bytes, stream: ByteStream) -> None:
        self._head, self._stream = head, stream

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes."""
        if not self._head:
            return self._stream.read(size)
        head, self._head = self._head[:size], self._head[size:]
        return head + self._stream.read(size - len(head)) if len(head) < size else head


class Counted:
    """A stream that counts the bytes read from it."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream, self.num_bytes = stream, 0

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes."""
        found = self._stream.read(size)
        self.num_bytes += len(found)
        return found


class Decompressed:
    """The bytes of a compressed stream; DataError, with its name, where it is damaged."""

    def __init__(self, stream: ByteStream, compression: str, source: str) -> None:
        self._compression, self._source = compression, source
        self._is_over = False
        self._stream = _open(stream, compression)

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes, fewer only at the end."""
        chunks: list[bytes] = []
        lacking = 0 if self._is_over else size
        while lacking:
            chunk = self._read(lacking)
            if not chunk:
                self._is_over = True
                break
            chunks.append(chunk)
            lacking -= len(chunk)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _read(self, size: int) -> bytes:
        try:
            return self._stream.read(size)
        except EOFError:
            raise self._damaged("it is cut off before its end") from None
        except (gzip.BadGzipFile, zlib.error) as error:
            raise self._damaged(str(error)) from None
        except OSError:
            raise  # reading failed, whatever the bytes
        except Exception as error:
            if type(error).__name__ != "ZstdError":
                raise
            raise self._damaged(str(error)) from None

    def _damaged(self, reason: str) -> DataError:
        return DataError(
            f"{self._source}: damaged {self._compression} data: {reason}; copy or download it anew"
        )


def _open(stream: ByteStream, compression: str) -> ByteStream:
    if compression == "gzip":
        return gzip.GzipFile(fileobj=cast("BinaryIO", stream), mode="rb")
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd.ZstdFile(cast("BinaryIO", stream), "rb")
