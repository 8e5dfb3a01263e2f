"""Rows in an epoch's order → the batches of each step."""

from collections.abc import Generator, Iterator
from contextlib import closing
from typing import Literal

import torch

from dlcli.config.sections.training import LastBatch
from dlcli.training.rows.batches import BatchSource, Rows, accompanied, joined
from dlcli.training.rows.companions import Companions, EpochCompanions
from dlcli.training.rows.cutting import BatchWidths


def epoch_steps(
    rows: BatchSource,
    *,
    batch_size: int | Literal["full"],
    accumulate: int,
    seed: int,
    epoch: int,
    start: int = 0,
    last_batch: LastBatch = "auto",
    companions: Companions = "nothing",
) -> Generator[tuple[Rows, ...], None, None]:
    """Yield the batches of each optimizer step, in the epoch's order, from step `start` on.

    Sequences are cut to the longest of a batch. `companions` are what rows that are augmented have
    beside them.
    """
    if batch_size == "full":
        whole = rows.head(len(rows))
        beside = EpochCompanions.of(companions, len(rows), seed, epoch, whole.device)
        numbers = torch.arange(len(rows), device=whole.device)
        whole = accompanied(whole, numbers, beside, whole.take)
        yield from [(whole,)][start:]
        return
    widths = BatchWidths()
    windows = rows.windows(
        seed=seed,
        epoch=epoch,
        multiple=batch_size,
        start=start * accumulate * batch_size,
        companions=companions,
    )
    step: list[Rows] = []
    with closing(windows):
        batches = _batches(widths.noted(windows), batch_size)
        for batch in end_with(last_batch, batches, batch_size):
            step.append(widths.cut(batch))
            if len(step) == accumulate:
                yield tuple(step)
                step.clear()
    if step:
        yield tuple(step)


def end_with(
    last_batch: LastBatch, batches: Iterator[Rows], size: int, dim: int = 0
) -> Iterator[Rows]:
    """Keep the last batch of an epoch, drop it or join it to the one before, if it is shorter.

    The only batch is kept, whatever its size.
    """
    if last_batch in ("auto", "keep"):
        yield from batches
        return
    before: Rows | None = None
    for batch in batches:
        if before is not None and len(batch) < size:
            before = joined(before, batch, dim) if last_batch == "join" else before
            break
        if before is not None:
            yield before
        before = batch
    if before is not None:
        yield before


def _batches(windows: Iterator[Rows], size: int) -> Iterator[Rows]:
    """Cut windows into batches: views, but for a batch that lies in several windows."""
    held: Rows | None = None
    for window in windows:
        start = 0
        if held is not None:
            start = min(size - len(held), len(window))
            held = joined(held, window.cut(0, start))
            if len(held) < size:
                continue
            yield held
        whole = start + (len(window) - start) // size * size
        if whole > start:
            yield from window.cut(start, whole).split(size)
        held = window.cut(whole, len(window)) if whole < len(window) else None
    if held is not None:
        yield held


def first_rows(rows: BatchSource, num_rows: int, companions: Companions) -> Rows:
    """Return the first rows as a batch whose steps can be measured."""
    first = rows.head(num_rows)
    if companions == "nothing":
        return first
    first = first.seeded(torch.arange(len(first), device=first.device))
    return first.paired_with_next() if companions == "partners" else first
