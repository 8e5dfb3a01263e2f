"""Folds: every row held out once, classes spread, groups whole, times forward, fitted anew."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlcli.columns.numeric import NumericColumn
from dlcli.config import LoadedConfig, load_config
from dlcli.data.dataset import load_tables
from dlcli.data.folding.cutting import Fold, chain_folds, draw_folds, draw_group_folds
from dlcli.data.folding.rows import FoldedRows, fold_rows
from dlcli.errors import ConfigError, DataError, DlcliError


def load_with(folder: Path, frame: pl.DataFrame, **data: Any) -> LoadedConfig:
    frame.write_csv(folder / "t.csv")
    more = "".join(f", {key}: {value}" for key, value in data.items())
    (folder / "c.yaml").write_text(
        f"data: {{path: t.csv, target: y{more}}}\nmodel: {{layers: [{{type: dense}}]}}\n"
    )
    return load_config(folder / "c.yaml")


def made(num_rows: int = 60, **columns: Any) -> pl.DataFrame:
    random = np.random.default_rng(3)
    return pl.DataFrame(
        {
            "x": random.normal(size=num_rows).round(4),
            "y": [("a", "b", "b")[row % 3] for row in range(num_rows)],
            **columns,
        }
    )


def check_held_out_once(folds: list[Fold], num_rows: int) -> None:
    assert sorted(row for fold in folds for row in fold.validation) == [*range(num_rows)]
    for fold in folds:
        assert sorted([*fold.train, *fold.validation]) == [*range(num_rows)]


@settings(max_examples=12, deadline=None)
@given(
    classes=st.lists(st.integers(0, 3), min_size=10, max_size=90),
    num_folds=st.integers(2, 5),
    seed=st.integers(0, 9),
)
def test_folds_have_as_many_rows_and_as_many_of_each_class_to_within_one(
    classes: list[int], num_folds: int, seed: int
) -> None:
    strata = np.array(classes)
    folds = draw_folds(len(strata), num_folds, seed=seed, strata=strata)
    check_held_out_once(folds, len(strata))
    sizes = [len(fold.validation) for fold in folds]
    assert max(sizes) - min(sizes) <= 1
    for one in set(classes):
        counts = [int((strata[fold.validation] == one).sum()) for fold in folds]
        assert max(counts) - min(counts) <= 1


def test_another_seed_cuts_other_folds() -> None:
    first, again, other = (draw_folds(50, 5, seed=seed, strata=None) for seed in (1, 1, 2))
    assert [[*fold.validation] for fold in first] == [[*fold.validation] for fold in again]
    assert [[*fold.validation] for fold in first] != [[*fold.validation] for fold in other]


@settings(max_examples=12, deadline=None)
@given(sizes=st.lists(st.integers(1, 9), min_size=6, max_size=40), num_folds=st.integers(2, 5))
def test_groups_stay_whole_and_folds_are_nearly_as_large(sizes: list[int], num_folds: int) -> None:
    groups = np.repeat(np.arange(len(sizes)), sizes)
    strata = groups % 2
    folds = draw_group_folds(groups, num_folds, seed=0, strata=strata)
    check_held_out_once(folds, len(groups))
    for fold in folds:
        assert len(fold.validation)
        assert not {*groups[fold.train]} & {*groups[fold.validation]}
    if len(sizes) >= 4 * num_folds:
        rows = [len(fold.validation) for fold in folds]
        assert max(rows) - min(rows) <= 2 * max(sizes)


@settings(max_examples=12, deadline=None)
@given(hours=st.lists(st.integers(0, 30), min_size=8, max_size=60), num_folds=st.integers(2, 5))
def test_each_fold_holds_out_later_times_than_it_trains_on(
    hours: list[int], num_folds: int
) -> None:
    times = np.array(hours, np.float64)
    if len({*hours}) <= num_folds:
        return
    folds = chain_folds(times, num_folds)
    assert len(folds) == num_folds
    for fold, later in zip(folds, [*folds[1:], None], strict=True):
        assert len(fold.train)
        assert len(fold.validation)
        assert times[fold.train].max() < times[fold.validation].min()
        if later is not None:
            assert sorted([*fold.train, *fold.validation]) == [*later.train]
    if len({*hours}) == len(hours):
        rows = [len(folds[0].train), *(len(fold.validation) for fold in folds)]
        assert max(rows) - min(rows) <= 1


@pytest.fixture(scope="module")
def folded(tmp_path_factory: pytest.TempPathFactory) -> FoldedRows:
    """3 folds twice; the category rare is in one row, so in some folds no row trains with it."""
    names = ["often", "usual", *["often"] * 29, "rare", *["usual"] * 28]
    frame = made(c=names)
    split = "{validation: 0.25, test: 0.2}"
    loaded = load_with(tmp_path_factory.mktemp("folded"), frame, split=split)
    return fold_rows(loaded, 3, 2)


def test_the_test_rows_are_those_of_a_plain_run_and_all_others_are_folded(
    folded: FoldedRows,
) -> None:
    tables = load_tables(folded.loaded)
    assert folded.test_rows is not None
    assert folded.test_rows.numbers.tolist() == tables["test"].numbers.tolist()
    others = [*tables["train"].numbers, *tables["validation"].numbers]
    assert folded.rows.numbers.tolist() == sorted(others)
    assert folded.num_repeats == 2
    assert folded.held_out.all()
    for repeat in (folded.folds[:3], folded.folds[3:]):
        check_held_out_once([*repeat], len(others))
    firsts = [{*fold.validation.tolist()} for fold in (folded.folds[0], folded.folds[3])]
    assert firsts[0] != firsts[1]


def test_everything_is_fitted_to_the_training_rows_of_each_fold(folded: FoldedRows) -> None:
    widths = set()
    for number, fold in enumerate(folded.folds[:3]):
        data = folded.dataset(number, with_test=True)
        assert data.num_rows == {"train": len(fold.train), "validation": len(fold.validation)} | {
            "test": len(folded.test_rows or ())
        }
        cells = folded.rows.frame["x"].cast(pl.Float64).to_numpy()[fold.train]
        scaled, category = data.fitted.columns
        assert isinstance(scaled, NumericColumn)
        assert scaled.center == pytest.approx(cells.mean())
        counted = Counter(folded.rows.frame["y"].gather(fold.train))
        assert data.fitted.target.class_counts == (counted["a"], counted["b"])
        trained = {*folded.rows.frame["c"].gather(fold.train)}
        assert set(getattr(category, "categories", ())) == trained
        widths.add(category.num_slots)
    assert widths == {2, 3}


def test_repeats_by_time_are_the_same_folds(tmp_path: Path) -> None:
    split = "{time: t, test: 0.2}"
    loaded = load_with(tmp_path, made(t=[*range(60)]), split=split)
    rows = fold_rows(loaded, 3, 2)
    assert [fold.validation.tolist() for fold in rows.folds[:3]] == [
        fold.validation.tolist() for fold in rows.folds[3:]
    ]
    assert rows.held_out.sum() == 36  # of 48: the first quarter is in no fold


REFUSED: dict[str, tuple[dict[str, Any], int, str, int]] = {
    "few rows": (
        {"frame": made(9)},
        5,
        "t.csv: 9 rows besides the test rows are too few for 5 folds, which hold out at least 2 "
        "each; take at most 4 folds, or add rows",
        4,
    ),
    "few groups": (
        {"frame": made(g=[row // 20 for row in range(60)]), "split": "{group: g, test: 0.3}"},
        3,
        "'g' has 2 groups besides the test rows, and so many folds need 3: take at most 2 folds",
        2,
    ),
    "few times": (
        {"frame": made(t=[row // 15 for row in range(60)]), "split": "{time: t, test: 0.2}"},
        3,
        "'t' has 3 different times besides the test rows, and so many folds need 4: take at most "
        "2 folds",
        2,
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_too_few_rows_are_refused_and_fewer_folds_are_taken(name: str, tmp_path: Path) -> None:
    data, num_folds, message, fewer = REFUSED[name]
    loaded = load_with(tmp_path, **data)
    with pytest.raises(DataError) as error:
        fold_rows(loaded, num_folds)
    assert message in str(error.value)
    assert len(fold_rows(loaded, fewer).folds) == fewer


@pytest.mark.parametrize(
    ("split", "message"),
    [
        (None, "the class 'c' of 'y' is in one row only"),
        ("{group: g, test: 0.2}", "the class 'c' of 'y' is in too few of 'g'"),
        ("{time: x, test: 0.2}", "the class 'c' of 'y' comes only at times of 'x' that are held"),
    ],
)
def test_a_class_that_a_fold_would_not_train_on_is_refused(
    split: str | None, message: str, tmp_path: Path
) -> None:
    rare = ["c", "c"] if split is not None and "group" in split else ["c"]
    classes = [*["a", "b"] * 20, *rare]
    frame = pl.DataFrame(
        {
            "x": [*range(len(classes))],
            "g": [*[row % 8 for row in range(40)], *[9] * len(rare)],
            "y": classes,
        }
    )
    if split is not None and "time" in split:  # the latest row that is no test row
        is_rare = pl.col("y") == "c"
        frame = frame.with_columns(
            pl.when(is_rare).then(30.5).otherwise(pl.col("x").cast(pl.Float64)).alias("x"),
            z=pl.col("g"),
        )
    more = {} if split is None else {"split": split}
    loaded = load_with(tmp_path, frame, **more)
    with pytest.raises(DataError, match=message):
        fold_rows(loaded, 3)
    without = load_with(tmp_path, frame.filter(pl.col("y") != "c"), **more)
    assert len(fold_rows(without, 3).folds) == 3


def test_files_that_validate_are_refused_and_listed_instead(tmp_path: Path) -> None:
    made().write_csv(tmp_path / "v.csv")
    with pytest.raises(ConfigError, match=r"data.validation_path: folds are cut from the rows of"):
        fold_rows(load_with(tmp_path, made(), validation_path="v.csv"), 3)
    loaded = load_with(tmp_path, made())
    data = loaded.document.data
    (tmp_path / "c.yaml").write_text(
        "data: {path: [t.csv, v.csv], target: y}\nmodel: {layers: [{type: dense}]}\n"
    )
    assert data is not None
    assert len(fold_rows(load_config(tmp_path / "c.yaml"), 3).rows) == 120


def test_streamed_rows_are_refused(tmp_path: Path) -> None:
    loaded = load_with(tmp_path, made(), streaming="true")
    with pytest.raises(DlcliError, match=r"data.streaming: folds need the rows in memory"):
        fold_rows(loaded, 3)
    assert len(fold_rows(load_with(tmp_path, made(), streaming="false"), 3).folds) == 3
