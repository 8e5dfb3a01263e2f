from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from dlcli.config import LoadedConfig, load_config
from dlcli.data.dataset import load_dataset, load_tables
from dlcli.data.splits import PARTS
from dlcli.errors import ConfigError, DataError
from tests.conftest import ROOT, Command, WriteConfig

Load = Callable[..., LoadedConfig]
WriteTable = Callable[..., Path]


def test_penguins_are_read_as_they_are(load: Load, penguins: Path) -> None:
    loaded = load(penguins, "species", data={"split": {"validation": 0.2, "test": 0.2}})
    dataset = load_dataset(loaded)
    assert {name: len(part) for name, part in dataset.parts.items()} == {
        "train": 206,
        "validation": 69,
        "test": 69,
    }
    assert dataset.task == "multiclass"
    kinds = {report.name: report.kind for report in dataset.columns}
    assert kinds == {
        "island": "categorical",
        "bill_length_mm": "numeric",
        "bill_depth_mm": "numeric",
        "flipper_length_mm": "numeric",
        "body_mass_g": "numeric",
        "sex": "categorical",
        "year": "numeric",
    }
    assert dataset.parts["train"].inputs["numbers"].dtype == np.float32
    assert (
        dataset.parts["train"].inputs["numbers"].shape[1] == dataset.fitted.signature().num_inputs
    )


def perturb(frame: pl.DataFrame) -> pl.DataFrame:
    """Turn measurements into nonsense: enormous, missing, and categories never heard of."""
    return frame.with_columns(
        pl.lit("-1e30").alias("bill_length_mm"),
        pl.lit("NA").alias("bill_depth_mm"),
        pl.lit("1e9").alias("body_mass_g"),
        pl.lit("Atlantis").alias("island"),
        pl.lit(None, dtype=pl.String).alias("sex"),
    )


@pytest.mark.parametrize("how", ["column", "files"])
def test_validation_and_test_rows_change_nothing_that_is_fitted(
    how: str, load: Load, penguins: Path, tmp_path: Path
) -> None:
    frame = pl.read_csv(penguins, infer_schema=False).with_row_index()
    frame = frame.with_columns(
        pl.when(pl.col("index") % 5 == 0)
        .then(pl.lit("test"))
        .when(pl.col("index") % 5 == 1)
        .then(pl.lit("validation"))
        .otherwise(pl.lit("train"))
        .alias("part")
    ).drop("index")
    parts = {name: frame.filter(pl.col("part") == name) for name in ("validation", "test")}
    train = frame.filter(pl.col("part") == "train")
    fitted = []
    for change in (lambda part: part, perturb):
        changed = {name: change(part) for name, part in parts.items()}
        if how == "column":
            pl.concat([train, *changed.values()]).write_csv(tmp_path / "all.csv")
            loaded = load("all.csv", "species", data={"split": {"column": "part"}})
        else:
            train.drop("part").write_csv(tmp_path / "all.csv")
            for name, part in changed.items():
                part.drop("part").write_csv(tmp_path / f"{name}.csv")
            paths = {f"{name}_path": f"{name}.csv" for name in changed}
            loaded = load("all.csv", "species", data=paths)
        dataset = load_dataset(loaded)
        fitted.append(dataset.fitted)
        assert len(dataset.parts["test"]) == len(parts["test"])
    assert fitted[0] == fitted[1]


def test_text_with_a_value_of_its_own_in_each_row_is_left_out_and_said(
    load: Load, table: WriteTable
) -> None:
    path = table("id,x,y", *[f"p{n},{n % 3},{n % 2}" for n in range(12)])
    dataset = load_dataset(load(path, "y"))
    assert [column.name for column in dataset.fitted.columns] == ["x"]
    assert dataset.columns[0].reason == "text with a different value in every row"
    assert dataset.columns[0].encoding == "left out (data.features)"


def test_features_come_in_the_order_asked_for(load: Load, table: WriteTable) -> None:
    path = table("a,b,c,y", *[f"{n},{2 * n},{3 * n},{n % 2}" for n in range(8)])
    loaded = load(path, "y", data={"features": ["c", "a"], "scale": "none"})
    assert load_dataset(loaded).parts["train"].inputs["numbers"][2].tolist() == [6, 2]


def test_a_kind_can_be_said(load: Load, table: WriteTable) -> None:
    path = table("a,y", *[f"{n % 3},{n % 2}" for n in range(8)])
    dataset = load_dataset(load(path, "y", data={"kinds": {"a": "categorical"}}))
    assert dataset.fitted.signature().num_dense == 3


def test_embedded_columns_are_a_field_of_codes(load: Load, table: WriteTable) -> None:
    path = table("city,x,y", *[f"c{n % 12:02},{n},{n % 2}" for n in range(24)])
    dataset = load_dataset(load(path, "y", data={"scale": "none"}))
    signature = dataset.fitted.signature()
    assert [table.name for table in signature.embeddings] == ["city"]
    assert signature.num_inputs == 2
    inputs = dataset.parts["train"].inputs
    assert (inputs["numbers"][3].tolist(), inputs["codes"][3].tolist()) == ([3], [4])
    assert [array.dtype for array in inputs.values()] == [np.float32, np.int32]


def test_rows_without_a_target_are_left_out_where_asked(load: Load, table: WriteTable) -> None:
    path = table("x,y", "1,a", "2,", "3,b", "4,NA", "5,a", "6,b")
    dataset = load_dataset(load(path, "y", data={"drop_missing_target": True}))
    assert len(dataset.parts["train"]) == 4
    assert "2 of 6 rows left out" in dataset.notes[0]


def test_a_column_that_never_changes_is_said(load: Load, table: WriteTable) -> None:
    path = table("x,z,y", *[f"{n},7,{n % 2}" for n in range(8)])
    assert any("of no use: z" in note for note in load_dataset(load(path, "y")).notes)


def test_an_array_takes_the_features_in_column_order() -> None:
    loaded = load_config(ROOT / "configs" / "digits.yaml")
    dataset = load_dataset(loaded)
    assert dataset.fitted.signature().input_shape == (1, 8, 8)
    first = pl.read_csv(ROOT / "data" / "digits.csv").drop("digit").row(0)
    parts = dataset.parts.values()
    assert any((part.inputs["numbers"] == first).all(axis=1).any() for part in parts)


GOOD = ["a,b,y", *[f"{n},{'uvw'[n % 3]},{n % 2}" for n in range(20)]]


@pytest.mark.parametrize(
    ("lines", "data", "error", "message"),
    [
        (GOOD, {"target": "z"}, ConfigError, "data.target: {t} has no column 'z'"),
        (GOOD, {"features": ["a", "bb"]}, ConfigError, "data.features[1]: {t} has no column 'bb'"),
        (GOOD, {"kinds": {"q": "numeric"}}, ConfigError, "data.kinds.q: {t} has no column 'q'"),
        (GOOD, {"kinds": {"y": "numeric"}}, ConfigError, "set data.task instead"),
        (GOOD, {"split": {"column": "q"}}, ConfigError, "data.split.column: {t} has no column 'q'"),
        (GOOD, {"split": {"column": "b"}}, DataError, "line 2: the split column 'b' has 'u'"),
        (GOOD, {"shape": [1, 2, 2]}, ConfigError, "takes numeric features only; 'b' is not"),
        (
            GOOD,
            {"shape": [3, 1], "features": ["a"]},
            ConfigError,
            "data.shape: [3, 1] takes 3 features, and the data has 1",
        ),
        (GOOD, {"kinds": {"b": "numeric"}}, DataError, "line 2: column 'b' has 'u' where a num"),
        (
            [*GOOD, "1e300,u,1"],
            {"scale": "none"},
            DataError,
            "{t}, line 22: column 'a' has 1e300",
        ),
        (
            ["a,y", "1,0.5", "2,1", "3,1e300"],
            {"target_scale": "none"},
            DataError,
            "line 4: column 'y' has 1e300, too large for float32",
        ),
        (GOOD, {"path": "nowhere.csv"}, DataError, "nowhere.csv: there is no such file"),
        (GOOD, {"path": "config.yaml"}, DataError, "not a table by its name"),
        (GOOD[:1], {}, DataError, "{t}: no rows below the header"),
        (GOOD[:4], {"split": {"validation": 0.4, "test": 0.4}}, DataError, "too few rows for the"),
        (["a,y", "1,u", "2,u"], {}, DataError, "the target 'y' has one class"),
        (["a,y", "1,u", "2,", "3,v"], {}, DataError, "{t}, line 3: the target 'y' is missing here"),
        (["a,y", "1,", "2,"], {"drop_missing_target": True}, DataError, "missing in every row"),
        (["a,y", "u,0", "v,1", "w,1"], {}, DataError, "no column to learn from: 'a': text with"),
        (
            ["a,y", "u,0", "v,1", "w,1"],
            {"features": ["a"]},
            ConfigError,
            "data.features[0]: 'a' can't be used: text with a different value",
        ),
        (
            ["a,y", *[f"{n},{n % 2}" for n in range(9)], "?,1"],
            {},
            DataError,
            "{t}, line 11: column 'a' has '?' where a number is expected",
        ),
    ],
)
def test_data_that_does_not_fit_is_refused(
    lines: list[str],
    data: dict[str, object],
    error: type[Exception],
    message: str,
    load: Load,
    table: WriteTable,
) -> None:
    path = table(*lines)
    settings = {"path": str(path), "target": "y", **data}
    loaded = load(settings.pop("path"), settings.pop("target"), data=settings)
    with pytest.raises(error) as caught:
        load_dataset(loaded)
    assert message.format(t=path) in str(caught.value)


def test_the_data_that_was_made_is_made_again_byte_for_byte(tmp_path: Path) -> None:
    from data import make

    make.HERE = tmp_path
    make.main()
    files = [*tmp_path.glob("*.csv"), *tmp_path.glob("*.jsonl")]
    for file in files:
        assert file.read_bytes() == (ROOT / "data" / file.name).read_bytes()
    shipped = {file.name for kind in ("csv", "jsonl") for file in (ROOT / "data").glob(f"*.{kind}")}
    copied = {"penguins.csv", "elnino.csv"}  # by hand, and where statsmodels is installed
    assert shipped - {file.name for file in files} <= copied


def test_every_file_has_the_checksum_that_its_readme_states() -> None:
    import hashlib

    readme = (ROOT / "data" / "README.md").read_text()
    files = [*(ROOT / "data").glob("*.csv"), *(ROOT / "data").glob("*.jsonl")]
    assert files
    for file in files:
        assert hashlib.sha256(file.read_bytes()).hexdigest() in readme


def test_a_label_that_looks_like_a_number_is_the_same_label_in_another_file(
    load: Load, table: WriteTable
) -> None:
    # Each value of `size` is a label, as one of them is no number; below they all look like some.
    train = table("size,y", *["1.50,0", "2.0,1", "XL,1"] * 5)
    table("size,y", "1.50,0", "2.0,1", name="watch.csv")
    dataset = load_dataset(load(train, "y", data={"validation_path": "watch.csv"}))
    assert [report.kind for report in dataset.columns] == ["categorical"]
    assert dataset.parts["validation"].inputs["numbers"].tolist() == [[1, 0, 0], [0, 1, 0]]


@pytest.mark.parametrize("streaming", [False, True])
def test_parts_come_in_their_order_whichever_file_they_are_from(
    streaming: bool, load: Load, table: WriteTable
) -> None:
    path = table("x,y", *[f"{row},{row % 2}" for row in range(40)])
    table("x,y", *[f"{row},{row % 2}" for row in range(50, 60)], name="watch.csv")
    data = {"validation_path": "watch.csv", "split": {"test": 0.25}, "streaming": streaming}
    loaded = load(path, "y", data=data)
    dataset, tables = load_dataset(loaded), load_tables(loaded, 5)
    assert (*dataset.num_rows,) == (*tables,) == PARTS
    assert (*dataset.parts,) == (() if streaming else PARTS)
    assert {len(rows) for rows in tables.values()} == {5}
    assert tables["validation"].numbers[0] == 2
    assert tables["validation"].numbers[-1] == (6 if streaming else 11)


def test_numbers_are_the_same_where_the_config_names_the_kinds(load: Load, penguins: Path) -> None:
    inferred = load_dataset(load(penguins, "species"))
    kinds = {report.name: report.kind for report in inferred.columns}
    named = load_dataset(load(penguins, "species", data={"kinds": kinds}))
    assert named.fitted == inferred.fitted
    for name, part in inferred.parts.items():
        for field, values in part.inputs.items():
            assert named.parts[name].inputs[field].tobytes() == values.tobytes()


@pytest.mark.parametrize("kind", ["numeric", "categorical", "boolean", "datetime"])
def test_a_column_without_any_value_is_said_to_be_of_no_use(
    kind: str, load: Load, table: WriteTable
) -> None:
    path = table("x,gone,y", *[f"{row},,{row % 2}" for row in range(20)])
    notes = load_dataset(load(path, "y", data={"kinds": {"gone": kind}})).notes
    assert "the same value in every training row, so of no use: gone" in notes


def test_a_number_can_stand_for_a_missing_value(load: Load, table: WriteTable) -> None:
    path = table("x,y", *["1,0", "-999,1", "3,1", "2,0"] * 5)
    dataset = load_dataset(load(path, "y", data={"missing_values": ["-999"]}))
    assert [report.num_missing for report in dataset.columns] == [5]
    assert dataset.parts["train"].inputs["numbers"].shape == (20, 2)  # with an indicator


def test_a_large_file_is_refused_as_a_small_one_is(
    dlcli: Command, write_config: WriteConfig
) -> None:
    rows = [f"{row % 7}.0000000000000000,{row % 2}" for row in range(250_000)]
    rows[200_000] = "?,1"
    path = Path("large.csv")
    path.write_text("\n".join(["x,y", *rows]) + "\n", encoding="utf-8")
    outcome = dlcli("train", write_config(path.absolute(), "y", data={"kinds": {"x": "numeric"}}))
    assert outcome.code == 3
    assert "large.csv, line 200002: column 'x' has '?' where a number is expected" in outcome.err
