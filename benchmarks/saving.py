"""What saving costs a run: `python -m benchmarks.saving [--write]`.

Each run is trained with checkpoints as often as they are by default, and without any, in turns in
one process; the figure is the median of the ratios of the pairs.
"""

import argparse
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from dlcli.config import load_config
from dlcli.runs.preparation import Prepared, prepare
from dlcli.runs.run_folder import RunFolder
from dlcli.runs.train import Started, build_trainer, train
from dlcli.training.batches import to_rows
from dlcli.training.device import choose_placement
from dlcli.training.evaluation import evaluate
from dlcli.training.loop import fit

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "saving.md"
NUM_PAIRS = 7
LAYER = "{type: dense, units: 1024, activation: relu}"
WIDE = f"model.layers=[{LAYER}, {LAYER}, {{type: dense}}]"
RUNS = {
    "penguins, a dense network": ("penguins", ["training.epochs=900"]),
    "moons, a dense network": ("moons", ["training.epochs=300"]),
    "digits, convolutions": ("digits", ["training.epochs=12"]),
    "digits, two dense layers of 1,024": ("digits_dense", ["training.epochs=20", WIDE]),
}


@dataclass(frozen=True)
class Timed:
    """One run."""

    seconds: float
    checkpoint_bytes: int = 0
    num_saves: int = 0


def time_with_saves(prepared: Prepared) -> Timed:
    """Train as `dlcli train` does, counting the checkpoints that come."""
    with tempfile.TemporaryDirectory() as folder:
        last, seen, begun = RunFolder(Path(folder)).last, set[int](), 0.0
        for event in train(prepared, run_dir=Path(folder)):
            if isinstance(event, Started):
                begun = time.perf_counter()
            elif last.exists():
                seen.add(last.stat().st_ino)
        return Timed(time.perf_counter() - begun, last.stat().st_size, len(seen))


def time_without(prepared: Prepared) -> Timed:
    """Train and judge the same network, and save nothing."""
    training = prepared.config.training
    placement = choose_placement(training.device, training.precision)
    trainer = build_trainer(prepared, placement)
    parts = prepared.dataset.parts
    rows = {name: to_rows(part, placement.device) for name, part in parts.items()}
    begun = time.perf_counter()
    for _ in fit(trainer, rows["train"], rows["validation"]):
        pass
    for name in ("validation", "test"):
        evaluate(
            trainer.network,
            trainer.objective,
            rows[name],
            target=trainer.target,
            placement=placement,
        )
    return Timed(time.perf_counter() - begun)


def measure(config: str, overrides: list[str]) -> str:
    """Return the rest of a run's line in the table."""
    overrides = ["training.early_stopping=null", *overrides]
    prepared = prepare(load_config(ROOT / "configs" / f"{config}.yaml", overrides))
    time_without(prepared)  # what is imported and allocated once
    pairs = [(time_with_saves(prepared), time_without(prepared)) for _ in range(NUM_PAIRS)]
    ratios = sorted(saving.seconds / bare.seconds for saving, bare in pairs)
    saving = pairs[-1][0]
    return (
        f"{saving.seconds:.1f} s | {saving.num_saves} | {saving.checkpoint_bytes / 1e6:.2f} MB | "
        f"{100 * (statistics.median(ratios) - 1):+.1f} % "
        f"({100 * (ratios[0] - 1):+.1f} to {100 * (ratios[-1] - 1):+.1f})"
    )


def main() -> None:
    """Measure, print, and with --write write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write docs/saving.md")
    arguments = parser.parse_args()
    lines = [
        "# What saving costs",
        "",
        "Made by `python -m benchmarks.saving --write`: each run with checkpoints as often as they",
        f"are by default and without any, {NUM_PAIRS} times in turns, the median and the range of",
        "the ratios. The bound is 3.5 %.",
        "",
        "| run | time | saves seen | size of one | time more than without |",
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
