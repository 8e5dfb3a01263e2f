"""Rows in blocks of a size of their own, whatever blocks they were read in."""

from collections.abc import Iterator

from dlcli.tables.table import Table, join_rows


def regroup(tables: Iterator[Table], *, max_rows: int, max_cells: int) -> Iterator[Table]:
    """Yield rows in blocks of as many as both bounds allow, the last ones in what is left.

    Where the blocks end depends on the number of columns alone, but for tables whose text is
    written otherwise than that before them: they begin a block. Yields at least one table.
    """
    held: list[Table] = []
    num_held, is_first = 0, True
    for table in tables:
        if held and held[-1].notation != table.notation:
            yield join_rows(held)
            held, num_held, is_first = [], 0, False
        held.append(table)
        num_held += len(table)
        size = max(1, min(max_rows, max_cells // max(1, table.frame.width)))
        while num_held > size:
            whole = join_rows(held)
            yield whole.of_rows(whole.frame[:size], whole.numbers[:size])
            held = [whole.of_rows(whole.frame[size:], whole.numbers[size:])]
            num_held, is_first = num_held - size, False
    if num_held or (held and is_first):
        yield join_rows(held)
