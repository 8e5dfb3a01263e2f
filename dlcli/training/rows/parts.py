"""A part of a dataset as rows: all on the device, read from disk, or cut from series."""

from collections.abc import Iterator

import torch

from dlcli.data.fields import Examples
from dlcli.data.windows.windows import Windows
from dlcli.training.rows.batches import Rows, to_rows
from dlcli.training.rows.streamed import StreamedRows
from dlcli.training.rows.windowed import WindowRows

AnyRows = Rows | StreamedRows | WindowRows


def rows_on(part: Examples, device: torch.device) -> Rows | WindowRows:
    """Copy a part to the device."""
    return WindowRows.of(part, device) if isinstance(part, Windows) else to_rows(part, device)


def in_order(rows: AnyRows) -> Rows | Iterator[Rows]:
    """Return rows in their order, as evaluation wants them: all at once, or in blocks."""
    return rows if isinstance(rows, Rows) else rows.blocks()
