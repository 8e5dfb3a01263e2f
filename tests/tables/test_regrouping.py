"""Rows are regrouped in their order, into blocks that don't depend on how they were read."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlcli.tables.regrouping import regroup
from dlcli.tables.table import Table


def blocks_of(sizes: list[int]) -> list[Table]:
    ends = np.cumsum([0, *sizes])
    return [
        Table(pl.DataFrame({"x": range(start, end)}), "f", np.arange(start, end), "row")
        for start, end in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)
    ]


@given(st.lists(st.integers(0, 9), min_size=1, max_size=6), st.integers(1, 12))
def test_blocks_are_full_but_the_last_and_keep_the_order(sizes: list[int], size: int) -> None:
    found = list(regroup(iter(blocks_of(sizes)), max_rows=size, max_cells=100))
    total = sum(sizes)
    lengths = [size] * ((total - 1) // size) + [(total - 1) % size + 1] if total else [0]
    assert [len(table) for table in found] == lengths
    assert pl.concat([table.frame for table in found])["x"].to_list() == [*range(total)]
    assert np.concatenate([table.numbers for table in found]).tolist() == [*range(total)]


@pytest.mark.parametrize(("max_cells", "size"), [(100, 7), (4, 4), (0, 1)])
def test_wide_rows_come_in_smaller_blocks(max_cells: int, size: int) -> None:
    found = list(regroup(iter(blocks_of([20])), max_rows=7, max_cells=max_cells))
    assert len(found[0]) == size
