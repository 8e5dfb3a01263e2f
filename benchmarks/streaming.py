"""What streaming costs, and saves: `python -m benchmarks.streaming [--write]`.

Memory is the most that a whole `dlcli train` of one epoch ever held, a process of its own, on a
file and on one with ten times its rows. Throughput is that of training alone: epochs of rows that
are streamed and of rows that are held take turns in one process.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import torch
import yaml

from dlcli.config import load_config
from dlcli.runs.preparation import prepare
from dlcli.runs.training.run import AllRows, build_trainer, encode_to_disk
from dlcli.training.device import choose_placement
from dlcli.training.engines.threads import choose_threads
from dlcli.training.loop import EpochResult, fit
from dlcli.training.rows.batches import to_rows

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "measurements" / "streaming.md"
NUM_ROWS, NUM_COLUMNS, TIMES = 1_000_000, 20, 10
NUM_ROUNDS = 7
BLOCK_ROWS = 250_000


@dataclass(frozen=True)
class Case:
    """A network, and the batches it learns from."""

    units: tuple[int, ...]
    batch_size: int
    num_rows: int


SMALL = Case((64,), 256, NUM_ROWS)
CASES = (Case((64,), 32, NUM_ROWS), SMALL, Case((512, 512), 256, NUM_ROWS // 10))


def write_data(file: Path, num_rows: int) -> None:
    """Write made data, block by block: whether a weighted sum of normal numbers is positive."""
    random = np.random.default_rng(0)
    weights = random.normal(size=NUM_COLUMNS)

    def blocks() -> Iterator[pl.DataFrame]:
        for start in range(0, num_rows, BLOCK_ROWS):
            features = random.normal(size=(min(BLOCK_ROWS, num_rows - start), NUM_COLUMNS))
            noise = random.normal(size=len(features))
            frame = pl.DataFrame(features.astype(np.float32), schema=column_names())
            yield frame.with_columns(y=pl.Series((features @ weights + noise > 0).astype(np.int64)))

    parts = []
    for number, frame in enumerate(blocks()):
        parts.append(file.with_suffix(f".{number}.parquet"))
        frame.write_parquet(parts[-1])
    pl.scan_parquet(parts).sink_parquet(file)
    for part in parts:
        part.unlink()


def column_names() -> list[str]:
    """Return the names of the features."""
    return [f"x{index}" for index in range(NUM_COLUMNS)]


def write_config(folder: Path, data: Path, case: Case, *, streaming: bool) -> Path:
    """Write the config of a run on made data."""
    layers: list[dict[str, object]] = [
        {"type": "dense", "units": units, "activation": "relu"} for units in case.units
    ]
    config = {
        "data": {
            "path": str(data),
            "target": "y",
            "split": {"validation": 0.1, "test": 0.1},
            "streaming": streaming,
        },
        "model": {"layers": [*layers, {"type": "dense"}]},
        "training": {"batch_size": case.batch_size, "epochs": 1, "device": "cpu"},
    }
    path = folder / f"{data.stem}-{streaming}.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


# Of this process alone: what wait4 says of a process is at least what its parent held.
RUN_AND_TELL = """
import re, sys
from pathlib import Path
from dlcli.cli.app import run
code = run(sys.argv[1:])
print(re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1], file=sys.stderr)
sys.exit(code)
"""


def peak_bytes(folder: Path, data: Path, *, streaming: bool) -> int:
    """Return the most memory that a whole run of one epoch held; on Linux."""
    config = write_config(folder, data, SMALL, streaming=streaming)
    command = [sys.executable, "-c", RUN_AND_TELL, "train", config, "--run-dir", folder / "run"]
    command += ["--set", "report=false"]
    done = subprocess.run(
        list(map(str, command)), cwd=folder, check=True, text=True, capture_output=True
    )
    shutil.rmtree(folder / "run")
    return int(done.stderr.split()[-1]) * 1024


@contextmanager
def opened(folder: Path, data: Path, case: Case, *, streaming: bool) -> Iterator["Epochs"]:
    """Open a run without a last epoch, with the threads that `train` would use."""
    path = write_config(folder, data, case, streaming=streaming)
    prepared = prepare(load_config(path, ["training.epochs=1000000", "data.split={}"]))
    placement = choose_placement("cpu", "auto")
    config, dataset = prepared.config.training, prepared.dataset
    threads = choose_threads(config, prepared.plan, dataset.num_rows["train"])
    torch.set_num_threads(threads.number)
    with ExitStack() as stack:
        parts = prepared.dataset.parts
        rows: AllRows = {name: to_rows(part, placement.device) for name, part in parts.items()}
        for _ in encode_to_disk(prepared.dataset, folder, placement.device, rows, stack):
            pass
        yield Epochs(fit(build_trainer(prepared, placement), rows["train"], None))


class Epochs:
    """A run, an epoch at a time."""

    def __init__(self, events: Iterator[object]) -> None:
        self._events = events

    def rows_per_second(self) -> float:
        """Train for an epoch."""
        started = time.perf_counter()
        for event in self._events:
            if isinstance(event, EpochResult):
                return event.num_rows / (time.perf_counter() - started)
        raise AssertionError("there are enough epochs")


def compare(folder: Path, data: Path, case: Case) -> tuple[float, float, float]:
    """Return rows per second held and streamed, and the median of the rounds' ratios."""
    with (
        opened(folder, data, case, streaming=False) as held,
        opened(folder, data, case, streaming=True) as streamed,
    ):
        runs = (held, streamed)
        for run in runs:  # what is allocated and recorded once
            run.rows_per_second()
        rounds = []
        for number in range(NUM_ROUNDS):  # which one begins alternates
            order = (0, 1) if number % 2 else (1, 0)
            figures = {index: runs[index].rows_per_second() for index in order}
            rounds.append((figures[0], figures[1]))
    return (
        statistics.median(held for held, _ in rounds),
        statistics.median(streamed for _, streamed in rounds),
        statistics.median(streamed / held for held, streamed in rounds),
    )


def main() -> None:
    """Measure, print, and with --write write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write docs/measurements/streaming.md")
    arguments = parser.parse_args()
    lines = [
        "# The cost of streaming",
        "",
        "Made by `python -m benchmarks.streaming --write`, on synthetic Parquet files with",
        f"{NUM_COLUMNS} columns of float32 numbers. Memory: the peak of a whole `dlcli train` over",
        f"one epoch, of a network with {SMALL.units[0]} hidden units.",
        "",
        "| rows | in memory | streamed |",
        "|---|---|---|",
    ]
    print("\n".join(lines), flush=True)
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        folder = Path(name)
        small, large = folder / "once.parquet", folder / "times.parquet"
        write_data(small, NUM_ROWS)
        write_data(large, NUM_ROWS * TIMES)
        peaks = [peak_bytes(folder, file, streaming=True) for file in (small, large)]
        held = peak_bytes(folder, small, streaming=False)
        large.unlink()
        lines += [
            f"| {NUM_ROWS:,} | {held / 2**20:,.0f} MiB | {peaks[0] / 2**20:,.0f} MiB |",
            f"| {NUM_ROWS * TIMES:,} | | {peaks[1] / 2**20:,.0f} MiB |",
            "",
            f"{TIMES} times the rows take {peaks[1] / peaks[0]:.2f} times the memory; at most "
            "1.1 is required.",
            "",
            f"Training throughput, the median of {NUM_ROUNDS} epochs each, taken in turn, with the",
            "threads that `train` would use; a ratio of at least 0.7 is required.",
            "",
            "| hidden units | rows per batch | rows | threads | in memory | streamed | ratio |",
            "|---|---|---|---|---|---|---|",
        ]
        print("\n".join(lines[-10:]), flush=True)
        for case in CASES:
            write_data(small, case.num_rows)
            figures = compare(folder, small, case)
            lines.append(
                f"| {'-'.join(map(str, case.units))} | {case.batch_size} | {case.num_rows:,} "
                f"| {torch.get_num_threads()} | {figures[0]:,.0f} rows/s "
                f"| {figures[1]:,.0f} rows/s | {figures[2]:.2f} |"
            )
            print(lines[-1], flush=True)
    version = torch.__version__.partition("+")[0]
    lines += ["", f"PyTorch {version}, {os.cpu_count()} processors."]
    print("\n".join(lines[-2:]))
    if arguments.write:
        PAGE.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
