"""What saving costs a run: `python -m benchmarks.saving [--write]`.

Machines are noisier than what is looked for, so runs with and without saves can't be told apart.
Instead each step is compared with the same step of the run's other epochs: what the steps during
which a save was under way took longer than those without is what the saves cost, waits included,
and so is the whole time of the last save, which nothing goes on beside.
"""

import argparse
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from dlcli.config import load_config
from dlcli.runs.folder.run_folder import RunFolder
from dlcli.runs.preparation import prepare
from dlcli.runs.training.events import TrainingStarted
from dlcli.runs.training.saver import Saver
from dlcli.runs.training.train import train
from dlcli.training.loop import EpochResult, Progress

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "measurements" / "saving.md"
NUM_RUNS = 5
LAYER = "{type: dense, units: 1024, activation: relu}"
WIDE = f"model.layers=[{LAYER}, {LAYER}, {{type: dense}}]"
RUNS = {
    "penguins, a dense network": ("penguins", ["training.epochs=900"]),
    "moons, a dense network": ("moons", ["training.epochs=300"]),
    "digits, convolutions": ("digits", ["training.epochs=40"]),
    "digits, two dense layers of 1,024": ("digits_dense", ["training.epochs=40", WIDE]),
}

Interval = tuple[float, float]


@contextmanager
def watched_saves() -> Iterator[list[Interval]]:
    """Note from when to when something is being saved, from the capture on."""
    saves: list[Interval] = []
    begun = 0.0

    def save(saver: Saver, capture: Any) -> None:  # noqa: ANN401
        nonlocal begun
        begun = time.perf_counter()
        real_save(saver, capture)

    def write(saver: Saver, *captured: Any) -> float:  # noqa: ANN401
        seconds = real_write(saver, *captured)
        saves.append((begun, time.perf_counter()))
        return seconds

    real_save, real_write = Saver.save, Saver._write
    with mock.patch.object(Saver, "save", save), mock.patch.object(Saver, "_write", write):
        yield saves


def extra_seconds(steps: dict[int, list[Interval]], saves: list[Interval]) -> float:
    """Return what steps beside saves took longer than the same steps of epochs without."""
    extra = 0.0
    for same in steps.values():
        beside: list[float] = []
        alone: list[float] = []
        for begun, ended in same:
            is_beside = any(first < ended and begun < last for first, last in saves)
            (beside if is_beside else alone).append(ended - begun)
        extra += sum(beside) - len(beside) * statistics.fmean(alone)
    return extra


def run_once(config: str, overrides: list[str]) -> tuple[float, float, int, int]:
    """Train; return what saving cost, as a share, the run's seconds, saves, a checkpoint's size."""
    overrides = ["training.early_stopping=null", *overrides]
    prepared = prepare(load_config(ROOT / "configs" / f"{config}.yaml", overrides))
    steps: dict[int, list[Interval]] = defaultdict(list)  # by their place in the epoch
    index, before, begun = 0, 0.0, 0.0
    with tempfile.TemporaryDirectory() as folder, watched_saves() as saves:
        for event in train(prepared, run_dir=Path(folder)):
            now = time.perf_counter()
            if isinstance(event, TrainingStarted):
                begun = now
            if isinstance(event, Progress | EpochResult):
                steps[index].append((before, now))
                index = 0 if isinstance(event, EpochResult) else index + 1
            before = now
        size = RunFolder(Path(folder)).last.stat().st_size
    extra = extra_seconds(steps, saves[:-1]) + saves[-1][1] - saves[-1][0]
    seconds = now - begun
    return extra / (seconds - extra), seconds, len(saves), size


def measure(config: str, overrides: list[str]) -> str:
    """Return the rest of a run's line in the table."""
    run_once(config, overrides)  # what is imported and allocated once
    runs = [run_once(config, overrides) for _ in range(NUM_RUNS)]
    shares = sorted(100 * share for share, *_ in runs)
    _, seconds, num_saves, size = runs[-1]
    return (
        f"{seconds:.1f} s | {num_saves} | {size / 1e6:.2f} MB | "
        f"{statistics.median(shares):.1f} % ({shares[0]:.1f} to {shares[-1]:.1f})"
    )


def main() -> None:
    """Measure, print, and with --write write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write docs/measurements/saving.md")
    arguments = parser.parse_args()
    lines = [
        "# The cost of saving",
        "",
        "Made by `python -m benchmarks.saving --write`, with the default intervals between saves:",
        "by how much steps during a save took longer than the same steps of other epochs, and the",
        "whole of the last save, as a share of the time without saving.",
        f"The median of {NUM_RUNS} runs, and their range; at most 3.5 % is required.",
        "",
        "| run | time | saves | size of one | cost |",
        "|---|---|---|---|---|",
    ]
    print("\n".join(lines), flush=True)
    for title, (config, overrides) in RUNS.items():
        lines.append(f"| {title} | {measure(config, overrides)} |")
        print(lines[-1], flush=True)
    lines += [
        "",
        f"PyTorch {torch.__version__.partition('+')[0]}, {torch.get_num_threads()} threads.",
    ]
    print("\n".join(lines[-2:]))
    if arguments.write:
        PAGE.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
