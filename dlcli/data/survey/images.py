"""Warnings about images: copies, labels that differ, sizes far off, files that can't be used."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from dlcli.errors import are, counted
from dlcli.images.decoding import decode_many
from dlcli.images.opening import ImageFileError, read_header
from dlcli.images.similarity import REDUCED, Pair, find_pairs
from dlcli.tables.table import Table

_MAX_IMAGES = 4096  # that are looked at
_MAX_BYTES = 2**29  # of their files, about
_RUN = 16  # images taken one after the other, as copies are often neighbours by name
_MAX_SHOWN = 3  # names or pairs in a finding
_FAR_OFF = 4  # times the median side, or a part of it, that is unlike the others


@dataclass(frozen=True)
class _Images:
    """The sampled images that can be used."""

    names: list[str]
    labels: list[str | None]
    parts: list[str | None]
    reduced: np.ndarray  # uint8 [images, 1, 16, 16]
    sizes: np.ndarray  # [images, 2] height and width


def image_findings(
    rows: Table, image: str, *, label: str | None = None, part: str | None = None
) -> list[str]:
    """Return what to check about a column of paths of images, sentences without their full stops.

    `label` and `part` name columns of classes and of train, validation and test. Of many images, a
    sample is looked at, which is said; a missing cell is passed over.
    """
    known = np.flatnonzero(rows.column(image).is_not_null().to_numpy())
    if not len(known):
        return []
    chosen = known[_sample(len(known), _bytes_each(rows, image, known))]
    num_sampled = len(chosen) if len(chosen) < len(known) else None
    found, unusable = _look(rows.take(chosen), image, label, part)
    findings = []
    if unusable:
        named = "; ".join(map(str, unusable[:_MAX_SHOWN]))
        findings.append(
            f"{_count(len(unusable), num_sampled)} can't be used: {named}{_more(unusable)}"
        )
    if found is not None:
        findings += _copy_findings(found, num_sampled)
        findings += _size_findings(found, num_sampled)
    return findings


def _sample(count: int, bytes_each: float) -> np.ndarray:
    """Return indices of images, all or even runs of them, in order."""
    num_wanted = int(min(_MAX_IMAGES, max(_RUN, _MAX_BYTES / max(1.0, bytes_each))))
    if count <= num_wanted:
        return np.arange(count)
    starts = np.linspace(0, count - _RUN, num_wanted // _RUN).astype(np.int64)
    return np.unique(starts[:, np.newaxis] + np.arange(_RUN))


def _bytes_each(rows: Table, image: str, known: np.ndarray) -> float:
    """Return about what an image's file has, from a few of them."""
    few = known[np.linspace(0, len(known) - 1, min(len(known), 64)).astype(np.int64)]
    sizes = [path.stat().st_size for path in _paths(rows.take(few), image) if path.is_file()]
    return float(np.mean(sizes)) if sizes else 0.0


def _paths(rows: Table, image: str) -> list[Path]:
    cells = rows.column(image).cast(pl.String).to_list()
    return [
        rows.folder_of(int(number)) / cell for number, cell in zip(rows.numbers, cells, strict=True)
    ]


def _look(
    rows: Table, image: str, label: str | None, part: str | None
) -> tuple[_Images | None, list[ImageFileError]]:
    """Return the images that can be used, reduced, None where there are none; and the others."""
    paths = _paths(rows, image)
    reduced, usable, unusable = list[np.ndarray](), list[int](), list[ImageFileError]()
    for index, pixels in enumerate(decode_many(paths, REDUCED)):
        if isinstance(pixels, ImageFileError):
            unusable.append(pixels)
        else:
            reduced.append(pixels)
            usable.append(index)
    if not usable:
        return None, unusable
    headers = [read_header(paths[index]) for index in usable]

    def cells(name: str | None) -> list[str | None]:
        if name is None:
            return [None] * len(usable)
        return rows.column(name)[usable].cast(pl.String).to_list()

    names = rows.column(image)[usable].cast(pl.String).to_list()
    sizes = np.array([[header.height, header.width] for header in headers])
    return _Images(names, cells(label), cells(part), np.stack(reduced), sizes), unusable


def _copy_findings(images: _Images, num_sampled: int | None) -> Iterator[str]:
    has_parts = any(images.parts)
    pairs = find_pairs(images.reduced, images.parts if has_parts else None)
    if pairs and has_parts:
        yield (
            f"{_num_images(pairs, num_sampled)} look like one in another part "
            f"({_named(images, pairs)}): the metrics will look better than they are; keep images "
            "that look alike in one part"
        )
    elif pairs:
        yield (
            f"{_num_images(pairs, num_sampled)} look like another one ({_named(images, pairs)}): a "
            "random split puts some in different parts, and the metrics will look better than they "
            "are; remove copies, or split by folders named train, validation and test"
        )
    unlike = find_pairs(images.reduced, images.labels) if any(images.labels) else []
    if unlike:
        yield (
            f"{_num_images(unlike, num_sampled)} look like one with another label "
            f"({_named(images, unlike)}): correct the labels, or remove them"
        )


def _num_images(pairs: Sequence[Pair], num_sampled: int | None) -> str:
    return _count(
        len({index for pair in pairs for index in (pair.first, pair.second)}), num_sampled
    )


def _count(count: int, num_sampled: int | None) -> str:
    if num_sampled is None:
        return counted(count, "image")
    return f"{count:,} of {num_sampled:,} sampled images"


def _named(images: _Images, pairs: Sequence[Pair]) -> str:
    shown = (
        f"{images.names[pair.first]} and {images.names[pair.second]}" for pair in pairs[:_MAX_SHOWN]
    )
    return "; ".join(shown) + _more(pairs)


def _size_findings(images: _Images, num_sampled: int | None) -> Iterator[str]:
    height, width = np.median(images.sizes, axis=0)
    ratios = images.sizes / np.array([height, width])
    far = np.flatnonzero(((ratios > _FAR_OFF) | (ratios < 1 / _FAR_OFF)).any(axis=1))
    if len(far):
        named = ", ".join(
            f"{images.names[index]} with {images.sizes[index][0]:,} × {images.sizes[index][1]:,}"
            for index in far[:_MAX_SHOWN]
        )
        yield (
            f"{_count(len(far), num_sampled)} {are(len(far))} of a size far from the median of "
            f"{height:,.0f} × {width:,.0f} pixels ({named}{_more(far)}): look whether "
            "they belong to these"
        )


def _more(items: Sequence[object] | np.ndarray) -> str:
    more = len(items) - _MAX_SHOWN
    return f", and {counted(more, 'other')}" if more > 0 else ""
