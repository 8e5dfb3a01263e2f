import math
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from dlcli.columns.base import Column
from dlcli.columns.categorical import CategoricalColumn
from dlcli.columns.datetime import DatetimeColumn
from dlcli.columns.family import column_statistics, infer_kind, kind_named
from dlcli.columns.unseen import UnseenCells
from dlcli.config.sections.data import DataConfig
from dlcli.errors import DataError
from dlcli.tables.table import Table

MISSING = ("", "NA")


def table(*cells: object, strict: bool = True) -> Table:
    frame = pl.DataFrame({"x": pl.Series(cells, strict=strict)})
    return Table(frame, "f.csv", np.arange(2, 2 + len(cells)), "line")


def fit(kind: str, rows: Table, **options: object) -> Column:
    config = DataConfig.model_validate(
        {"path": "f.csv", "target": "y", "missing_values": MISSING, **options}
    )
    statistics = column_statistics(rows, "x", MISSING, kind=kind)
    kind_named(kind).refuse_other(statistics)
    return kind_named(kind).fit(statistics, config)


def encode(column: Column, rows: Table) -> np.ndarray:
    return column.encode(rows, MISSING)[0]


def unseen(column: Column, rows: Table) -> UnseenCells | None:
    return column.encode(rows, MISSING)[1]


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["1", "2.5", "-3e2", None], "numeric"),
        ([1, 2, 3], "numeric"),
        ([0.5, None], "numeric"),
        (["true", "False", "TRUE"], "boolean"),
        ([True, False], "boolean"),
        (["2024-01-31", "2024-02-01"], "datetime"),
        (["2024-01-31T10:00:00Z", "2024-01-31 11:30:00"], "datetime"),
        ([datetime(2024, 1, 31, tzinfo=UTC)], "datetime"),
        (["a", "b", "a"], "categorical"),
        (["yes", "no", "no"], "categorical"),
        (["a", "b", "c"], None),
        ([None, None], None),
        ([[1], [2]], None),
    ],
)
def test_a_kind_is_told_from_the_cells(cells: list[object], kind: str | None) -> None:
    inference = infer_kind(pl.Series("x", cells))
    assert (inference.kind and inference.kind.kind_name()) == kind
    assert inference.reason


def test_numbers_with_a_few_other_cells_are_left_to_their_owner() -> None:
    assert infer_kind(pl.Series("x", ["1", "2", "3", "4", "5", "?"])).mixed
    assert not infer_kind(pl.Series("x", ["1", "a", "b", "a", "5", "?"])).mixed


class TestNumeric:
    def test_standard_scaling_has_mean_0_and_deviation_1(self) -> None:
        rows = table("1", "2", "6")
        values = encode(fit("numeric", rows), rows)
        assert values.mean() == pytest.approx(0)
        assert values.std() == pytest.approx(1)

    def test_minmax_scaling_goes_from_0_to_1(self) -> None:
        rows = table("5", "7", "9")
        assert encode(fit("numeric", rows, scale="minmax"), rows)[:, 0].tolist() == [0, 0.5, 1]

    def test_none_leaves_numbers_as_they_are(self) -> None:
        rows = table("5", "7")
        assert encode(fit("numeric", rows, scale="none"), rows)[:, 0].tolist() == [5, 7]

    @pytest.mark.parametrize("scale", ["standard", "minmax", "robust_clip", "quantile"])
    def test_a_constant_column_becomes_zeros(self, scale: str) -> None:
        rows = table("0.1", "0.1", "0.1")
        assert encode(fit("numeric", rows, scale=scale), rows).tolist() == [[0], [0], [0]]

    def test_a_missing_number_is_the_median_with_an_indicator(self) -> None:
        rows = table("1", "NA", "3", "20")
        column = fit("numeric", rows, scale="none")
        assert encode(column, rows).tolist() == [[1, 0], [3, 1], [3, 0], [20, 0]]

    def test_a_gap_that_training_did_not_have_is_filled_and_said(self) -> None:
        column = fit("numeric", table("1", "2", "9"), scale="none")
        later = table("5", "NA")
        assert encode(column, later).tolist() == [[5], [2]]
        assert str(unseen(column, later)).startswith(
            "column 'x': 1 cell missing, although training had none"
        )

    @pytest.mark.parametrize(
        ("cell", "what"), [("1,5", "has '1,5'"), ("inf", "has inf"), ("1e300", "has 1e300")]
    )
    def test_what_is_no_number_is_refused_with_its_line(self, cell: str, what: str) -> None:
        with pytest.raises(DataError, match=f"f.csv, line 3: column 'x' .*{what}"):
            fit("numeric", table("1", cell))

    def test_spaces_around_a_number_are_no_matter(self) -> None:
        rows = table(" 1", "3 ")
        assert encode(fit("numeric", rows, scale="none"), rows)[:, 0].tolist() == [1, 3]


class TestCategorical:
    def test_few_categories_are_one_hot_in_sorted_order_and_missing_is_one(self) -> None:
        rows = table("b", "a", "NA", "b")
        column = fit("categorical", rows)
        assert encode(column, rows).tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 1], [0, 1, 0]]

    def test_an_unseen_category_has_a_code_of_its_own_and_is_said(self) -> None:
        column = fit("categorical", table("a", "b", "a"))
        later = table("c", "a", "NA")
        assert encode(column, later).tolist() == [[0, 0], [1, 0], [0, 0]]
        found = unseen(column, later)
        assert found is not None
        assert (found.count, found.first) == (2, "f.csv, line 2")

    def test_many_categories_are_codes_for_an_embedding(self) -> None:
        rows = table(*[f"c{number:02}" for number in range(20)] * 2)
        column = fit("categorical", rows)
        assert isinstance(column, CategoricalColumn)
        assert column.embedding_dim == round(1.6 * 20**0.56)
        assert column.num_codes == 21
        assert encode(column, rows)[:, 0].tolist() == [*range(1, 21)] * 2
        assert encode(column, table("never"))[0, 0] == 0

    def test_the_limit_and_the_width_can_be_set(self) -> None:
        rows = table("a", "b", "c", "a")
        column = fit("categorical", rows, one_hot_max=2, embedding_dim=7)
        assert isinstance(column, CategoricalColumn)
        assert column.embedding_dim == 7

    def test_whole_numbers_have_the_same_labels_from_either_file_format(self) -> None:
        column = fit("categorical", table("1", "2", "1"))
        assert encode(column, table(1.0, 2.0)).tolist() == [[1, 0], [0, 1]]
        assert encode(column, table(2, 1)).tolist() == [[0, 1], [1, 0]]


def test_booleans_are_0_and_1_from_either_file_format() -> None:
    column = fit("boolean", table("true", "False", ""))
    assert encode(column, table("TRUE", "false")).tolist() == [[1, 0], [0, 0]]
    assert encode(column, table(True, False, None)).tolist() == [[1, 0], [0, 0], [1, 1]]


class TestDatetime:
    def test_it_is_the_moment_and_the_cycles_that_vary(self) -> None:
        rows = table(*[f"2024-{month:02}-15" for month in range(1, 13)])
        column = fit("datetime", rows)
        assert isinstance(column, DatetimeColumn)
        assert column.cycles == ("year", "week")
        values = encode(column, rows)
        assert values.shape == (12, 5)
        assert values[:, 0].mean() == pytest.approx(0)
        assert np.allclose(values[:, 1] ** 2 + values[:, 2] ** 2, 1)

    def test_one_day_in_the_year_gives_nearly_the_same_place_in_its_cycle(self) -> None:
        column = fit("datetime", table("2020-01-01", "2020-07-01", "2021-03-01", "2022-10-01"))
        places = encode(column, table("2020-05-05", "2024-05-05"))[:, 1:3]
        assert math.dist(places[0], places[1]) < 0.02

    def test_text_and_types_give_the_same_numbers(self) -> None:
        column = fit("datetime", table("2024-01-31T10:00:00Z", "2024-03-01 00:00:00"))
        moment = datetime(2024, 1, 31, 10, tzinfo=UTC)
        assert np.allclose(
            encode(column, table(moment)), encode(column, table("2024-01-31T11:00:00+01:00"))
        )

    def test_what_is_no_date_is_refused(self) -> None:
        with pytest.raises(DataError, match=r"has '31\.1\.2024' where a date such as"):
            fit("datetime", table("31.1.2024"))
