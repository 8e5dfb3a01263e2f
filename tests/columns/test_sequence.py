"""Columns of sequences of numbers: what cells mean, fitting, and what is refused or said."""

import numpy as np
import polars as pl
import pytest
from pydantic import TypeAdapter

from dlcli.columns.base import Series
from dlcli.columns.column_statistics import ColumnStatistics
from dlcli.columns.family import FittedColumn, column_statistics, kind_named, unused_settings
from dlcli.columns.ragged import RaggedColumn
from dlcli.errors import DataError
from tests.columns.test_family import MISSING, config, table

KIND = kind_named("sequence")
CELLS = ["1;2;3", "[4, 5.5]", "NA", "7", "-1e1 2  3", "[]", '["0","1"]']
LISTS: list[object] = [[1.0, 2.0, 3.0], [4.0, 5.5], None, [7.0], [-10.0, 2.0, 3.0], [], [0.0, 1.0]]


def statistics(cells: list[object] | list[str], first_line: int = 2) -> ColumnStatistics:
    return column_statistics(table(cells, first_line), "x", MISSING, kind="sequence")


def fit(cells: list[object] | list[str], **options: object) -> RaggedColumn:
    found = statistics(cells)
    KIND.refuse_other(found)
    column = KIND.fit(found, config(sequence=options))
    assert isinstance(column, RaggedColumn)
    return column


def test_text_and_lists_are_encoded_alike_standardised_by_all_elements() -> None:
    column = fit(CELLS)
    assert fit(LISTS) == column
    (values, lengths), unseen = column.encode_rows(table(CELLS), MISSING)
    assert (lengths.tolist(), unseen) == ([3, 2, 0, 1, 3, 0, 2], [])
    flat = np.array([1, 2, 3, 4, 5.5, 7, -10, 2, 3, 0, 1])
    assert values.dtype == np.float32
    assert values[:, 0] == pytest.approx((flat - flat.mean()) / flat.std(), rel=1e-6)
    (typed, ends), _ = column.encode_rows(table(LISTS), MISSING)
    assert (typed.tobytes(), ends.tolist()) == (values.tobytes(), lengths.tolist())
    whole: list[object] = [[1, 2], [3]]
    assert fit(whole) == fit(["1,2", "3"])
    assert column.sequence == Series("x", "sequence x", 3, 1)


def test_it_comes_back_equal_from_a_checkpoint() -> None:
    column = fit(CELLS)
    assert TypeAdapter(FittedColumn).validate_json(column.model_dump_json()) == column
    assert column.continued(fit(["1", "2"])) == fit(["1", "2"])


@pytest.mark.parametrize("size", [1, 2, 5])
def test_statistics_of_blocks_add_up_to_those_of_the_whole(size: int) -> None:
    whole = statistics(CELLS)
    added = statistics(CELLS[:size])
    for start in range(size, len(CELLS), size):
        added += statistics(CELLS[start : start + size], start + 2)
    assert added.sequences is not None
    assert whole.sequences is not None
    one, other = added.sequences.numbers, whole.sequences.numbers
    assert (one.count, one.least, one.greatest) == (other.count, other.least, other.greatest)
    assert (one.mean, one.squares) == pytest.approx((other.mean, other.squares), rel=1e-12)
    assert added.sequences.lengths.rows.tolist() == whole.sequences.lengths.rows.tolist()
    assert added.sequences.num_rows == whole.sequences.num_rows == 6


def test_elements_count_as_often_as_their_rows_weigh() -> None:
    weighted = column_statistics(
        table(["1;2", "5"]), "x", MISSING, kind="sequence", weights=np.array([1.0, 2.0])
    )
    assert KIND.fit(weighted, config()) == fit(["1;2", "5", "5"])


@pytest.mark.parametrize(
    "cell",
    ["a;b", "1;;2", "1;nan", "1;inf", "1,5;2,5", "1;1e39", ["a"], [1.0, None], [float("nan")]],
)
def test_a_cell_that_is_no_list_of_finite_numbers_is_named(cell: object) -> None:
    known: list[object] = ["1;2", "3"] if isinstance(cell, str) else [[1.0, 2.0], [3.0]]
    if cell == ["a"]:
        known = [["1", "2"], ["3"]]
    column, rows = fit(known), table([*known, cell, cell])
    told = "f.csv, line 4: column 'x' has .* where a sequence .* expected, and 1 more such row; "
    for refused in (lambda: fit([*known, cell, cell]), lambda: column.encode_rows(rows, MISSING)):
        with pytest.raises(DataError, match=told):
            refused()
    [bad] = column.find_bad(rows, MISSING)
    assert bad.rows.tolist() == [False, False, True, True]


def test_numbers_that_overflow_standardised_are_refused() -> None:
    column, rows = fit(["1;1.001", "1"]), table(["1", "3e38"])
    with pytest.raises(DataError, match="float32 can hold, standardised"):
        column.encode_rows(rows, MISSING)
    assert [bad.rows.tolist() for bad in column.find_bad(rows, MISSING)] == [[False, True]]


def test_missing_and_cut_sequences_are_said_alike_by_encoding_and_by_statistics() -> None:
    column = fit(["1;2", "3"])
    cells = ["1", "1;2;3", "NA", "1 2 3 4"]
    encoded, unseen = column.encode_rows(table(cells), MISSING)
    assert encoded.lengths.tolist() == [1, 2, 0, 2]
    assert [(one.count, one.first) for one in unseen] == [
        (1, "f.csv, line 4"),
        (2, "f.csv, line 3"),
    ]
    assert column.find_unseen(statistics(cells)) == unseen
    short = fit(CELLS, max_length=2)
    assert short.notes(statistics(CELLS)) == [
        "'x': 2 training sequences cut off behind 2 elements (data.sequence.max_length)"
    ]
    padded, _ = short.encode(table(CELLS), MISSING)
    assert padded.shape == (len(CELLS), 2, 1)


def test_it_is_constant_where_all_sequences_are_the_same() -> None:
    for cells, is_constant in (
        (["1|2", "[1, 2]"], True),
        (["1;2", "1;3"], False),
        (["1;1", "1"], False),
        (["1", "NA"], False),
        (["NA", "NA"], True),
    ):
        found = statistics(cells)
        assert KIND.fit(found, config()).is_constant(found) == is_constant


def test_its_encoding_and_its_cells_are_told_in_words() -> None:
    column = fit(CELLS)
    assert column.encoding_in_short(config()) == "numbers, standard, at most 3 a row"
    assert column.encoding_in_full().startswith("(x − 1.682) / 4.179 of each number")
    assert column.cell_text(None) is None
    assert column.cell_text("1; 2.34567") == "1, 2.35"
    assert column.cell_text(pl.Series([0.5] * 1200)) == "0.5, 0.5, … (1,200)"
    assert column.labels(table(LISTS), MISSING)[1] == "[4.0, 5.5]"
    assert dict(unused_settings([], {"sequence"})) == {"sequence": KIND.settings["sequence"]}
    assert not [*unused_settings([column], {"sequence"})]
    assert pl.Series(column.parts).to_list() == ["element"]
