"""How good dlcli is on tables, beside what else one would take.

    python -m benchmarks.tables --tables FOLDER --peers PYTHON --ledger FILE           # measures
    python -m benchmarks.tables --tables FOLDER --ledger FILE --report --write         # the page

`dlcli init` and `dlcli train`, each a process of its own as users start them, at each effort that
`init` knows; `dlcli tune` for the best one. HistGradientBoosting, CatBoost and RealMLP-TD with
their defaults, in an environment of their own (benchmarks/README.md). All train on the same rows of
each outer split and predict the same others: log-loss, or RMSE. FOLDER/tables.yaml lists its tables
(see table_files.py); scikit-learn's come along, and those of ISLP and statsmodels where they are
installed. Each result is a line of the ledger as soon as it is there: a measurement that was cut
off goes on, and what has changed since, dlcli's committed code or a package, is measured anew.
Exits with 1 where a figure that is asked for is missed.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import yaml

from benchmarks.programs import PEERS, ROOT, cores
from benchmarks.table_files import (
    BenchmarkTable,
    listed_tables,
    packaged_tables,
    timed_table,
)
from benchmarks.table_results import Result, read_ledger
from benchmarks.tables_page import page_lines

PAGE = ROOT / "docs" / "measurements" / "tables.md"
PEER_PACKAGES = {
    "hgb": "scikit-learn",
    "catboost": "catboost",
    "realmlp": "pytabkit",
    "realmlp defaults": "pytabkit",
}
SAME_FOR_NUMBERS = {"realmlp defaults": "realmlp"}  # they differ for classes alone
PACKAGES = PEER_PACKAGES | {"tabm": "tabm"}
EFFORTS = ("quick", "standard", "best")
_LEAST_PROBABILITY = 1e-7  # a class that is ruled out and comes costs 16 nats, not endless many


def measure(
    table: BenchmarkTable, split: int, program: str, version: str, peers: Path, limit: float
) -> Result:
    """Let a program train and predict; a failure is a result, too."""
    train, test = table.split(split)
    error, failure, begun = None, "", time.perf_counter()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        try:
            if program.startswith("dlcli"):
                found = _run_dlcli(table, train, test, program.partition(" ")[2], folder, limit)
            else:
                found = _run_peer(table, train, test, split, program, folder, peers, limit)
            seconds = found[1]
            error = score(table, test, found[0])
        except subprocess.CalledProcessError as died:
            failure, seconds = str(died.stderr)[-500:], time.perf_counter() - begun
        except subprocess.TimeoutExpired:
            failure, seconds = f"more than {limit:g} s", time.perf_counter() - begun
    about = (table.name, table.digest, table.task, table.role, len(table.frame))
    return Result(*about, split, program, version, error, seconds, failure)


def score(table: BenchmarkTable, test: pl.DataFrame, predicted: pl.DataFrame) -> float:
    """Return the log-loss of probabilities, a column a class, or the RMSE of `prediction`."""
    if table.task == "numbers":
        errors = predicted["prediction"].to_numpy() - test[table.target].to_numpy()
        return float(np.sqrt(np.mean(errors**2)))
    truth = test[table.target].to_list()
    found = np.full(len(truth), 0.0)
    for row, label in enumerate(truth):
        found[row] = predicted[label][row] if label in predicted.columns else 0.0
    return float(-np.log(np.clip(found, _LEAST_PROBABILITY, 1.0)).mean())


def _run_dlcli(
    table: BenchmarkTable,
    train: pl.DataFrame,
    test: pl.DataFrame,
    effort: str,
    folder: Path,
    limit: float,
) -> tuple[pl.DataFrame, float]:
    """Return predictions, and the seconds of init, of train or tune, and of predict."""
    train.write_csv(folder / "train.csv")
    test.drop(table.target).write_csv(folder / "test.csv")
    chosen = ["--effort", effort] if effort else []
    begun = time.perf_counter()
    dlcli = [sys.executable, "-m", "dlcli"]
    begin = ["init", "train.csv", "--target", table.target, *chosen, "-o", "config.yaml"]
    run_in(folder, [*dlcli, *begin], limit)
    drafted = yaml.safe_load((folder / "config.yaml").read_text("utf-8"))
    learn = "tune" if "tune" in drafted else "train"
    for words in (
        [learn, "config.yaml", "--set", _without_test(drafted), "--run-dir", "run"],
        ["predict", "run", "test.csv", "-o", "out.parquet"],
    ):
        run_in(folder, [*dlcli, *words], limit)
    seconds = time.perf_counter() - begun
    found = pl.read_parquet(folder / "out.parquet")
    prefix = "probability_"
    named = {name: name.removeprefix(prefix) for name in found.columns if name.startswith(prefix)}
    return found.select(*named).rename(named) if named else found.select("prediction"), seconds


def _without_test(drafted: dict[str, Any]) -> str:
    """Return an override by which no row of the outer training part is held out for a test.

    A column to split by goes with it where no validation rows are left: it would say nothing.
    """
    split = {key: value for key, value in drafted["data"]["split"].items() if key != "test"}
    return f"data.split={json.dumps(split if 'validation' in split else {})}"


def _run_peer(
    table: BenchmarkTable,
    train: pl.DataFrame,
    test: pl.DataFrame,
    seed: int,
    program: str,
    folder: Path,
    peers: Path,
    limit: float,
) -> tuple[pl.DataFrame, float]:
    [spec, out] = write_spec(table, (train, test), folder, program=program, seed=seed)
    done = run_in(folder, [peers, PEERS / "on_table.py", spec, out], limit)
    seconds: float = json.loads(done.splitlines()[-1])["seconds"]
    return pl.read_parquet(out), seconds


def write_spec(
    table: BenchmarkTable,
    parts: tuple[pl.DataFrame, pl.DataFrame],
    folder: Path,
    *,
    program: str,
    seed: int,
    validation: Sequence[int] = (),
) -> list[Path]:
    """Write what a peer is told, with the rows to train on and to test on.

    Returns its path, and where the predictions go. `validation`: indices of the training rows, for
    peers that take them.
    """
    paths = {name: folder / f"{name}-{seed}.parquet" for name in ("train", "test", "out")}
    for name, rows in zip(("train", "test"), parts, strict=True):
        rows.write_parquet(paths[name])
    spec = {
        "program": program,
        "train": str(paths["train"]),
        "test": str(paths["test"]),
        "target": table.target,
        "categorical": table.categorical,
        "task": table.task,
        "seed": seed,
        "validation": list(validation),
    }
    (folder / f"spec-{seed}.json").write_text(json.dumps(spec), "utf-8")
    return [folder / f"spec-{seed}.json", paths["out"]]


def run_in(folder: Path, command: Sequence[str | Path], limit: float) -> str:
    """Return what a process prints that may take so many seconds."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command,
        check=True,
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment,
        timeout=limit,
    )
    return done.stdout


def versions(peers: Path, programs: Sequence[str]) -> dict[str, str]:
    """Return what each program's code is told by: dlcli's tree of files, a peer's packages."""
    found = {}
    if any(name.startswith("dlcli") for name in programs):
        command = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD:dlcli"]
        tree = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
        found = {name: tree for name in programs if name.startswith("dlcli")}
    for name in programs:
        if package := PACKAGES.get(name):
            code = f"from importlib.metadata import version; print(version({package!r}))"
            done = subprocess.run([peers, "-c", code], check=True, capture_output=True, text=True)
            found[name] = f"{package} {done.stdout.strip()}"
    return found


def dlcli_programs() -> list[str]:
    """Return dlcli at each effort that its init knows."""
    command = [sys.executable, "-m", "dlcli", "init", "--help"]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [f"dlcli {effort}" for effort in EFFORTS] if "--effort" in shown else ["dlcli"]


def choose_tables(arguments: argparse.Namespace) -> Iterator[BenchmarkTable]:
    """Yield the tables that are asked for."""
    tables = [] if arguments.without_packaged else [*packaged_tables()]
    tables += [] if arguments.tables is None else [*listed_tables(arguments.tables)]
    tables.append(timed_table())
    names = arguments.only.split(",") if arguments.only else [table.name for table in tables]
    yield from (table for table in tables if table.name in names)


def _keep(result: Result, ledger: Path) -> None:
    """Add a result to the ledger, and say it."""
    with ledger.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(result)) + "\n")
    said = result.failure if result.error is None else f"{result.error:.4f}"
    about = f"{result.table} {result.split} {result.program}"
    print(f"{about}: {said}, {result.seconds:.1f} s", file=sys.stderr)


def main() -> None:
    """Measure what the ledger lacks, print the page and, with --write, write it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tables", type=Path, help="a folder with a tables.yaml")
    parser.add_argument("--without-packaged", action="store_true", help="none of scikit-learn's")
    parser.add_argument("--only", help="names of tables, separated by commas")
    parser.add_argument("--programs", help="such as dlcli,hgb; default: all")
    parser.add_argument("--splits", type=int, default=5, help="outer splits of each table")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--limit", type=float, default=3600, help="seconds of a program on a split")
    parser.add_argument("--peers", type=Path, default=ROOT / "benchmarks/.venv-tables/bin/python")
    parser.add_argument("--ledger", type=Path, default=ROOT / "benchmarks/tables.jsonl")
    parser.add_argument("--report", action="store_true", help="measure nothing")
    parser.add_argument("--write", action="store_true", help="write docs/measurements/tables.md")
    arguments = parser.parse_args()
    named = arguments.programs
    programs = named.split(",") if named else [*dlcli_programs(), *PEER_PACKAGES]
    code, tables = versions(arguments.peers, programs), [*choose_tables(arguments)]
    timed = [name for name in programs if name == "dlcli standard"]
    ledger = {result.key: result for result in read_ledger(arguments.ledger)}
    used = []
    with cores(arguments.cores):
        for split in range(arguments.splits):
            for table in tables:
                for program in programs if table.role != "time" else timed:
                    key = (table.digest, split, program, code[program])
                    if key not in ledger and not arguments.report:
                        same = (table.digest, split, SAME_FOR_NUMBERS.get(program), code[program])
                        if table.task == "numbers" and same in ledger:
                            result = replace(ledger[same], program=program)
                        else:
                            about = (table, split, program, code[program])
                            result = measure(*about, arguments.peers, arguments.limit)
                        ledger[key] = result
                        _keep(result, arguments.ledger)
                    if key in ledger:
                        used.append(ledger[key])
    where = f"{arguments.cores} cores, no GPU; Python {platform.python_version()}; "
    where += ", ".join(f"{name}: {code[name]}" for name in programs)
    lines, are_met = page_lines(used, programs, arguments.splits, where)
    print("\n".join(lines))
    if arguments.write:
        PAGE.write_text("\n".join(lines) + "\n", encoding="utf-8")
    sys.exit(not are_met)


if __name__ == "__main__":
    main()
