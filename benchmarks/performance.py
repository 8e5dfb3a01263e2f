"""dlcli beside what else one would train with: `python -m benchmarks.performance [--write]`.

Each program goes from the same CSV to a saved model, a process of its own with its library's own
settings. They run in turn, round by round, and a ratio is the median over rounds of two programs'
figures of the same round, so that a busy machine slows both alike. The peers live in an environment
of their own; benchmarks/README.md says how to make it. Exits with 1 where a figure is missed.
"""

import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks import crowded, engines, predicting
from benchmarks.workloads import WORKLOADS, Workload, write_workload

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "measurements" / "performance.md"
PEERS = ROOT / "benchmarks" / "peers"
TITLES = {
    "dlcli": "dlcli",
    "pytorch": "PyTorch, a DataLoader",
    "lightning": "Lightning",
    "skorch": "skorch",
    "keras-jax": "Keras on JAX",
    "keras-torch": "Keras on torch",
    "sklearn": "scikit-learn",
    "jax-scan": "JAX, an epoch in one scan",
    "ludwig": "Ludwig",
}
DENSE_ONLY = ("sklearn", "jax-scan", "ludwig")
RIVALS = ("pytorch", "lightning", "skorch", "keras-jax", "keras-torch", "sklearn")
TOLERANCE = 0.03  # of accuracy: who lacks more of PyTorch's did other work


@dataclass(frozen=True)
class Figures:
    """One run of a program."""

    step: float  # seconds, with its share of the validation pass, but for the first epoch; or nan
    whole: float  # seconds of the process
    accuracy: float  # on the validation rows, at the end


@dataclass(frozen=True)
class Asked:
    """A ratio that must not be larger than asked."""

    workload: str
    what: str  # step or whole
    against: tuple[str, ...]  # the fastest of them
    most: float


ASKED = [
    *(Asked(name, "step", RIVALS, 1.0) for name in WORKLOADS),
    Asked("tiny", "step", ("pytorch",), 0.5),
    Asked("small", "step", ("pytorch",), 0.6),
    Asked("wide", "step", ("pytorch",), 0.7),
    Asked("tiny", "step", ("jax-scan",), 3.0),
    Asked("wide", "step", ("jax-scan",), 1.5),
    *(
        Asked(name, "whole", ("lightning", "skorch", "keras-jax", "keras-torch"), 0.6)
        for name in WORKLOADS
    ),
    *(Asked(name, "whole", ("pytorch",), 0.8) for name in WORKLOADS),
    Asked("tiny", "whole", ("ludwig",), 0.15),
]


def run_dlcli(config: Path, settings: Sequence[str] = ()) -> Figures:
    """Train by the command line, as anyone would; settings are those of `--set`."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        command = [sys.executable, "-m", "dlcli", "train", str(config), "--run-dir", str(run)]
        for setting in ("report=false", *settings):  # no other one draws a report
            command += ["--set", setting]
        begun = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        whole = time.perf_counter() - begun
        lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    epochs = [json.loads(line) for line in lines]
    size = WORKLOADS[config.stem].batch_size
    num_steps = -(-summary["rows"]["train"] // size)
    step = statistics.median(epoch["seconds"] / num_steps for epoch in epochs[1:])
    return Figures(step, whole, epochs[-1]["validation"]["accuracy"])


def run_peer(name: str, spec: Path, python: Path) -> Figures:
    """Run a peer's program in its environment."""
    library, _, backend = name.partition("-")
    script = PEERS / f"with_{'jax_scan' if name == 'jax-scan' else library}.py"
    environment = os.environ | ({"KERAS_BACKEND": backend} if library == "keras" else {})
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        done = subprocess.run(
            [python, script, spec, folder],
            check=True,
            capture_output=True,
            text=True,
            env=environment,
        )
        whole = time.perf_counter() - begun
    answer = json.loads(done.stdout.splitlines()[-1])
    step = statistics.median(answer["steps"][1:] or [math.nan])
    return Figures(step, whole, answer["accuracy"])


def measure(
    workload: Workload, folder: Path, peers: Path, ludwig: Path, num_rounds: int
) -> dict[str, list[Figures]]:
    """Run every program that can do the work once a round, dlcli among them."""
    config, spec = write_workload(workload, folder)
    rounds: dict[str, list[Figures]] = {
        name: [] for name in TITLES if not (workload.image_side and name in DENSE_ONLY)
    }
    for number in range(num_rounds):
        for name, figures in rounds.items():
            python = ludwig if name == "ludwig" else peers
            own = run_dlcli(config) if name == "dlcli" else run_peer(name, spec, python)
            figures.append(own)
            about = f"{own.step * 1e6:.0f} us a step, {own.whole:.1f} s, {own.accuracy:.3f}"
            print(f"{workload.name} {number + 1}/{num_rounds} {name}: {about}", file=sys.stderr)
    return rounds


def ratio(rounds: dict[str, list[Figures]], asked: Asked) -> tuple[float, str]:
    """Return dlcli's figure over the fastest one's, and whose that is, by medians over rounds."""
    ratios = {
        name: statistics.median(
            getattr(own, asked.what) / getattr(other, asked.what)
            for own, other in zip(rounds["dlcli"], rounds[name], strict=True)
        )
        for name in asked.against
        if name in rounds
    }
    fastest = max(ratios, key=lambda name: ratios[name])
    return ratios[fastest], fastest


def table(rounds: dict[str, list[Figures]]) -> Iterator[str]:
    """Yield the lines of a work load's table."""
    yield "| program | a step | dlcli takes | whole process | dlcli takes | accuracy |"
    yield "|---|---|---|---|---|---|"
    for name, figures in rounds.items():
        step, whole, accuracy = (
            statistics.median(getattr(own, what) for own in figures)
            for what in ("step", "whole", "accuracy")
        )
        ratios = [ratio(rounds, Asked("", what, (name,), 0))[0] for what in ("step", "whole")]
        cells = [f"{step * 1e6:,.0f} µs", f"{ratios[0]:.2f}", f"{whole:.1f} s", f"{ratios[1]:.2f}"]
        cells = [
            "–" if "nan" in cell or (name == "dlcli" and cell == "1.00") else cell for cell in cells
        ]
        yield f"| {TITLES[name]} | {' | '.join(cells)} | {accuracy:.3f} |"


def unlike(rounds: dict[str, list[Figures]]) -> list[str]:
    """Return who does not reach PyTorch's accuracy."""
    accuracies = {
        name: statistics.median(own.accuracy for own in figures) for name, figures in rounds.items()
    }
    return [
        name
        for name, accuracy in accuracies.items()
        if accuracy < accuracies["pytorch"] - TOLERANCE
    ]


def main() -> None:
    """Measure, print, and with --write write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workloads", default=",".join(WORKLOADS), help="some of them")
    parser.add_argument("--peers", type=Path, default=ROOT / "benchmarks/.venv/bin/python")
    parser.add_argument("--ludwig", type=Path, default=ROOT / "benchmarks/.venv-ludwig/bin/python")
    parser.add_argument("--write", action="store_true", help="write the page")
    arguments = parser.parse_args()
    results: dict[str, dict[str, list[Figures]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.workloads.split(","):
            results[name] = measure(
                WORKLOADS[name],
                Path(folder),
                arguments.peers,
                arguments.ludwig,
                arguments.rounds,
            )
        pairs = predicting.measure(Path(folder), arguments.rounds)
        sections = [*engines.lines(Path(folder)), "", *crowded.lines(Path(folder))]
    lines, are_met = page(results, pairs, arguments.rounds, arguments.peers)
    at = lines.index("## Where")
    lines[at:at] = [*sections, ""]
    print("\n".join(lines))
    if arguments.write:
        PAGE.write_text("\n".join(lines) + "\n", encoding="utf-8")
    sys.exit(not are_met)


def page(
    results: dict[str, dict[str, list[Figures]]],
    pairs: list[tuple[float, float]],
    num_rounds: int,
    python: Path,
) -> tuple[list[str], bool]:
    """Return the page's lines, and whether every figure is met."""
    lines = [
        "# Training speed",
        "",
        "Made by `python -m benchmarks.performance --write`, with the programs of",
        "[benchmarks/](../../benchmarks/README.md): each goes from the same CSV to a saved model,",
        "five epochs, each with a pass over the validation rows. *A step* is an epoch's time,",
        "validation included, divided by its steps (the median over epochs without the first,",
        "in which libraries compile); *dlcli takes* is the ratio, below 1 if dlcli is faster.",
        f"Medians of {num_rounds} rounds, the programs in turn, ratios within a round.",
        "",
        "## Requirements",
        "",
        "| workload | measure | dlcli compared with | required | reached | |",
        "|---|---|---|---|---|---|",
    ]
    are_met = True
    for asked in ASKED:
        if asked.workload not in results:
            continue
        reached, whose = ratio(results[asked.workload], asked)
        is_met = reached <= asked.most
        are_met &= is_met
        against = TITLES[whose] if len(asked.against) == 1 else f"the fastest: {TITLES[whose]}"
        lines.append(
            f"| {asked.workload} | {asked.what} | {against} | ≤ {asked.most:g} | {reached:.2f} | "
            f"{'met' if is_met else 'missed'} |"
        )
    for name, rounds in results.items():
        workload = WORKLOADS[name]
        layers = "-".join(map(str, workload.units))
        network = (
            "the convolutional network of configs/digits.yaml"
            if workload.image_side
            else (f"{layers} with ReLU and dropout of {workload.dropout}")
        )
        lines += [
            "",
            f"## {name}",
            "",
            f"{workload.num_rows:,} rows of {workload.num_features}, {workload.num_classes} "
            f"classes, {network}, batches of {workload.batch_size}, Adam.",
            "",
            *table(rounds),
        ]
        if others := unlike(rounds):
            lines += ["", f"Less accurate, so not the same work: {', '.join(others)}."]
    about, is_met = predicting.lines(pairs)
    lines += ["", *about]
    are_met &= is_met
    versions = subprocess.run(
        [python, "-m", "pip", "freeze"], check=True, capture_output=True, text=True
    ).stdout.split()
    named = ("jax=", "keras=", "lightning=", "skorch=", "scikit-learn=", "torch=")
    shown = [
        version.replace("==", " ").partition("+")[0]
        for version in versions
        if version.startswith(named)
    ]
    lines += [
        "",
        "## Where",
        "",
        f"{os.cpu_count()} cores, no GPU; Python {platform.python_version()}, PyTorch "
        f"{torch.__version__.partition('+')[0]}. The peers: {', '.join(shown)}, and Ludwig as in",
        "benchmarks/requirements-ludwig.txt. Each library has the threads that it takes by itself.",
        "scikit-learn's network has no dropout, and the scan leaves out the last, short batch.",
    ]
    return lines, are_met


if __name__ == "__main__":
    main()
