"""What holds for every kind of column; each new kind needs an example here."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl
import pytest
from pydantic import TypeAdapter

from dlcli.columns.base import Column, OrderedColumn
from dlcli.columns.column_statistics import ColumnStatistics
from dlcli.columns.family import (
    KINDS,
    FittedColumn,
    column_statistics,
    infer_from,
    kind_named,
    unused_settings,
)
from dlcli.columns.image import FileColumn
from dlcli.columns.ragged import RaggedColumn
from dlcli.config.schema import json_schema
from dlcli.config.sections.data import DataConfig
from dlcli.errors import DataError
from dlcli.tables.table import Table

MISSING = ("", "NA")


@dataclass(frozen=True)
class Example:
    """Cells of a kind, as a CSV file has them and as a Parquet file has them."""

    text: list[str]
    typed: list[object]
    wrong: str | None  # a cell that can't be of this kind
    stored: set[str]  # keys in a checkpoint
    in_short: str
    in_full: str


EXAMPLES = {
    "numeric": Example(
        text=["1", "2.5", "NA", "-3e2", "2.50", "4"],
        typed=[1.0, 2.5, None, -300.0, 2.5, 4.0],
        wrong="1,5",
        stored={"kind", "name", "center", "scale", "fill", "indicator"},
        in_short="standard, median and indicator for missing",
        in_full="(x + 58) / 121",
    ),
    "boolean": Example(
        text=["true", "False", "", "TRUE", "true", "false"],
        typed=[True, False, None, True, True, False],
        wrong="yes",
        stored={"kind", "name", "fill", "indicator"},
        in_short="0 or 1, median and indicator for missing",
        in_full="0 or 1",
    ),
    "categorical": Example(
        text=["b", "a", "NA", "ü", "b", "b"],
        typed=["b", "a", None, "ü", "b", "b"],
        wrong=None,
        stored={"kind", "name", "categories", "has_missing", "embedding_dim"},
        in_short="one-hot of 4",
        in_full="3 categories, one-hot",
    ),
    "datetime": Example(
        text=["2024-01-31", "2024-06-01T12:00", "", "2025-01-01", "2024-01-31", "2024-11-05"],
        typed=[
            datetime(2024, 1, 31),
            datetime(2024, 6, 1, 12),
            None,
            datetime(2025, 1, 1),
            datetime(2024, 1, 31),
            datetime(2024, 11, 5),
        ],
        wrong="31.1.2024",
        stored={"kind", "name", "center", "scale", "fill", "indicator", "cycles"},
        in_short="standard, cycles: year, week, day, median and indicator for missing",
        in_full="standardised, cycles: year, week, day",
    ),
}

# Kinds whose cells name files, which have to be there, are in tests/columns/test_image.py; those of
# sequences, in tests/columns/test_text.py and test_sequence.py.
OF_VALUES = [kind for kind in KINDS if not issubclass(kind, FileColumn | RaggedColumn)]
every_kind = pytest.mark.parametrize("kind", OF_VALUES, ids=lambda kind: kind.kind_name())


def table(cells: list[object] | list[str], first_line: int = 2) -> Table:
    frame = pl.DataFrame({"x": pl.Series(cells)})
    return Table(frame, "f.csv", np.arange(first_line, first_line + len(cells)), "line")


def example(kind: type[Column]) -> Example:
    return EXAMPLES[kind.kind_name()]


def statistics(rows: Table, kind: type[Column]) -> ColumnStatistics:
    return column_statistics(rows, "x", MISSING, kind=kind.kind_name())


def config(**options: object) -> DataConfig:
    return DataConfig.model_validate({"path": "f.csv", "target": "y", **options})


def fit(kind: type[Column], rows: Table, **options: object) -> Column:
    found = statistics(rows, kind)
    kind.refuse_other(found)
    return kind.fit(found, config(**options))


def test_each_kind_has_an_example_and_a_name_of_its_own() -> None:
    assert [*EXAMPLES] == [kind.kind_name() for kind in OF_VALUES]
    assert [kind_named(kind.kind_name()) for kind in KINDS] == [*KINDS]


def test_the_config_knows_the_kinds_by_their_names() -> None:
    schema = json_schema()["$defs"]["DataConfig"]["properties"]["kinds"]
    assert schema["additionalProperties"]["enum"] == [kind.kind_name() for kind in KINDS]


@every_kind
@pytest.mark.parametrize("column", ["text", "typed"])
def test_its_cells_are_taken_for_it(kind: type[Column], column: str) -> None:
    cells = getattr(example(kind), column)
    found = infer_from(column_statistics(table(cells), "x", MISSING))
    assert found.kind is kind
    assert found.reason


@every_kind
@pytest.mark.parametrize("size", [1, 2, 5])
def test_statistics_of_blocks_add_up_to_those_of_the_whole(kind: type[Column], size: int) -> None:
    cells = [*example(kind).text, "2.5", "1e300", "true", "other", "12 %"]
    whole = statistics(table(cells), kind)
    blocks = [
        statistics(table(cells[start : start + size], start + 2), kind)
        for start in range(0, len(cells), size)
    ]
    added = blocks[0]
    for block in blocks[1:]:
        added += block
    assert (added.num_rows, added.num_known) == (whole.num_rows, whole.num_known)
    for counted in ("missing", "others", "too_large", "num_written_otherwise"):
        assert getattr(added, counted) == getattr(whole, counted), counted
    assert added.kinds.keys() == whole.kinds.keys()
    for name, found in whole.kinds.items():
        assert added.cells_of(name) == found.cells
        for one, other in (
            (added.numbers_of(name), found.numbers),
            *zip(added.derived_of(name).values(), found.derived.values(), strict=True),
        ):
            assert (one.count, one.least, one.greatest) == (
                other.count,
                other.least,
                other.greatest,
            )
            if other.greatest < 1e300:
                assert one.mean == pytest.approx(other.mean, rel=1e-12)
                assert one.squares == pytest.approx(other.squares, rel=1e-12)
    if whole.labels is not None and added.labels is not None:
        assert added.labels.cells.to_list() == whole.labels.cells.to_list()
        assert added.labels.counts.tolist() == whole.labels.counts.tolist()
        assert added.labels.numbers.tolist() == whole.labels.numbers.tolist()


@every_kind
@pytest.mark.parametrize("options", [{}, {"one_hot_max": 1, "embedding_dim": 3}])
def test_rows_are_encoded_alike_at_once_and_block_by_block(
    kind: type[Column], options: dict[str, object]
) -> None:
    cells = example(kind).text
    column = fit(kind, table(cells), **options)
    whole, unseen = column.encode(table(cells), MISSING)
    blocks = [column.encode(table([cell]), MISSING)[0] for cell in cells]
    assert unseen is None
    assert np.concatenate(blocks).tobytes() == whole.tobytes()
    assert np.isfinite(whole).all()


@every_kind
def test_text_and_types_are_encoded_alike(kind: type[Column]) -> None:
    column = fit(kind, table(example(kind).text))
    assert fit(kind, table(example(kind).typed)) == column
    text, _ = column.encode(table(example(kind).text), MISSING)
    typed, _ = column.encode(table(example(kind).typed), MISSING)
    assert text.tobytes() == typed.tobytes()


@every_kind
@pytest.mark.parametrize("has_missing", [False, True])
@pytest.mark.parametrize("options", [{}, {"one_hot_max": 1, "embedding_dim": 3}])
def test_it_says_which_slots_of_which_field_it_fills(
    kind: type[Column], options: dict[str, object], has_missing: bool
) -> None:
    cells = [cell for cell in example(kind).text if has_missing or cell not in MISSING]
    column = fit(kind, table(cells), **options)
    encoded, _ = column.encode(table(cells), MISSING)
    assert encoded.shape == (len(cells), column.num_slots)
    assert encoded.dtype == {"numbers": np.float64, "codes": np.int32}[column.field]
    assert (column.embedding is not None) == (column.field == "codes")
    if column.embedding is not None:
        assert (column.embedding.name, column.embedding.dim) == ("x", 3)
        assert 0 < encoded.min() <= encoded.max() == column.embedding.num_codes - 1
    if column.is_plain_number:
        assert (column.field, column.num_slots) == ("numbers", 1)
    num_parts = column.num_slots if column.embedding is None else column.embedding.num_codes
    assert len({*column.parts}) == len(column.parts) == num_parts
    assert not (column.indicates_missing and not has_missing)


@every_kind
def test_it_comes_back_equal_from_a_checkpoint(kind: type[Column]) -> None:
    column = fit(kind, table(example(kind).text))
    stored = column.model_dump_json()
    assert column.model_dump().keys() == example(kind).stored
    assert TypeAdapter(FittedColumn).validate_json(stored) == column


@every_kind
@pytest.mark.parametrize("options", [{}, {"one_hot_max": 1, "embedding_dim": 3}])
def test_a_column_that_is_continued_gives_cells_the_numbers_that_it_gave(
    kind: type[Column], options: dict[str, object]
) -> None:
    cells = [cell for cell in example(kind).text if cell not in MISSING]
    before = fit(kind, table(example(kind).text), **options)
    after = fit(kind, table(cells[: len(cells) // 2 + 1]), **options).continued(before)
    assert after == before
    fewer = fit(kind, table(cells), **options)
    more = fit(kind, table(example(kind).text), **options).continued(fewer)
    assert {*fewer.parts} <= {*more.parts}
    assert {*more.parts} == {*before.parts}


@every_kind
def test_a_cell_of_another_kind_is_refused_with_its_place(kind: type[Column]) -> None:
    wrong, cells = example(kind).wrong, example(kind).text
    if wrong is None:
        kind.refuse_other(statistics(table([*cells, "?"]), kind))
        return
    column = fit(kind, table(cells))
    assert isinstance(column, OrderedColumn)
    rows = table([*cells, wrong, wrong])
    told = (
        f"f.csv, line {len(cells) + 2}: column 'x' has '{wrong}' where {column.expected} is "
        "expected, and 1 more such row; "
    )
    for refused in (lambda: fit(kind, rows), lambda: column.encode(rows, MISSING)):
        with pytest.raises(DataError) as error:
            refused()
        assert str(error.value).startswith(told)
        keys = {"1,5": "data.decimal and data.thousands", "31.1.2024": "data.date_formats"}
        assert str(error.value).endswith(keys.get(wrong, "data.kinds: {x: categorical}"))


@every_kind
def test_the_cells_that_encoding_refuses_are_found(kind: type[Column]) -> None:
    wrong, cells = example(kind).wrong or "?", example(kind).text
    column = fit(kind, table(cells))
    assert column.find_bad(table(cells), MISSING) == []
    found = column.find_bad(table([wrong, *cells, wrong]), MISSING)
    assert [(bad.column, np.flatnonzero(bad.rows).tolist()) for bad in found] == [
        ("x", [0, len(cells) + 1]) for _ in range(isinstance(column, OrderedColumn))
    ]


@every_kind
def test_unseen_cells_are_the_same_by_statistics_and_by_encoding(kind: type[Column]) -> None:
    known = [cell for cell in example(kind).text if cell not in MISSING]
    column = fit(kind, table(known))
    for cells in (known, [*known, "NA", known[0], ""], [known[0]] * 3):
        rows = table(cells)
        _, unseen = column.encode(rows, MISSING)
        assert column.find_unseen(statistics(rows, kind)) == ([] if unseen is None else [unseen])
        assert (unseen is None) == (not {*cells} & {*MISSING})
        if unseen is not None:
            assert (unseen.count, unseen.first) == (2, f"f.csv, line {len(known) + 2}")
            assert str(unseen).startswith("column 'x': 2 ")


@every_kind
def test_it_is_constant_where_all_rows_are_the_same(kind: type[Column]) -> None:
    first, second = example(kind).text[:2]
    for cells, is_constant in (
        ([first] * 3, True),
        ([first, second, first], False),
        ([first, "NA", first], False),
    ):
        found = statistics(table(cells), kind)
        assert kind.fit(found, config()).is_constant(found) == is_constant


@every_kind
def test_its_encoding_is_told_in_words(kind: type[Column]) -> None:
    column = fit(kind, table(example(kind).text))
    assert column.encoding_in_short(config()) == example(kind).in_short
    assert column.encoding_in_full() == example(kind).in_full


@every_kind
def test_numbers_of_an_ordered_kind_are_cells_again(kind: type[Column]) -> None:
    rows = table(example(kind).text)
    column = fit(kind, rows)
    labels = column.labels(rows, MISSING)
    assert labels.is_null().to_list() == [cell in MISSING for cell in example(kind).text]
    if not isinstance(column, OrderedColumn):
        return
    numbers = column.numbers(rows, MISSING)
    known = ~np.isnan(numbers)
    assert known.tolist() == labels.is_not_null().to_list()
    again = table(column.to_cells(numbers[known]).to_list())
    assert column.numbers(again, MISSING).tolist() == numbers[known].tolist()


@every_kind
def test_each_of_its_settings_is_in_the_config_and_may_be_unused(kind: type[Column]) -> None:
    other = next(some for some in OF_VALUES if some is not kind)
    columns = [fit(other, table(example(other).text))]
    for setting, reason in kind.settings.items():
        assert setting in DataConfig.model_fields
        assert dict(unused_settings(columns, {setting})) == {setting: reason}
    used = fit(kind, table(example(kind).text), one_hot_max=1)
    assert not [*unused_settings([used], {*kind.settings})]
