"""Where the records and the cells of CSV bytes begin and end (RFC 4180).

A newline ends a record, and a separator a cell, where the number of quotes before it is even.
"""

import numpy as np


def count(block: bytes, mark: str) -> int:
    """Return how often an ASCII mark stands there, ten times as fast as `bytes.count`."""
    if mark.encode() not in block:  # ten times as fast again
        return 0
    return int(np.count_nonzero(np.frombuffer(block, np.uint8) == ord(mark)))


def count_quotes(block: bytes, quote: str) -> int:
    """Return the number of quotation marks; none where `quote` is ""."""
    return count(block, quote) if quote else 0


def has_exponents(block: bytes) -> bool:
    """Say whether a number may be written with an exponent and a capital E."""
    return b"E" in block


def outside_quotes(block: bytes, mark: str, quote: str) -> np.ndarray:
    """Return the places of a mark that are not inside of quotes."""
    data = np.frombuffer(block, np.uint8)
    found = np.flatnonzero(data == ord(mark))
    if not quote:
        return found
    quotes = np.flatnonzero(data == ord(quote))
    outside: np.ndarray = found[np.searchsorted(quotes, found) % 2 == 0]
    return outside


def first_record_end(block: bytes, quote: str) -> int:
    """Return where the first record ends; 0 where a quote in it is not closed."""
    end = block.find(b"\n") + 1
    if count_quotes(block[:end], quote) % 2:
        ends = outside_quotes(block, "\n", quote)
        end = int(ends[0]) + 1 if len(ends) else 0
    return end


def find_records(block: bytes, separator: str, quote: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the start and the number of cells of each whole record, [records] each."""
    ends = outside_quotes(block, "\n", quote) + 1
    starts = np.concatenate(([0], ends[:-1]))
    separators = outside_quotes(block, separator, quote)
    return starts, np.diff(np.searchsorted(separators, ends), prepend=0) + 1


def newlines_before(block: bytes, starts: np.ndarray) -> np.ndarray:
    """Return how many newlines stand before each of some places."""
    newlines = np.flatnonzero(np.frombuffer(block, np.uint8) == ord("\n"))
    return np.searchsorted(newlines, starts)


def last_record_end(block: bytes, quote: str) -> int:
    """Return where the last record ends, before the newlines that may be the file's last ones."""
    text = block.rstrip(b"\r\n")
    if not count_quotes(text, quote):
        return text.rfind(b"\n") + 1
    newlines = outside_quotes(text, "\n", quote)
    return int(newlines[-1]) + 1 if len(newlines) else 0
