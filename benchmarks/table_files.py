"""Tables that programs are measured on: where they come from, and their outer splits."""

import hashlib
import importlib.util
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
import yaml
from sklearn import datasets

Task = Literal["classes", "numbers"]
Role = Literal["judge", "choose", "time"]  # time: a made table, of which only seconds are asked
LIST = "tables.yaml"
MIN_CLASS_ROWS = 10  # rows of rarer classes are left out: not every split would have some to train
_TEST_SHARE = 0.2
_MAX_NUMBERED_CLASSES = 20  # of whole numbers: more of them are a regression's target
_CHOOSING = (
    100  # the first seed of the splits that rules are chosen on; those that judge begin at 0
)
# Tables in ISLP's package: the target, and what tells it or only numbers the rows.
ISLP: dict[str, tuple[str, list[str]]] = {
    "Auto": ("mpg", []),
    "Bikeshare": ("bikers", ["casual", "registered"]),
    "Boston": ("medv", []),
    "Caravan": ("Purchase", []),
    "Carseats": ("Sales", []),
    "College": ("Apps", []),
    "Credit": ("Balance", ["ID"]),
    "Default": ("default", []),
    "Hitters": ("Salary", []),
    "OJ": ("Purchase", []),
    "Wage": ("wage", ["logwage"]),
}
# Tables in statsmodels' package, likewise, with the separator of the file.
STATSMODELS: dict[str, tuple[str, list[str], str]] = {
    "anes96": ("vote", [], "\t"),
    "ccard": ("AVGEXP", [], ","),
    "fair": ("rate_marriage", [], ","),
    "randhie": ("mdvis", [], ","),
    "star98": ("PR50M", ["MATHTOT"], ","),
    "statecrime": ("violent", ["state"], ","),
}
PACKAGED = ("breast_cancer", "diabetes", "digits", "iris", "wine")  # in scikit-learn's package


@dataclass(frozen=True)
class BenchmarkTable:
    """A table with its target, nothing of it left to be recognised."""

    name: str
    frame: pl.DataFrame  # numbers, or text; null where missing
    target: str
    task: Task
    role: Role

    @property
    def categorical(self) -> list[str]:
        """The features that are text."""
        features = self.frame.drop(self.target)
        return [name for name, kind in features.schema.items() if kind == pl.String]

    @property
    def digest(self) -> str:
        """What its content is told by."""
        text = self.frame.write_csv() + self.target + self.task
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def split(self, number: int) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Return the rows to train on and a fifth to test on, each class in both in its share.

        A split's number is the same rows for every program.
        """
        seed = number + (_CHOOSING if self.role == "choose" else 0)
        random = np.random.default_rng([seed, int(self.digest, 16)])
        if self.task == "numbers":
            groups = [np.arange(len(self.frame))]
        else:
            labels = self.frame[self.target].to_numpy()
            groups = [np.flatnonzero(labels == label) for label in np.unique(labels)]
        is_test = np.zeros(len(self.frame), dtype=bool)
        for rows in groups:
            drawn = random.permutation(rows)
            is_test[drawn[: max(1, round(_TEST_SHARE * len(rows)))]] = True
        return self.frame.filter(~is_test), self.frame.filter(is_test)


def packaged_tables() -> Iterator[BenchmarkTable]:
    """Yield the tables in scikit-learn's package and, where they are installed, in two others."""
    for name in PACKAGED:
        loaded = getattr(datasets, f"load_{name}")()
        columns = dict(zip(map(str, loaded.feature_names), loaded.data.T, strict=True))
        is_number = name == "diabetes"
        labels = loaded.target if is_number else [f"class {label}" for label in loaded.target]
        frame = pl.DataFrame({**columns, "target": labels})
        yield BenchmarkTable(name, frame, "target", "numbers" if is_number else "classes", "judge")
    for folder in _package_folders("ISLP"):
        for file, (target, dropped) in ISLP.items():
            entry = {"file": f"{file}.csv", "target": target, "missing": ["", "NA", "?"]}
            yield _read(folder / "data", {**entry, "drop": dropped})
    for folder in _package_folders("statsmodels"):
        for name, (target, dropped, separator) in STATSMODELS.items():
            entry = {"file": f"{name}.csv", "target": target, "separator": separator}
            yield _read(folder / "datasets" / name, {**entry, "drop": dropped})


def _package_folders(name: str) -> Iterator[Path]:
    """Yield the folder of a package; it is not imported, which would take seconds."""
    found = importlib.util.find_spec(name)
    for folder in (found.submodule_search_locations or ()) if found else ():
        yield Path(folder)


def timed_table() -> BenchmarkTable:
    """Return a made table of 20 numbers and two classes, of which 10,000 rows train."""
    random = np.random.default_rng(0)
    x = random.normal(size=(12_500, 20))
    above = np.sin(2 * x[:, 0]) + x[:, 1] * x[:, 2] + 0.5 * random.normal(size=len(x)) > 0
    columns = {f"x{place}": column for place, column in enumerate(x.T)}
    frame = pl.DataFrame({**columns, "y": np.where(above, "above", "below")})
    return BenchmarkTable("made", frame, "y", "classes", "time")


def listed_tables(folder: Path) -> Iterator[BenchmarkTable]:
    """Yield the tables that the folder's tables.yaml lists.

    It is a list of mappings: `file`, or a list of files whose rows belong together; `target`, a
    column's name or, counted from 1, its place; `header: false` where the first line is no names;
    `separator`, by default a comma;
    `task: classes | numbers`, by default numbers where the target is more than 20 different ones;
    `missing`, the texts that mean a missing value, by default ? and nothing; `drop`, columns to
    leave out; `role: choose` for tables that rules are chosen on; `name`, by default the file's.
    """
    text = (folder / LIST).read_text(encoding="utf-8")
    for entry in yaml.safe_load(text):
        yield _read(folder, entry)


def _read(folder: Path, entry: dict[str, Any]) -> BenchmarkTable:
    files = entry["file"] if isinstance(entry["file"], list) else [entry["file"]]
    parts = [
        pl.read_csv(
            folder / file,
            separator=entry.get("separator", ","),
            has_header=entry.get("header", True),
            infer_schema=False,
        )
        for file in files
    ]
    frame = pl.concat(parts)
    frame.columns = [name.strip("'") for name in frame.columns]
    if not entry.get("header", True):
        frame.columns = [f"column_{place}" for place in range(1, frame.width + 1)]
    frame = _typed(frame.drop(entry.get("drop", []), strict=False), entry.get("missing", ["?", ""]))
    target = entry["target"]
    name = frame.columns[target - 1] if isinstance(target, int) else target
    frame = frame.filter(pl.col(name).is_not_null())
    task: Task = entry.get("task") or _task(frame[name])
    if task == "classes":
        frame = frame.with_columns(pl.format("class {}", pl.col(name)))
        frame = frame.filter(pl.len().over(name) >= MIN_CLASS_ROWS)
    title = entry.get("name", Path(files[0]).stem)
    return BenchmarkTable(title, frame, name, task, entry.get("role", "judge"))


def _typed(frame: pl.DataFrame, missing: Sequence[str]) -> pl.DataFrame:
    """Return cells without blanks around them, null where missing, numbers where all are."""
    frame = frame.select(pl.all().str.strip_chars().str.strip_chars("'"))
    frame = frame.select(pl.when(~pl.all().is_in(list(missing))).then(pl.all()))
    columns = []
    for column in frame:
        numbers = column.cast(pl.Float64, strict=False)
        columns.append(numbers if numbers.null_count() == column.null_count() else column)
    return pl.DataFrame(columns)


def _task(target: pl.Series) -> Task:
    is_number = target.dtype.is_numeric() and target.n_unique() > _MAX_NUMBERED_CLASSES
    return "numbers" if is_number else "classes"
