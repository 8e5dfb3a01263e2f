"""RealMLP and TabM from the shipped configs, beside the packages that they come from.

    python -m benchmarks.parity --tables FOLDER --peers PYTHON            # measures
    python -m benchmarks.parity --tables FOLDER --report --write          # the page

On each split, both train on the same rows, stop by the same others and predict the same: log-loss,
or RMSE. RealMLP-TD is pytabkit's; TabM is the tabm package's, trained as its example does. A split
has a seed of its own for each program, so that the ratio of the mean errors has a standard error
from how it varies over the splits. Results are lines of the ledger, by which a measurement goes on.
Exits with 1 where a mean ratio is further from 1 than is asked for.
"""

import argparse
import hashlib
import json
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import polars as pl
import yaml

from benchmarks.measurement import publish
from benchmarks.parity_page import page_lines
from benchmarks.programs import PEERS, ROOT, cores
from benchmarks.table_files import BenchmarkTable
from benchmarks.table_results import Result, read_ledger
from benchmarks.tables import choose_tables, run_in, score, versions, write_spec
from dlcli.config import LoadedConfig, load_config
from dlcli.runs.predict import trained_predictor
from dlcli.runs.preparation import prepare
from dlcli.runs.training.train import train
from dlcli.tables.reading import read_table
from dlcli.tables.sources import Source

PAGE = ROOT / "docs" / "measurements" / "parity.md"
# Classes, numbers and categories; small, but not so small that errors are all noise.
TABLES = {
    "realmlp": "haberman,pima-indians-diabetes,diabetes,Carseats,Boston,german,OJ,winequality-red",
    "tabm": "haberman,recurrence,pima-indians-diabetes,diabetes,german,OJ,Carseats,auto_imports",
}


@dataclass(frozen=True)
class Pair:
    """A shipped config, and the program that it is held to."""

    config: str
    peer: str

    @property
    def ours(self) -> str:
        """What results of the config are called."""
        return f"dlcli {self.config}"

    def settings(self, table: BenchmarkTable) -> dict[str, object]:
        """Return what the config says to change for a table, beside its data."""
        found: dict[str, object] = {}
        if not table.categorical:
            found["data.one_hot_max"] = 10  # the default: as if it were not given
        if table.task == "numbers":
            found["data.task"] = "regression"  # numbers may be few, such as grades
        if self.config == "realmlp" and table.task == "numbers":
            text = (ROOT / "configs" / "realmlp.yaml").read_text("utf-8")
            for place, layer in enumerate(yaml.safe_load(text)["model"]["layers"]):
                if layer["type"] == "parametric_activation":
                    found[f"model.layers[{place}].activation"] = "mish"
            found |= {"optimizer.lr": 0.2, "loss": None}
        if self.config == "realmlp" and table.task == "classes":
            found["loss.label_smoothing"] = 0
        if self.config == "tabm" and table.task == "classes":
            found["loss"] = {"type": "cross_entropy"}
        return found


PAIRS = (Pair("realmlp", "realmlp"), Pair("tabm", "tabm"))


@dataclass(frozen=True)
class Parts:
    """The rows of a split, none of whose cells is missing."""

    train: pl.DataFrame  # those that validate among them
    validation: list[int]  # their indices
    test: pl.DataFrame

    @classmethod
    def of(cls, table: BenchmarkTable, split: int) -> "Parts":
        """Cut a fifth of the training rows off as the test rows were cut off before."""
        numbered = replace(table, frame=_filled(table).with_row_index("number"))
        train, test = numbered.split(split)
        held = replace(numbered, frame=train).split(split)[1]["number"].implode()
        validation = train["number"].is_in(held).arg_true().to_list()
        return cls(train.drop("number"), validation, test.drop("number"))


def _filled(table: BenchmarkTable) -> pl.DataFrame:
    """Return medians for missing numbers, which pytabkit takes none of, and a category for text."""
    numbers = [pl.col(name) for name in table.frame.columns if name not in table.categorical]
    filled = table.frame.with_columns(
        one.fill_null(one.median()) for one in numbers if one.meta.output_name() != table.target
    )
    return filled.with_columns(pl.col(table.categorical).fill_null("nothing"))


def load_for(
    pair: Pair, table: BenchmarkTable, parts: Parts, seed: int, folder: Path
) -> LoadedConfig:
    """Return the shipped config for the rows to train on, which are written into the folder."""
    part = pl.Series("its part", ["train"] * len(parts.train))
    part[parts.validation] = "validation"
    parts.train.with_columns(part).write_parquet(folder / "rows.parquet")
    settings = {
        "data.path": str(folder / "rows.parquet"),
        "data.target": table.target,
        "data.split": {"column": part.name},
        "data.kinds": dict.fromkeys(table.categorical, "categorical"),
        "seed": seed,
        "report": False,
        "calibration": "none",
        **pair.settings(table),
    }
    words = [f"{key}={json.dumps(value)}" for key, value in settings.items()]
    return load_config(ROOT / "configs" / f"{pair.config}.yaml", words)


def train_config(
    pair: Pair, table: BenchmarkTable, parts: Parts, seed: int, folder: Path
) -> pl.DataFrame:
    """Train the shipped config, and return its predictions for the test rows."""
    for _ in train(prepare(load_for(pair, table, parts, seed, folder)), run_dir=folder / "run"):
        pass
    parts.test.drop(table.target).write_parquet(folder / "test.parquet")
    rows = read_table(Source.of(folder / "test.parquet"))
    found = trained_predictor(folder / "run").predict(rows).frame
    prefix = "probability_"
    named = {name: name.removeprefix(prefix) for name in found.columns if name.startswith(prefix)}
    return found.select(*named).rename(named) if named else found.select("prediction")


def measure_config(pair: Pair, table: BenchmarkTable, split: int, version: str) -> Result:
    """Return the shipped config's error on a split."""
    parts, begun = Parts.of(table, split), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        found = train_config(pair, table, parts, split, Path(folder))
    seconds = time.perf_counter() - begun
    error = score(table, parts.test, found)
    return _result(table, split, pair.ours, version, error, seconds)


def measure_peer(
    pair: Pair, table: BenchmarkTable, splits: Sequence[int], version: str, peers: Path
) -> list[Result]:
    """Return the package's errors on splits, from one process: its imports take seconds."""
    all_parts = [Parts.of(table, split) for split in splits]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        words: list[Path] = []
        for split, parts in zip(splits, all_parts, strict=True):
            words += write_spec(
                table,
                (parts.train, parts.test),
                folder,
                program=pair.peer,
                seed=split,
                validation=parts.validation,
            )
        done = run_in(folder, [peers, PEERS / "on_table.py", *words], 600 * len(splits))
        lines = [json.loads(line) for line in done.splitlines() if line.startswith('{"seconds"')]
        errors = [
            score(table, parts.test, pl.read_parquet(out))
            for parts, out in zip(all_parts, words[1::2], strict=True)
        ]
    return [
        _result(table, split, pair.peer, version, error, line["seconds"])
        for split, error, line in zip(splits, errors, lines, strict=True)
    ]


def _result(
    table: BenchmarkTable, split: int, program: str, version: str, error: float, seconds: float
) -> Result:
    about = (table.name, table.digest, table.task, table.role, len(table.frame))
    return Result(*about, split, program, version, error, seconds)


def version_of(pair: Pair, tree: str) -> str:
    """Return what the code and the settings of a config are told by."""
    text = (ROOT / "configs" / f"{pair.config}.yaml").read_text("utf-8")
    settings = json.dumps(yaml.safe_load(text), sort_keys=True)
    return f"{tree}, config {hashlib.sha256(settings.encode()).hexdigest()[:7]}"


@dataclass(frozen=True)
class Measurement:
    """What is measured already, and what is to be."""

    path: Path  # of the ledger
    peers: Path  # the interpreter of the packages
    num_splits: int
    code: dict[str, str]  # the version of each program
    ledger: dict[tuple[object, ...], Result]

    def results(self, pair: Pair, tables: Sequence[BenchmarkTable]) -> list[Result]:
        """Return what a config and its package did on tables."""
        return [
            self.ledger[key]
            for table in tables
            for program in (pair.ours, pair.peer)
            for split in range(self.num_splits)
            if (key := self._key(table, split, program)) in self.ledger
        ]

    def measure(self, pair: Pair, table: BenchmarkTable) -> None:
        """Measure what is lacking of a table."""
        if splits := self._lacking(table, pair.peer):
            for found in measure_peer(pair, table, splits, self.code[pair.peer], self.peers):
                self._note(found)
        for split in self._lacking(table, pair.ours):
            self._note(measure_config(pair, table, split, self.code[pair.ours]))

    def _lacking(self, table: BenchmarkTable, program: str) -> list[int]:
        splits = range(self.num_splits)
        return [one for one in splits if self._key(table, one, program) not in self.ledger]

    def _key(self, table: BenchmarkTable, split: int, program: str) -> tuple[object, ...]:
        return (table.digest, split, program, self.code[program])

    def _note(self, result: Result) -> None:
        self.ledger[result.key] = result
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(result)) + "\n")
        said = f"{result.table} {result.split} {result.program}: {result.error:.4f}"
        print(f"{said}, {result.seconds:.1f} s", file=sys.stderr)


def main() -> None:
    """Measure what the ledger lacks, print the page and, with --write, write it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tables", type=Path, help="a folder with a tables.yaml")
    parser.add_argument("--without-packaged", action="store_true", help="none of scikit-learn's")
    parser.add_argument("--only", help="names of tables, separated by commas; default: 8 of each")
    parser.add_argument("--configs", default="realmlp,tabm", help="names, separated by commas")
    parser.add_argument("--splits", type=int, default=5, help="outer splits of each table")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--peers", type=Path, default=ROOT / "benchmarks/.venv-tables/bin/python")
    parser.add_argument("--ledger", type=Path, default=ROOT / "benchmarks/parity.jsonl")
    parser.add_argument("--report", action="store_true", help="measure nothing")
    parser.add_argument("--write", action="store_true", help="write docs/measurements/parity.md")
    arguments = parser.parse_args()
    only, tables = arguments.only, {}
    arguments.only = only or ",".join(TABLES.values())
    known = {table.name: table for table in choose_tables(arguments)}
    pairs = [pair for pair in PAIRS if pair.config in arguments.configs.split(",")]
    peers = [pair.peer for pair in pairs]
    code = versions(arguments.peers, ["dlcli", *peers])
    code |= {pair.ours: version_of(pair, code["dlcli"]) for pair in pairs}
    ledger = {result.key: result for result in read_ledger(arguments.ledger)}
    campaign = Measurement(arguments.ledger, arguments.peers, arguments.splits, code, ledger)
    for pair in pairs:
        names = (only or TABLES[pair.config]).split(",")
        tables[pair] = [known[name] for name in names if name in known]
        with cores(arguments.cores):
            for table in tables[pair] if not arguments.report else ():
                campaign.measure(pair, table)
    where = f"{arguments.cores} cores, no GPU; Python {platform.python_version()}; "
    where += ", ".join(f"{name}: {code[name]}" for name in ("dlcli", *peers))
    found = {pair.config: campaign.results(pair, tables[pair]) for pair in pairs}
    programs = {pair.config: (pair.ours, pair.peer) for pair in pairs}
    lines, are_met = page_lines(found, programs, where)
    publish(lines, PAGE, is_written=arguments.write)
    sys.exit(not are_met)


if __name__ == "__main__":
    main()
