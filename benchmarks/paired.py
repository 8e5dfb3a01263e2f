"""Whether this checkout is slower, or takes more memory, than another commit.

    python -m benchmarks.paired COMMIT [--rounds 7] [--write]

Both do the same work in turn, round by round, each in a process of its own: the four work loads of
`benchmarks.performance`, a comparison of two optimizers, `predict` of a million rows, `validate`. A
ratio is the median over rounds of this checkout's figure over the other's. Exits with 1 where one
is above its bound.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.commits import ROOT, check_out, dlcli_of
from benchmarks.workloads import WORKLOADS, write_workload

PAGE = ROOT / "docs" / "measurements" / "paired.md"
MAX_RATIO = 1.03  # of seconds
MAX_MEMORY_RATIO = 1.01
NUM_ROWS = 1_000_000

Figures = dict[str, float]  # by what they are of


@dataclass(frozen=True)
class Usage:
    """What a process has taken."""

    seconds: float
    peak_megabytes: float


def run(code: Path, folder: Path, *arguments: object) -> Usage:
    """Run a checkout's dlcli in a folder."""
    command, environment = dlcli_of(code, *arguments)
    begun = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return Usage(time.perf_counter() - begun, usage.ru_maxrss / 1024)


def train(code: Path, folder: Path, name: str, *settings: str) -> Figures:
    """Train a work load; return the seconds of a step and of the process, and the peak memory."""
    with tempfile.TemporaryDirectory() as temporary:
        options = [word for setting in ("report=false", *settings) for word in ("--set", setting)]
        path = Path(temporary) / "run"
        usage = run(code, folder, "train", f"{name}.yaml", "--run-dir", path, *options)
        lines = (path / "metrics.jsonl").read_text("utf-8").splitlines()
        num_rows = json.loads((path / "summary.json").read_text("utf-8"))["rows"]["train"]
    num_steps = -(-num_rows // WORKLOADS[name].batch_size)
    epochs = [json.loads(line)["seconds"] / num_steps for line in lines[1:]]
    title = " ".join((name, *settings))
    return {
        f"{title}: a step": statistics.median(epochs),
        f"{title}: the process": usage.seconds,
        f"{title}: peak memory": usage.peak_megabytes,
    }


def compare(code: Path, folder: Path) -> Figures:
    """Compare two optimizers, hundreds of small runs."""
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "run"
        options = ("--optimizers", "sgd,adam", "--seeds", 10, "--run-dir", path)
        usage = run(code, folder, "compare-optimizers", ROOT / "configs" / "moons.yaml", *options)
    return {"`compare-optimizers` of two": usage.seconds}


def predict(code: Path, folder: Path) -> Figures:
    """Predict a million rows with the network that this checkout has trained before."""
    usage = run(code, folder, "predict", "run", "rows.parquet", "-o", "predictions.parquet")
    return {f"`predict` of {NUM_ROWS:,} rows": usage.seconds}


def validate(code: Path, folder: Path) -> Figures:
    """Validate a shipped config, as often as makes a second."""
    config = ROOT / "configs" / "penguins.yaml"
    return {
        "`validate`": statistics.median(
            run(code, folder, "validate", config).seconds for _ in range(3)
        )
    }


def prepare(code: Path, folder: Path) -> None:
    """Write the tables, and train the network that predicts."""
    for workload in WORKLOADS.values():
        write_workload(workload, folder)
    options = ("--set", "training.epochs=1", "--set", "report=false", "--run-dir", "run")
    run(code, folder, "train", "tiny.yaml", *options)
    random = np.random.default_rng(0)
    names = [f"x{index}" for index in range(WORKLOADS["tiny"].num_features)]
    columns = {name: random.normal(size=NUM_ROWS).astype(np.float32) for name in names}
    pl.DataFrame(columns).write_parquet(folder / "rows.parquet")


def measure(before: Path, folder: Path, num_rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Return pairs of figures, this checkout's first, by what they are of."""
    work: list[Callable[[Path, Path], Figures]] = [
        *(lambda code, at, name=name: train(code, at, name) for name in WORKLOADS),
        lambda code, at: train(code, at, "small", "data.streaming=true"),
        compare,
        predict,
        validate,
    ]
    pairs: dict[str, list[tuple[float, float]]] = {}
    for number in range(num_rounds):
        for task in work:
            codes = (ROOT, before) if number % 2 else (before, ROOT)
            figures = {code: task(code, folder) for code in codes}
            for name, value in figures[ROOT].items():
                pairs.setdefault(name, []).append((value, figures[before][name]))
        print(f"round {number + 1} of {num_rounds}", file=sys.stderr)
    return pairs


def page(pairs: dict[str, list[tuple[float, float]]], commit: str) -> tuple[str, list[str]]:
    """Return the page, and the figures that are above their bounds."""
    missed = []
    lines = [
        "# Beside an earlier commit",
        "",
        f"Made by `python -m benchmarks.paired {commit} --write`: this version and that commit do",
        "the same work in turn, each in a process of its own. A ratio is the median over rounds",
        "of this version's figure over the commit's in the same round.",
        "",
        "| work | now | before | ratio | at most | |",
        "|---|---|---|---|---|---|",
    ]
    for name, found in pairs.items():
        is_memory = name.endswith("memory")
        bound = MAX_MEMORY_RATIO if is_memory else MAX_RATIO
        ratio = statistics.median(now / before for now, before in found)
        if ratio > bound:
            missed.append(name)
        now, before = (statistics.median(values) for values in zip(*found, strict=True))
        shown = [_shown(value, name) for value in (now, before)]
        verdict = "missed" if ratio > bound else "met"
        lines.append(f"| {name} | {shown[0]} | {shown[1]} | {ratio:.3f} | {bound} | {verdict} |")
    num_rounds = len(next(iter(pairs.values())))
    lines += ["", f"{num_rounds} rounds, {os.cpu_count()} cores, {platform.python_version()}."]
    return "\n".join(lines) + "\n", missed


def _shown(value: float, name: str) -> str:
    if name.endswith("memory"):
        return f"{value:,.0f} MB"
    return f"{value * 1e6:,.0f} µs" if name.endswith("step") else f"{value:.2f} s"


def main() -> int:
    """Measure, print, and say what is above its bound."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("commit")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--write", action="store_true", help="write the page")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        before, folder = Path(temporary) / "before", Path(temporary) / "work"
        before.mkdir()
        folder.mkdir()
        commit = check_out(arguments.commit, before)
        prepare(before, folder)
        text, missed = page(measure(before, folder, arguments.rounds), commit[:10])
    print(text)
    if arguments.write:
        PAGE.write_text(text, encoding="utf-8")
    print(f"missed: {', '.join(missed)}" if missed else "nothing is above its bound")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
