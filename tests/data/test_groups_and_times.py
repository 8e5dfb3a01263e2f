"""No group in two parts, no later row before an earlier one, held and streamed."""

import tempfile
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlcli.config import LoadedConfig, load_config
from dlcli.data.dataset import Dataset, load_dataset, load_tables, open_stream
from dlcli.data.splits import times
from dlcli.data.splits.groups import split_by_groups
from dlcli.data.splits.times import TimeReader
from dlcli.errors import ConfigError, DataError
from dlcli.tables.table import Table
from tests.data.test_streaming import blocks_of, streamed

WriteTable = Callable[..., Path]
Load = Callable[..., LoadedConfig]


def as_table(**columns: Any) -> Table:
    frame = pl.DataFrame(columns)
    return Table(frame, "t.csv", np.arange(2, len(frame) + 2), "line", ("", "NA"))


def load_with(folder: Path, frame: pl.DataFrame, split: str, **data: Any) -> LoadedConfig:
    frame.write_csv(folder / "t.csv")
    more = "".join(f", {key}: {value}" for key, value in data.items())
    (folder / "c.yaml").write_text(
        f"data: {{path: t.csv, target: y, task: regression, split: {split}{more}}}\n"
        "model: {layers: [{type: dense}]}\n"
    )
    return load_config(folder / "c.yaml")


def parts_of(loaded: LoadedConfig, column: str) -> dict[str, list[Any]]:
    """Return the cells of a column in each part, as the file has them."""
    return {name: table.column(column).to_list() for name, table in load_tables(loaded).items()}


@st.composite
def grouped(draw: st.DrawFn) -> pl.DataFrame:
    sizes = draw(st.lists(st.integers(1, 9), min_size=3, max_size=12))
    names = draw(st.permutations([name for name, size in enumerate(sizes) for _ in range(size)]))
    return pl.DataFrame(
        {"x": range(len(names)), "g": [f"p {name}" for name in names], "y": range(len(names))}
    )


@settings(max_examples=25, deadline=None)
@given(frame=grouped(), shares=st.sampled_from([(0.2, 0.3), (0.0, 0.4), (0.5, 0.01)]))
def test_no_group_is_in_two_parts(frame: pl.DataFrame, shares: tuple[float, float]) -> None:
    with tempfile.TemporaryDirectory() as name:
        split = f"{{group: g, validation: {shares[0]}, test: {shares[1]}}}"
        loaded = load_with(Path(name), frame, split)
        held = parts_of(loaded, "g")
        wanted = [part for part, share in zip(("validation", "test"), shares, strict=True) if share]
        assert set(held) == {"train", *wanted}
        with blocks_of(60):
            found = [held, parts_of(streamed(loaded), "g")]
        for parts in found:
            groups = [group for cells in parts.values() for group in set(cells)]
            assert len(groups) == len(set(groups)) == frame["g"].n_unique()
            assert sum(map(len, parts.values())) == len(frame)


@settings(max_examples=25, deadline=None)
@given(
    hours=st.lists(st.integers(0, 40), min_size=6, max_size=60),
    is_dated=st.booleans(),
    shares=st.sampled_from([(0.2, 0.3), (0.0, 0.4), (0.5, 0.01)]),
)
def test_no_later_row_is_before_an_earlier_one(
    hours: list[int], is_dated: bool, shares: tuple[float, float]
) -> None:
    hours = [*hours, 100, 101, 102]
    first = datetime(2024, 2, 28)
    cells = [(first + timedelta(hours=hour)).isoformat() if is_dated else hour for hour in hours]
    frame = pl.DataFrame({"x": range(len(hours)), "t": cells, "y": range(len(hours))})
    with tempfile.TemporaryDirectory() as name:
        split = f"{{time: t, validation: {shares[0]}, test: {shares[1]}}}"
        loaded = load_with(Path(name), frame, split)
        held = {part: set(map(int, rows)) for part, rows in parts_of(loaded, "x").items()}
        with blocks_of(60):
            found = parts_of(streamed(loaded), "x")
        assert {part: set(map(int, rows)) for part, rows in found.items()} == held
        later = 1000
        for part in ("test", "validation", "train"):
            if part in held:
                ours = [hours[row] for row in held[part]]
                assert max(ours) < later
                later = min(ours)
        assert sum(map(len, held.values())) == len(hours)


class TestGroups:
    def test_shares_are_as_near_as_whole_groups_allow(self) -> None:
        sizes = [50, 30, 20, *[5] * 20]
        groups = np.repeat(np.arange(len(sizes)), sizes)
        split = split_by_groups(
            as_table(g=groups), "g", validation=0.1, test=0.2, seed=0, strata=None
        )
        assert len(split.test) == 40
        assert len(split.validation) == 20

    def test_classes_have_their_shares(self) -> None:
        groups = np.repeat(np.arange(60), 5)
        strata = np.where(groups < 20, 1, 0)  # each group is of one class
        split = split_by_groups(
            as_table(g=groups), "g", validation=0.2, test=0.2, seed=1, strata=strata
        )
        for rows in (split.validation, split.test):
            assert np.bincount(strata[rows]).tolist() == [40, 20]

    def test_seeds_draw_different_groups(self) -> None:
        table = as_table(g=np.repeat(np.arange(30), 4))
        drawn = [
            split_by_groups(table, "g", validation=0, test=0.3, seed=seed, strata=None).test
            for seed in (1, 1, 2)
        ]
        assert drawn[0].tolist() == drawn[1].tolist() != drawn[2].tolist()

    def test_one_and_one_point_nought_are_one_group(self, table: WriteTable, load: Load) -> None:
        lines = [f"{row},{'1' if row % 2 else '1.0'},{row}" for row in range(20)]
        loaded = load(
            table("x,g,y", *lines),
            "y",
            data={"split": {"group": "g", "test": 0.5}, "task": "regression"},
        )
        with pytest.raises(DataError, match="'g' has 1 group, too few for the parts train, test"):
            load_dataset(loaded)

    def test_a_group_is_the_same_in_every_format(self, table: WriteTable, load: Load) -> None:
        file = table("x,g,y", *[f"{row},{row // 4 % 40}.0,{row}.5" for row in range(400)])
        pl.read_csv(file).with_columns(pl.col("g").cast(pl.Int32)).write_parquet("same.parquet")
        data = {"split": {"group": "g", "test": 0.3}}
        for streaming in (False, True):
            one, other = (
                parts_of(load(path, "y", data={**data, "streaming": streaming}), "x")
                for path in (file, Path("same.parquet").absolute())
            )
            assert [float(x) for x in one["test"]] == [float(x) for x in other["test"]]

    @pytest.mark.parametrize("streaming", [False, True])
    def test_rows_without_a_group_are_groups_of_their_own_and_said(
        self, streaming: bool, table: WriteTable, load: Load
    ) -> None:
        lines = [f"{row},{f'p{row % 30}' if row >= 100 else 'NA'},{row}.5" for row in range(400)]
        data = {"split": {"group": "g", "test": 0.5}, "streaming": streaming}
        file = table("x,g,y", *lines)
        dataset = load_dataset(load(file, "y", data=data))
        assert dataset.num_rows["test"] == pytest.approx(200, abs=60)
        note = next(note for note in dataset.notes if "have no 'g'" in note)
        assert note.startswith(f"100 of 400 rows have no 'g', the first one at {file}, line 2:")

    def test_a_group_falls_into_the_same_part_in_any_file(
        self, table: WriteTable, load: Load
    ) -> None:
        lines = [f"{row},p{row // 4},{row}.5" for row in range(400)]
        data = {"split": {"group": "g", "test": 0.3}, "streaming": True}
        first, other = (
            parts_of(load(table("x,g,y", *some), "y", data=data), "g")
            for some in (lines, lines[:-200:-1])
        )
        assert set(other["test"]) < set(first["test"])
        assert len(first["test"]) == pytest.approx(120, abs=50)

    def test_the_groups_are_no_feature_unless_they_are_named(
        self, table: WriteTable, load: Load
    ) -> None:
        file = table("x,g,y", *[f"{row},{row // 4},{row}.5" for row in range(40)])
        data: dict[str, Any] = {"split": {"group": "g", "test": 0.5}}
        dataset = load_dataset(load(file, "y", data=data))
        assert features(dataset) == ["x"]
        assert "'g' is no feature, as it is data.split.group (data.features)" in dataset.notes
        counts = "each 'g' is in one part only: 5 train, 5 test (data.split.group)"
        assert counts in dataset.notes
        both = load_dataset(load(file, "y", data={**data, "features": ["x", "g"]}))
        assert features(both) == ["x", "g"]

    def test_streamed_groups_too_few_for_a_part_are_refused(
        self, table: WriteTable, load: Load
    ) -> None:
        file = table("x,g,y", *[f"{row},p,{row}.5" for row in range(40)])
        data = {"split": {"group": "g", "test": 0.5}, "streaming": True}
        with pytest.raises(DataError, match="too few groups for the split: none of 'g' fell to"):
            load_dataset(load(file, "y", data=data))


def features(dataset: Dataset) -> list[str]:
    return [column.name for column in dataset.fitted.columns]


DAYS = [f"2024-01-{day:02d}" for day in range(1, 29)]


class TestTimes:
    def frame(self) -> pl.DataFrame:
        order = np.random.default_rng(0).permutation(28)
        return pl.DataFrame({"x": order, "day": [DAYS[day] for day in order], "y": order + 0.5})

    def test_the_latest_rows_test_and_that_is_said(self, tmp_path: Path) -> None:
        split = "{time: day, validation: 0.25, test: 0.25}"
        loaded = load_with(tmp_path, self.frame(), split)
        parts = parts_of(loaded, "day")
        assert sorted(parts["test"]) == DAYS[21:]
        assert sorted(parts["validation"]) == DAYS[14:21]
        dataset = load_dataset(loaded)
        assert features(dataset) == ["x"]
        assert "test rows: 'day' from 2024-01-22 on (data.split.time)" in dataset.notes
        assert "validation rows: 'day' from 2024-01-15 on (data.split.time)" in dataset.notes
        assert "'day' is no feature, as it is data.split.time (data.features)" in dataset.notes

    @pytest.mark.parametrize("streaming", ["true", "false"])
    @pytest.mark.parametrize(
        ("cells", "message"),
        [
            (["2024-01-05", ""], r"t\.csv, line 3: the time 'day' is missing here"),
            (["2024-01-05", "soon"], r"t\.csv, line 3: the time 'day' has 'soon' where a date or"),
            (["7", "2024-01-05"], r"t\.csv, line 3: the time 'day' has '2024-01-05' where a num"),
            (["7", "7"], "'day' has 1 different time, too few for the parts train, test"),
        ],
    )
    def test_rows_without_a_time_are_refused(
        self, cells: list[str], message: str, streaming: str, tmp_path: Path
    ) -> None:
        frame = pl.DataFrame({"x": [1, 2], "day": cells, "y": [1.5, 2]})
        loaded = load_with(tmp_path, frame, "{time: day, test: 0.5}", streaming=streaming)
        with pytest.raises(DataError, match=message):
            load_dataset(loaded)

    @pytest.mark.parametrize("streaming", [False, True])
    def test_a_class_that_comes_too_late_is_refused_and_the_repairs_work(
        self, streaming: bool, table: WriteTable, load: Load
    ) -> None:
        lines = [f"{row},{row},{'ab'[row % 2] if row < 36 else 'c'}" for row in range(40)]
        data = {"split": {"time": "t", "test": 0.2}, "streaming": streaming}
        message = r"the class 'c' of 'y' is not among .*; remove its rows, or have some of them"
        with pytest.raises(DataError, match=message):
            load_dataset(load(table("x,t,y", *lines), "y", data=data))
        assert load_dataset(load(table("x,t,y", *lines[:36]), "y", data=data))
        smaller = {**data, "split": {"time": "t", "test": 0.05}}
        assert load_dataset(load(table("x,t,y", *lines), "y", data=smaller))

    def test_rows_of_one_time_stay_together(self, tmp_path: Path) -> None:
        day = [1, 1, 1, 1, 2, 2, 2, 3, 3, 3]
        frame = pl.DataFrame({"x": range(10), "day": day, "y": range(10)})
        parts = parts_of(load_with(tmp_path, frame, "{time: day, test: 0.5}"), "day")
        assert set(map(int, parts["test"])) == {2, 3}

    def test_a_stream_finds_the_same_rows_again(self, tmp_path: Path) -> None:
        loaded = streamed(load_with(tmp_path, self.frame(), "{time: day, test: 0.25}"))
        with blocks_of(50):
            dataset = load_dataset(loaded)
            assert dataset.stream is not None
            assert open_stream(loaded).cuts == dataset.stream.cuts is not None

    def test_many_times_are_chosen_from_a_sample(self) -> None:
        """The bound of the error is levels / max_times: 8 / 1000."""
        moments = np.random.default_rng(3).permutation(np.arange(100_000.0))
        reader = TimeReader("t", max_times=1000)
        for block in np.split(moments, 100):
            reader.add(as_table(t=block))
        assert sum(map(len, reader.levels)) < 10_000
        other = TimeReader("t", max_times=1000)
        for block in np.split(moments, [10, 30_000, 30_001]):
            other.add(as_table(t=block))
        assert [level.tolist() for level in other.levels] == [x.tolist() for x in reader.levels]
        cuts = reader.cuts("t.csv", validation=0.1, test=0.2)
        assert not cuts.is_exact
        assert any("by a sample of the times" in note for note in cuts.notes("t"))
        split = cuts.split(moments)
        assert len(split.test) == pytest.approx(20_000, abs=800)
        assert len(split.validation) == pytest.approx(10_000, abs=800)

    def test_held_times_are_never_sampled(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(times, "MAX_EXACT_TIMES", 4)
        loaded = load_with(tmp_path, self.frame(), "{time: day, test: 0.25}")
        assert sorted(parts_of(loaded, "day")["test"]) == DAYS[21:]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"split": {"group": "g", "time": "t", "test": 0.5}}, "give either `group` or `time`"),
        ({"split": {"group": "g"}}, "`group` does nothing without fractions"),
        ({"split": {"time": "t", "column": "c"}}, "give either `column` or `time`"),
        ({"split": {"time": "t", "test": 0.5, "seed": 1}}, "`seed` does nothing with `time`"),
        ({"split": {"group": "y", "test": 0.5}}, "the target 'y' can't be `split.group` too"),
        (
            {"split": {"group": "g", "test": 0.5}, "validation_path": "v.csv"},
            "put the rows of validation_path into `path`",
        ),
        ({"keep": ["y"]}, "the target 'y' is listed in `keep`"),
        ({"keep": ["x"], "features": ["x"]}, "'x' is listed in `keep`, for columns that are no"),
        ({"keep": ["x", "x"]}, "`keep` has duplicates: x"),
    ],
)
def test_roles_that_contradict_each_other_are_refused(
    data: dict[str, Any], message: str, table: WriteTable, load: Load
) -> None:
    with pytest.raises(ConfigError, match=message):
        load(table("x,y", "1,2"), "y", data=data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"keep": ["nam"]}, r"data\.keep\[0\]: .* has no column 'nam'; did you mean 'name'"),
        (
            {"split": {"group": "nme", "test": 0.5}},
            r"data\.split\.group: .* has no column 'nme'; did you mean 'name'",
        ),
        (
            {"keep": ["name"], "kinds": {"name": "categorical"}},
            r"'name' is no feature \(data\.keep\)",
        ),
    ],
)
def test_roles_of_columns_that_are_not_there_are_refused(
    data: dict[str, Any], message: str, table: WriteTable, load: Load
) -> None:
    file = table("x,name,y", *[f"{row},n,{row}.5" for row in range(9)])
    loaded = load(file, "y", data=data)
    for some in (loaded, streamed(loaded)):
        with pytest.raises(ConfigError, match=message):
            load_dataset(some)
