import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlcli.data.splits import Split, split_by_column, split_by_shares
from dlcli.errors import DataError
from dlcli.tables.table import Table


def parts(split: Split) -> list[np.ndarray]:
    return [split.train, split.validation, split.test]


@given(
    strata=st.lists(st.integers(0, 4), min_size=1, max_size=200),
    shares=st.tuples(st.floats(0, 0.45), st.floats(0, 0.45)),
    seed=st.integers(0, 3),
)
def test_parts_cover_every_row_once_and_every_class_trains(
    strata: list[int], shares: tuple[float, float], seed: int
) -> None:
    classes = np.array(strata)
    split = split_by_shares(
        len(strata), validation=shares[0], test=shares[1], seed=seed, strata=classes
    )
    assert sorted(np.concatenate(parts(split))) == list(range(len(strata)))
    assert set(classes[split.train]) == set(strata)
    for part in parts(split):
        assert (np.diff(part) > 0).all()


@pytest.mark.parametrize("num_rows", [10, 97, 344])
def test_sizes_are_the_rounded_shares(num_rows: int) -> None:
    split = split_by_shares(num_rows, validation=0.2, test=0.1, seed=0, strata=None)
    assert len(split.validation) == round(0.2 * num_rows)
    assert len(split.test) == round(0.1 * num_rows)


def test_every_class_has_its_share_in_every_part() -> None:
    strata = np.repeat([0, 1, 2], [100, 50, 30])
    split = split_by_shares(180, validation=0.2, test=0.2, seed=3, strata=strata)
    assert np.bincount(strata[split.test]).tolist() == [20, 10, 6]
    assert np.bincount(strata[split.validation]).tolist() == [20, 10, 6]


def test_the_seed_alone_draws_the_parts() -> None:
    def draw(seed: int) -> list[int]:
        split = split_by_shares(50, validation=0, test=0.5, seed=seed, strata=None)
        return [int(row) for row in split.test]

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)


def test_a_column_names_the_parts() -> None:
    frame = pl.DataFrame({"fold": ["test", "train", "validation", "train"]})
    split = split_by_column(Table(frame, "f.csv", np.arange(2, 6), "line"), "fold")
    assert [part.tolist() for part in parts(split)] == [[1, 3], [2], [0]]


def test_a_column_that_says_something_else_is_refused() -> None:
    frame = pl.DataFrame({"fold": ["test", "dev"]})
    with pytest.raises(DataError, match=r"f\.csv, line 3: the split column 'fold' has 'dev'"):
        split_by_column(Table(frame, "f.csv", np.arange(2, 4), "line"), "fold")
