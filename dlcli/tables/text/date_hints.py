"""Whether a text may have dates that are not written as ISO 8601: soon told of most files."""

import re

import numpy as np

_WINDOWS, _WINDOW_BYTES = 8, 1024  # that are looked at, evenly taken
_MONTHS = b"jan feb mar apr may jun jul aug sep oct nov dec".split()
_PARTS = b"0123456789-/.:"  # of dates
_CLOCK_OR_ZONE = re.compile(rb":[0-9]{2}(?:[.,][0-9]+)?\s?(?:UTC|GMT|[AaPp]\.?[Mm])")
_IS_DIGIT = np.zeros(256, bool)
_IS_DIGIT[ord("0") : ord("9") + 1] = True


def may_have_dates(text: bytes) -> bool:
    """Say whether some part of a text may be a date such as 31.01.2024 or Jan 31 2024."""
    step = max(_WINDOW_BYTES, len(text) // _WINDOWS)
    some = text
    if len(text) > _WINDOWS * _WINDOW_BYTES:
        windows = (text[start : start + _WINDOW_BYTES] for start in range(0, len(text), step))
        some = b"\n".join(window.strip(_PARTS) for window in windows)  # no dates that are cut off
    lowered = some.lower()
    if any(month in lowered for month in _MONTHS):
        return True
    if b":" in some and _CLOCK_OR_ZONE.search(some):
        return True
    data = np.frombuffer(some, np.uint8)
    return any(_has_pair(data, mark) for mark in b"/.") or _has_other_than_iso(data)


def _pairs(data: np.ndarray, mark: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the places of marks around one or two digits, and of the marks that follow."""
    places = np.flatnonzero(data == mark)
    places = places[(places > 0) & (places < len(data) - 1)]
    first, second = places[:-1], places[1:]
    gap = second - first
    is_pair = ((gap == 2) | (gap == 3)) & _IS_DIGIT[data[first - 1]] & _IS_DIGIT[data[second + 1]]
    is_pair &= _IS_DIGIT[data[first + 1]] & _IS_DIGIT[data[second - 1]]
    return first[is_pair], second[is_pair]


def _has_pair(data: np.ndarray, mark: int) -> bool:
    return bool(len(_pairs(data, mark)[0]))


def _has_other_than_iso(data: np.ndarray) -> bool:
    """Say whether two hyphens are around a number elsewhere than in 2024-01-31."""
    first, second = _pairs(data, ord("-"))
    padded = np.concatenate([np.zeros(5, np.uint8), data, np.zeros(5, np.uint8)])
    year = [_IS_DIGIT[padded[first + 5 - back]] for back in range(1, 5)]
    is_iso = np.logical_and.reduce([*year, ~_IS_DIGIT[padded[first]]])
    is_iso &= (second - first == 3) & _IS_DIGIT[padded[second + 6]] & _IS_DIGIT[padded[second + 7]]
    return bool((~is_iso).any())
