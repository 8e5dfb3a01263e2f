"""Networks for sequences beside PyTorch and Keras: `python -m benchmarks.sequences [--write]`.

Each program goes from the same CSV of signals to a saved model, a process of its own, with its
library's own layers; dlcli without its page. They run in turn, round by round, on one core and on
two, and a ratio is the median over rounds of two programs' steps of the same round. Exits with 1
where a figure is missed.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks.measurement import machine, publish
from benchmarks.programs import PEERS, ROOT, Figures, cores, run_dlcli, run_script
from benchmarks.workloads import PART, TARGET, write_table

PAGE = ROOT / "docs" / "measurements" / "sequences.md"
PROGRAMS = {"dlcli": "dlcli", "pytorch": "PyTorch, a DataLoader", "keras": "Keras on JAX"}
ASKED = {"pytorch": 0.8, "keras": 1.0}


@dataclass(frozen=True)
class Workload:
    """Signals, and the network that learns from them."""

    name: str
    layers: tuple[dict[str, Any], ...]  # of dlcli's config, between the signal and the output
    settings: dict[str, Any]  # what the peers build the same by
    num_channels: int = 8
    length: int = 64
    num_classes: int = 4
    num_rows: int = 5000
    batch_size: int = 32
    lr: float = 1e-3
    epochs: int = 4


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload(
            "transformer",
            (
                {"type": "conv1d", "out_channels": 64, "kernel_size": 1},
                {"type": "positional_encoding"},
                {"type": "transformer_encoder", "num_heads": 4, "num_layers": 2, "norm": "post"},
                {"type": "global_avg_pool"},
            ),
            {"dim": 64, "heads": 4, "layers": 2, "hidden": 256, "dropout": 0.1},
        ),
        *(
            Workload(
                name,
                ({"type": name, "units": 128},),
                {"units": 128},
                length=100,
                num_rows=1500,
                epochs=3,
                batch_size=64,
            )
            for name in ("lstm", "gru")
        ),
    )
}


def write_workload(workload: Workload, folder: Path) -> tuple[Path, Path]:
    """Write the table and what is to be done with it; return dlcli's config and the peers'."""
    table = folder / f"{workload.name}.csv"
    if not table.exists():
        write_table(table, *made_signals(workload))
    config, spec = table.with_suffix(".yaml"), table.with_suffix(".json")
    about = {
        "data": {
            "path": table.name,
            "target": TARGET,
            "split": {"column": PART},
            "shape": [workload.num_channels, workload.length],
        },
        "model": {"layers": [*workload.layers, {"type": "dense"}]},
        "optimizer": {"type": "adam", "lr": workload.lr},
        "training": {"batch_size": workload.batch_size, "epochs": workload.epochs, "device": "cpu"},
    }
    config.write_text(yaml.safe_dump(about), encoding="utf-8")
    others = {"table": str(table), "target": TARGET, "part": PART}
    spec.write_text(json.dumps({**asdict(workload), **others}), encoding="utf-8")
    return config, spec


def made_signals(workload: Workload) -> tuple[np.ndarray, np.ndarray]:
    """Draw noise with a short pattern of each row's class, at a random place."""
    random = np.random.default_rng(0)
    shape = (workload.num_rows, workload.num_channels, workload.length)
    signals, size = random.normal(size=shape), 8
    patterns = random.normal(size=(workload.num_classes, workload.num_channels, size))
    labels = random.integers(workload.num_classes, size=workload.num_rows)
    starts = random.integers(workload.length - size, size=workload.num_rows)
    for signal, label, start in zip(signals, labels, starts, strict=True):
        signal[:, start : start + size] += patterns[label]
    return signals.reshape(workload.num_rows, -1), labels


def run_program(name: str, workload: Workload, config: Path, spec: Path, python: Path) -> Figures:
    """Run a program on a work load; Python is the interpreter of the peers."""
    if name == "dlcli":
        return run_dlcli(config, ("report=false",), batch_size=workload.batch_size)
    return run_script(PEERS / f"sequences_with_{name}.py", spec, python)


def main() -> None:
    """Measure, print, and with --write write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workloads", default=",".join(WORKLOADS), help="some of them")
    parser.add_argument("--cores", default="1,2", help="numbers of cores to do it on, in turn")
    parser.add_argument("--peers", type=Path, default=ROOT / "benchmarks/.venv/bin/python")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.relative_to(ROOT)}")
    arguments = parser.parse_args()
    rows, are_met = [], True
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.workloads.split(","):
            workload = WORKLOADS[name]
            config, spec = write_workload(workload, Path(folder))
            for num_cores in map(int, arguments.cores.split(",")):
                rounds: dict[str, list[Figures]] = {program: [] for program in PROGRAMS}
                with cores(num_cores):
                    for _ in range(arguments.rounds):
                        for program, figures in rounds.items():
                            one = run_program(program, workload, config, spec, arguments.peers)
                            figures.append(one)
                            about = f"{one.step * 1e6:.0f} us a step, {one.accuracy:.3f}"
                            print(f"{name}, {num_cores} cores, {program}: {about}", file=sys.stderr)
                for program in PROGRAMS:
                    row, is_met = table_row(workload, num_cores, program, rounds)
                    rows.append(row)
                    are_met &= is_met
    lines = [
        "# Networks for sequences",
        "",
        "Made by `python -m benchmarks.sequences --write`: each program goes from the same CSV to",
        "a saved model. *A step* is an epoch's time, validation included, divided by its steps",
        "(the median over epochs without the first, in which libraries compile). Medians of",
        f"{arguments.rounds} rounds, the programs in turn; *dlcli takes* is the median of the",
        "ratios within rounds.",
        "",
        "| network | cores | program | a step | dlcli takes | asked | accuracy |",
        "|---|---|---|---|---|---|---|",
        *rows,
        "",
        *(f"{workload.name}: {description(workload)}" for workload in WORKLOADS.values()),
        "",
        f"{machine()}; {peer_versions(arguments.peers)}.",
    ]
    publish(lines, PAGE, is_written=arguments.write)
    sys.exit(not are_met)


def table_row(
    workload: Workload, num_cores: int, program: str, rounds: dict[str, list[Figures]]
) -> tuple[str, bool]:
    """Return a program's row, and whether dlcli is as much faster as asked."""
    figures = rounds[program]
    step, accuracy = (
        statistics.median(getattr(one, what) for one in figures) for what in ("step", "accuracy")
    )
    start = f"| {workload.name} | {num_cores} | {PROGRAMS[program]} | {step * 1e6:,.0f} µs |"
    if program not in ASKED:
        return f"{start} | | {accuracy:.3f} |", True
    pairs = zip(rounds["dlcli"], figures, strict=True)
    ratio = statistics.median(ours.step / theirs.step for ours, theirs in pairs)
    is_met = ratio <= ASKED[program]
    asked = f"≤ {ASKED[program]:.1f}, {'met' if is_met else 'missed'}"
    return f"{start} {ratio:.2f} | {asked} | {accuracy:.3f} |", is_met


def description(workload: Workload) -> str:
    """Say what a work load is."""
    settings = ", ".join(f"{key} {value}" for key, value in workload.settings.items())
    return (
        f"{workload.num_rows:,} signals of {workload.num_channels} × {workload.length}, "
        f"{settings}, batches of {workload.batch_size}, Adam."
    )


def peer_versions(python: Path) -> str:
    """Return the versions of the peers' libraries."""
    code = "import os; os.environ['KERAS_BACKEND'] = 'jax'; "
    code += "import jax, keras, torch; print(keras.__version__, jax.__version__, torch.__version__)"
    done = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True)
    keras, jax, torch = done.stdout.split()[-3:]
    return f"Keras {keras}, JAX {jax}, PyTorch {torch.partition('+')[0]} of the peers"


if __name__ == "__main__":
    main()
