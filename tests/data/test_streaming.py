"""Streamed files are fitted as files in memory are, and refused with the same words."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from dlcli.columns import categorical, labels
from dlcli.columns.categorical import CategoricalColumn
from dlcli.config import LoadedConfig, load_config
from dlcli.data import fitting, memory_estimate, part_statistics
from dlcli.data.dataset import Dataset, load_dataset, load_tables
from dlcli.data.encoding import encode_blocks
from dlcli.data.fields import Examples, concatenate
from dlcli.data.splits import PARTS
from dlcli.errors import DlcliError
from dlcli.tables import reading
from tests.conftest import ROOT, WriteConfig
from tests.data import test_dataset

TARGETS = {
    "penguins": "species",
    "digits": "digit",
    "diabetes": "progression",
    "moons": "color",
    "perceptron": "above",
    "pass_class": "passed",
    "final_grade": "grade",
}
CELLS = [
    *("", "NA", "1", "2.5", "-3", "1e300", "007", "1,5", "12 %", "a", "b", "c", "?"),
    *("true", "False", "2024-01-31", "2024-1-5", "2024-02-01T10:00:00Z", "1999-12-31 23:59"),
]


@contextmanager
def blocks_of(num_bytes: int) -> Iterator[None]:
    """Read files in blocks of so many bytes of CSV, or rows of Parquet."""
    rows = max(1, num_bytes // 8)
    with (
        mock.patch.object(reading, "BLOCK_BYTES", num_bytes),
        mock.patch.object(reading, "BLOCK_ROWS", rows),
    ):
        yield


def streamed(loaded: LoadedConfig) -> LoadedConfig:
    data = loaded.config.data.model_copy(update={"streaming": True})
    return replace(loaded, config=loaded.config.model_copy(update={"data": data}))


def encoded(dataset: Dataset) -> dict[str, Examples]:
    """Return a streamed dataset's parts, whole."""
    assert dataset.stream is not None
    blocks = list(encode_blocks(dataset.fitted, dataset.stream, PARTS))
    return {
        name: concatenate([block.examples for block in blocks if block.part == name])
        for name in dataset.num_rows
    }


def numbers_and_rest(model: BaseModel) -> tuple[list[float], Any]:
    """Return the numbers of something fitted that rounding may change, and all else."""
    numbers: list[float] = []

    def rest(value: Any) -> Any:
        if isinstance(value, dict):
            kept = {key: rest(inner) for key, inner in value.items()}
            numbers.extend(kept.pop(key) for key in ("center", "scale") if key in kept)
            return kept
        return [rest(inner) for inner in value] if isinstance(value, list) else value

    return numbers, rest(model.model_dump(mode="json"))


def refuse_difference(one: Dataset, other: Dataset) -> None:
    numbers, rest = numbers_and_rest(one.fitted)
    others, other_rest = numbers_and_rest(other.fitted)
    assert rest == other_rest
    np.testing.assert_allclose(others, numbers, rtol=1e-12, atol=1e-12)
    assert other.columns == one.columns
    assert dict(other.num_rows) == dict(one.num_rows)
    assert other.task == one.task
    assert other.checksums == one.checksums
    said = [note for note in other.notes if "data.streaming" not in note]
    assert said == list(one.notes)
    for name, part in encoded(other).items():
        held = one.parts[name]
        one_fields, fields = ({**own.inputs, **own.targets} for own in (held, part))
        assert fields.keys() == one_fields.keys()
        for key, expected in one_fields.items():
            found = fields[key]
            assert found.dtype == expected.dtype
            np.testing.assert_allclose(found, expected, rtol=2e-7, atol=1e-9)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize("num_blocks", [12, 1])
@pytest.mark.parametrize("name", TARGETS)
def test_a_streamed_file_is_fitted_as_one_in_memory_is(
    name: str, num_blocks: int, suffix: str, write_config: WriteConfig
) -> None:
    file = ROOT / "data" / f"{name}.csv"
    if suffix == "parquet":
        frame = pl.read_csv(file, null_values=["NA"], infer_schema_length=None)
        file = Path(f"{name}.parquet")
        frame.write_parquet(file, row_group_size=100)
    loaded = load_config(write_config(file.absolute(), TARGETS[name]))
    held = load_dataset(loaded)
    with blocks_of(file.stat().st_size // num_blocks + 1):
        refuse_difference(held, load_dataset(streamed(loaded)))


def refusals() -> list[Any]:
    """Return what the test of tables in memory is parametrized with."""
    test: Any = test_dataset.test_data_that_does_not_fit_is_refused
    return list(test.pytestmark)


def outcome(loaded: LoadedConfig) -> Dataset | str:
    try:
        return load_dataset(loaded)
    except DlcliError as error:
        return str(error)


@st.composite
def tables(draw: st.DrawFn) -> pl.DataFrame:
    num_rows = draw(st.integers(1, 12))

    def column(choice: list[str]) -> st.SearchStrategy[list[str]]:
        return st.lists(st.sampled_from(choice), min_size=num_rows, max_size=num_rows)

    choices = st.lists(st.sampled_from(CELLS), min_size=1, max_size=4)
    features = {name: draw(column(draw(choices))) for name in ("p", "q")}
    target = draw(column(draw(st.sampled_from([["a", "b"], ["1", "0"], ["1", "2.5", ""], CELLS]))))
    fold = draw(column(["train", "train", "validation", "test"]))
    return pl.DataFrame({**features, "fold": fold, "y": target})


@settings(max_examples=30, deadline=None)
@given(
    table=tables(),
    num_bytes=st.integers(8, 200),
    drop=st.booleans(),
    kind=st.sampled_from([None, "numeric", "categorical", "boolean", "datetime"]),
)
def test_any_file_is_fitted_or_refused_as_one_in_memory_is(
    table: pl.DataFrame, num_bytes: int, drop: bool, kind: str | None
) -> None:
    with tempfile.TemporaryDirectory() as name:
        file, config = Path(name) / "t.csv", Path(name) / "c.yaml"
        table.write_csv(file)
        kinds = f", kinds: {{p: {kind}}}" if kind else ""
        config.write_text(
            f"data: {{path: t.csv, target: y, split: {{column: fold}}, "
            f"drop_missing_target: {str(drop).lower()}{kinds}}}\n"
            "model: {layers: [{type: dense}]}\n"
        )
        loaded = load_config(config)
        held = outcome(loaded)
        with blocks_of(num_bytes):
            other = outcome(streamed(loaded))
            if isinstance(held, str) or isinstance(other, str):
                assert other == held
            else:
                refuse_difference(held, other)


@pytest.mark.parametrize(
    ("lines", "data"), [case[:2] for mark in refusals() for case in mark.args[1]]
)
@pytest.mark.parametrize("num_bytes", [8, 10**7])
def test_what_does_not_fit_is_refused_with_the_same_words(
    lines: list[str],
    data: dict[str, Any],
    num_bytes: int,
    load: Callable[..., LoadedConfig],
    table: Callable[..., Path],
) -> None:
    options = {"path": str(table(*lines)), "target": "y", **data}
    loaded = load(options.pop("path"), options.pop("target"), data=options)
    words = outcome(loaded)
    assert isinstance(words, str)
    with blocks_of(num_bytes):
        assert outcome(streamed(loaded)) == words


def draw_parts(
    load: Callable[..., LoadedConfig], file: Path, **options: Any
) -> dict[str, np.ndarray]:
    """Return the numbers of each part's rows."""
    split = {"validation": 0.2, "test": 0.3, **options}
    loaded = streamed(load(file, "y", data={"split": split, "scale": "none"}))
    return {name: part.inputs["numbers"] for name, part in encoded(load_dataset(loaded)).items()}


class TestShares:
    @pytest.fixture
    def counted(self, table: Callable[..., Path]) -> Path:
        return table("x,y", *[f"{row},{row % 2}" for row in range(2000)])

    def test_each_row_is_in_one_part_by_seed_and_place(
        self, counted: Path, load: Callable[..., LoadedConfig]
    ) -> None:
        parts = draw_parts(load, counted)
        rows = {name: part[:, 0].astype(int).tolist() for name, part in parts.items()}
        assert sorted(chain.from_iterable(rows.values())) == list(range(2000))
        assert all(found == sorted(found) for found in rows.values())
        assert len(rows["validation"]) == pytest.approx(400, abs=60)
        assert len(rows["test"]) == pytest.approx(600, abs=70)
        with blocks_of(100):
            again = draw_parts(load, counted)
        assert all((again[name] == part).all() for name, part in parts.items())
        other = draw_parts(load, counted, seed=1)
        assert other["test"].tolist() != parts["test"].tolist()

    def test_a_row_is_in_the_same_part_whatever_holds_it(
        self, counted: Path, load: Callable[..., LoadedConfig]
    ) -> None:
        pl.read_csv(counted).write_parquet("same.parquet")
        both = [draw_parts(load, path.absolute()) for path in (counted, Path("same.parquet"))]
        for name, part in both[0].items():
            assert both[1][name].tolist() == part.tolist()


@pytest.mark.parametrize("scale", ["standard", "robust_clip", "quantile"])
def test_medians_and_quantiles_come_from_rows_drawn_by_the_seed(
    scale: str,
    load: Callable[..., LoadedConfig],
    table: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in (part_statistics, fitting):
        monkeypatch.setattr(module, "SAMPLE_ROWS", 200)
    file = table("x,y", *[f"{row},{row % 2}" for row in range(2000)])

    def fitted(seed: int, num_bytes: int) -> Any:
        with blocks_of(num_bytes):
            loaded = streamed(load(file, "y", seed=seed, data={"scale": scale}))
            dataset = load_dataset(loaded)
        drawn = "quantiles of 200 training rows drawn at random (data.streaming)"
        told = any(note == f"numbers are scaled by the {drawn}" for note in dataset.notes)
        assert told == (scale != "standard")
        return dataset.fitted.columns[0]

    assert fitted(0, 500) == fitted(0, 10**7) != fitted(1, 500)
    assert fitted(0, 500).fill == pytest.approx(1000, abs=150)


def test_a_column_that_looks_like_numbers_for_long_has_all_its_categories(
    load: Callable[..., LoadedConfig], table: Callable[..., Path]
) -> None:
    lines = [f"{row % 3},{row % 2}" for row in range(60)] + ["a,1", "b,0"] * 60
    loaded = load(table("x,y", *lines), "y")
    with blocks_of(40):
        other = load_dataset(streamed(loaded))
        refuse_difference(load_dataset(loaded), other)
    column = other.fitted.columns[0]
    assert isinstance(column, CategoricalColumn)
    assert column.categories == ("0", "1", "2", "a", "b")


@pytest.mark.parametrize("streaming", [False, True])
def test_more_categories_than_can_be_held_are_left_out(
    streaming: bool,
    load: Callable[..., LoadedConfig],
    table: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(labels, "MAX_LABELS", 50)
    lines = [f"{row},c{row % 60},{row % 2}" for row in range(200)]
    file = table("x,many,y", *lines)
    with blocks_of(100):
        dataset = load_dataset(load(file, "y", data={"streaming": streaming}))
        assert [column.name for column in dataset.fitted.columns] == ["x"]
        assert "text with more than" in dataset.columns[1].reason
        said = {"kinds": {"many": "categorical"}, "streaming": streaming}
        assert "too many to tell apart" in str(outcome(load(file, "y", data=said)))
        wanted = load(file, "many", data={"streaming": streaming})
        assert "classes, too many to learn" in str(outcome(wanted))


def test_unseen_values_are_said_to_be_there_where_they_are_too_many_to_count(
    load: Callable[..., LoadedConfig],
    table: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in (labels, categorical):
        monkeypatch.setattr(module, "MAX_LABELS", 50)
    file = table("x,y", *[f"c{row % 40},{row % 2}" for row in range(200)])
    table("x,y", *[f"c{row},0" for row in range(100)], ",0", name="watch.csv")
    data = {"validation_path": "watch.csv"}
    held = load_dataset(load(file, "y", data=data))
    with blocks_of(100):
        other = load_dataset(streamed(load(file, "y", data=data)))
    assert other.fitted == held.fitted
    what = "unseen in training"
    assert any(f"'x': 61 cells {what}; first at" in note for note in held.notes)
    assert f"validation rows: column 'x': at least 12 cells {what}" in other.notes


def test_parts_that_begin_late_in_a_file_have_tables(
    load: Callable[..., LoadedConfig], table: Callable[..., Path]
) -> None:
    lines = [f"{row},{row % 2 if row > 40 else ''},{PARTS[row // 100]}" for row in range(300)]
    loaded = load(
        table("x,y,part", *lines),
        "y",
        data={"split": {"column": "part"}, "drop_missing_target": True},
    )
    with blocks_of(100):
        tables = load_tables(streamed(loaded), 5)
    assert {part: rows.numbers.tolist() for part, rows in tables.items()} == {
        part: list(range(first + 2, first + 7))
        for part, first in zip(PARTS, (41, 100, 200), strict=True)
    }


class TestAuto:
    def test_a_table_that_fits_is_held(self, penguins: Path, write_config: WriteConfig) -> None:
        assert load_dataset(load_config(write_config(penguins, "species"))).stream is None

    @pytest.mark.parametrize("suffix", ["csv", "parquet"])
    def test_one_that_would_fill_the_memory_is_streamed_and_that_is_said(
        self,
        suffix: str,
        penguins: Path,
        write_config: WriteConfig,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(memory_estimate, "free_bytes", lambda: 100_000)
        pl.read_csv(penguins, null_values="NA").write_parquet("penguins.parquet")
        file = penguins if suffix == "csv" else Path("penguins.parquet").absolute()
        dataset = load_dataset(load_config(write_config(file, "species")))
        assert dataset.stream is not None
        assert "more than 25% of the" in dataset.notes[0]
        assert "(data.streaming)" in dataset.notes[0]
        monkeypatch.setattr(memory_estimate, "free_bytes", lambda: 10_000_000)
        assert load_dataset(load_config(write_config(file, "species"))).stream is None

    def test_the_free_memory_is_known_here(self) -> None:
        free = memory_estimate.free_bytes()
        assert free is None or 2**20 < free < 2**50
