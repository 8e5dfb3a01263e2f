"""Encodings of text: recognised from a file's first bytes, and read as UTF-8."""

import codecs
import re

from dlcli.errors import DataError
from dlcli.tables.compression import ByteStream
from dlcli.tables.text.text_format import TextFormat

_MARKS = {  # at the beginning of a file; the longer ones first
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_MANY_ZEROS = 0.3  # of the bytes at even or at odd places: one of each two of a character
_WESTERN = "windows-1252"
# What no Western language writes: capitals within a word, symbols between letters, and words of
# accented letters; a file in Cyrillic, or of DOS or an old Mac, looks so in windows-1252.
_STRANGE = re.compile(
    "[a-zß-öø-ÿ][À-ÖØ-ÞŠŒŽŸ]|[A-Za-z][¡-¬®-¶¸-¿†‡ˆ‰‹›„“”•˜™€ƒ…][A-Za-z]|[À-ÖØ-öø-ÿŠŒŽšœžŸ]{3}"
)
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f]")  # in no text
_OTHERS = ("windows-1250", "windows-1251", "cp850", "mac-roman")


def encoding_problem(name: str) -> str | None:
    """Say why a name is none of an encoding of text; None if it is one."""
    try:
        is_text = codecs.lookup(name)._is_text_encoding
        "".encode(name)
    except (LookupError, ValueError, TypeError):
        is_text = False
    return None if is_text else f"{name!r} is no encoding of text, such as utf-8 or windows-1252"


def is_utf8(encoding: str) -> bool:
    """Say whether an encoding is UTF-8, under whichever name."""
    return codecs.lookup(encoding).name in ("utf-8", "utf-8-sig", "ascii")


def recognise_encoding(head: bytes, form: TextFormat, source: str) -> str:
    """Return the encoding of a file whose first bytes these are.

    UTF-8 where they are that; UTF-16 and UTF-32 by their marks, or by the zeros in them; otherwise
    windows-1252 where they make words of a Western language in it. DataError where they don't.
    """
    if form.encoding is not None:
        return form.encoding
    for mark, encoding in _MARKS.items():
        if head.startswith(mark):
            return encoding
    if not head.isascii():
        try:
            codecs.getincrementaldecoder("utf-8")().decode(head)
        except UnicodeDecodeError as error:
            return _recognise_other(head, form, source, error.start)
    return _utf16(head) or "utf-8"


def _utf16(head: bytes) -> str | None:
    """Return the UTF-16 of text without a mark, by the zeros in it; None where it is none."""
    for first, encoding in ((1, "utf-16-le"), (0, "utf-16-be")) if b"\0" in head else ():
        if head[first::2].count(0) > _MANY_ZEROS * len(head) / 2:
            return encoding
    return None


def _recognise_other(head: bytes, form: TextFormat, source: str, place: int) -> str:
    if encoding := _utf16(head):
        return encoding
    if _CONTROL.search(head):
        raise DataError(f"{source}: not a text file; name a file of rows")
    line = head[:place].count(b"\n") + 1
    strange: str | None = None
    try:
        text = head.decode(_WESTERN)
        found = _STRANGE.search(text)
        if found is not None:
            before, after = text[: found.start()], text[found.end() :]
            strange = before[-10:].rpartition("\n")[2] + found.group()
            strange += after[:10].partition("\n")[0]
    except UnicodeDecodeError:
        strange = head[place : place + 1].decode("latin-1")
    if strange is None:
        return _WESTERN
    which = ", ".join(form.setting("encoding", name) for name in _OTHERS)
    raise DataError(
        f"{source}, line {line}: not UTF-8 text, and in {_WESTERN} it is {strange!r}: save "
        f"the file as UTF-8, or say which encoding it has, as in {which}"
    )


class Utf8Stream:
    """A stream of text in another encoding, read as UTF-8."""

    def __init__(self, stream: ByteStream, encoding: str, form: TextFormat, source: str) -> None:
        self._stream, self._encoding = stream, encoding
        self._form, self._source = form, source
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._line, self._is_over = 1, False

    def read(self, size: int) -> bytes:
        """Return some bytes, none at the end; DataError where there are none of that encoding."""
        text = ""
        while not text and not self._is_over:
            piece = self._stream.read(size)
            self._is_over = not piece
            try:
                text = self._decoder.decode(piece, final=self._is_over)
            except UnicodeError as error:
                raise self._refusal(error) from None
        self._line += text.count("\n")
        return text.encode("utf-8", "surrogatepass")

    def _refusal(self, error: UnicodeError) -> DataError:
        line = self._line
        if isinstance(error, UnicodeDecodeError):
            before = error.object[: error.start].decode(self._encoding, "replace")
            line += before.count("\n")
        how = "say which encoding it has"
        if self._form.encoding is not None:
            how = f"say another than {self._form.setting('encoding', self._encoding)}"
        others = [name for name in (_WESTERN, *_OTHERS) if name != self._encoding]
        return DataError(
            f"{self._source}, line {line}: not {self._encoding} text; save the file as UTF-8, or "
            f"{how}, as in {self._form.setting('encoding', others[0])}"
        )


class UnixLines:
    """A stream whose lines end as those of old Macs, with a carriage return alone."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes, none at the end."""
        return self._stream.read(size).replace(b"\r", b"\n")


def read_head(stream: ByteStream, size: int, at_least: int) -> bytes:
    """Return the first `size` bytes: at least some, unless there are fewer."""
    head = stream.read(max(size, at_least))
    if len(head) >= at_least:
        return head
    pieces, length = [head], len(head)
    while length < at_least and (piece := stream.read(at_least - length)):
        pieces.append(piece)
        length += len(piece)
    return b"".join(pieces)
