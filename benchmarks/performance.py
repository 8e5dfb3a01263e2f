"""dlcli beside what else one would train with: `python -m benchmarks.performance [--write]`.

Each program goes from the same CSV to a saved model, a process of its own with its library's own
settings; dlcli with its defaults, the page included. They run in turn, round by round, on
one core and on two, and a ratio is the median over rounds of two programs' figures of the same
round, so that a busy machine slows both alike. The peers live in an environment of their own;
benchmarks/README.md says how to make it. Exits with 1 where a figure is missed.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks import crowded, engines, predicting, products
from benchmarks.measurement import machine, publish
from benchmarks.programs import DENSE_ONLY, IN_BF16, ROOT, TITLES, Figures, cores, run_program
from benchmarks.workloads import WORKLOADS, Workload, write_workload

PAGE = ROOT / "docs" / "measurements" / "performance.md"
RIVALS = ("pytorch", "lightning", "skorch", "keras-jax", "keras-torch", "sklearn")
TOLERANCE = 0.03  # of accuracy: who lacks more of PyTorch's did other work


@dataclass(frozen=True)
class Asked:
    """A ratio that must not be larger than asked."""

    workload: str
    what: str  # step or whole
    against: tuple[str, ...]  # the fastest of them
    most: float
    program: str = "dlcli"


LIBRARIES = ("lightning", "skorch", "keras-jax", "keras-torch", "pytorch")
ASKED = [
    *(Asked(name, "step", RIVALS, 1.0) for name in WORKLOADS),
    Asked("wide", "step", RIVALS, 1.0, IN_BF16),
    Asked("tiny", "step", ("pytorch",), 0.5),
    Asked("small", "step", ("pytorch",), 0.6),
    Asked("wide", "step", ("pytorch",), 0.7),
    Asked("tiny", "step", ("jax-scan",), 1.5),
    Asked("wide", "step", ("jax-scan",), 1.15),
    *(Asked(name, "whole", LIBRARIES, 0.6) for name in ("tiny", "small", "digits-conv")),
    Asked("wide", "whole", LIBRARIES, 0.7),
    Asked("tiny", "whole", ("ludwig",), 0.15),
]


Rounds = dict[str, list[Figures]]  # of a work load, by program


def measure(
    workload: Workload, folder: Path, peers: Path, ludwig: Path | None, num_rounds: int
) -> Rounds:
    """Run every program that can do the work once a round, dlcli among them."""
    config, spec = write_workload(workload, folder)
    left_out = {*(DENSE_ONLY if workload.image_side else ()), *(() if ludwig else ("ludwig",))}
    if workload.name != "wide":  # where products take most of the time
        left_out.add(IN_BF16)
    rounds: Rounds = {name: [] for name in TITLES if name not in left_out}
    for number in range(num_rounds):
        for name, figures in rounds.items():
            python = ludwig if ludwig and name == "ludwig" else peers
            one = run_program(name, config, spec, python)
            figures.append(one)
            about = f"{one.step * 1e6:.0f} us a step, {one.whole:.1f} s, {one.accuracy:.3f}"
            print(f"{workload.name} {number + 1}/{num_rounds} {name}: {about}", file=sys.stderr)
    return rounds


def ratio(rounds: Rounds, asked: Asked) -> tuple[float, str]:
    """Return a program's figure over the fastest one's, and whose that is, by medians of rounds."""
    ratios = {
        name: statistics.median(
            getattr(own, asked.what) / getattr(other, asked.what)
            for own, other in zip(rounds[asked.program], rounds[name], strict=True)
        )
        for name in asked.against
        if name in rounds
    }
    fastest = max(ratios, key=lambda name: ratios[name])
    return ratios[fastest], fastest


def table(rounds: Rounds) -> Iterator[str]:
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


def unlike(rounds: Rounds) -> list[str]:
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
    parser.add_argument("--cores", default="1,2", help="numbers of cores to do it on, in turn")
    parser.add_argument("--peers", type=Path, default=ROOT / "benchmarks/.venv/bin/python")
    parser.add_argument("--ludwig", type=Path, default=ROOT / "benchmarks/.venv-ludwig/bin/python")
    parser.add_argument("--without-ludwig", action="store_true", help="and the page says so")
    parser.add_argument("--write", action="store_true", help="write the page")
    arguments = parser.parse_args()
    ludwig = None if arguments.without_ludwig else arguments.ludwig
    results: dict[tuple[str, int], Rounds] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name in arguments.workloads.split(","):
            for num_cores in map(int, arguments.cores.split(",")):
                with cores(num_cores):
                    results[name, num_cores] = measure(
                        WORKLOADS[name], folder, arguments.peers, ludwig, arguments.rounds
                    )
        pairs = predicting.measure(folder, arguments.rounds)
        steps = {
            num_cores: statistics.median(own.step for own in rounds["dlcli"])
            for (name, num_cores), rounds in results.items()
            if name == "wide"
        }
        bound = ["", *products.lines(steps)] if steps else []
        sections = [*bound, "", *engines.lines(folder), "", *crowded.lines(folder)]
    requirements, are_met = required(results)
    about, is_met = predicting.lines(pairs)
    lines = [
        *introduction(arguments.rounds),
        *requirements,
        *(line for key, rounds in results.items() for line in section(*key, rounds)),
        *("", *about, *sections, ""),
        *where(arguments.peers, has_ludwig=ludwig is not None),
    ]
    publish(lines, PAGE, is_written=arguments.write)
    sys.exit(not (are_met and is_met))


def introduction(num_rounds: int) -> list[str]:
    """Return what the figures are."""
    return [
        "# Training speed",
        "",
        "Made by `python -m benchmarks.performance --write`, with the programs of",
        "[benchmarks/](../../benchmarks/README.md): each goes from the same CSV to a saved model,",
        "five epochs, each with a pass over the validation rows; dlcli with its defaults, its page",
        "included, and once more with `report: false`. *A step* is an epoch's time, validation",
        "included, divided by its steps (the median over epochs without the first, in which",
        "libraries compile); *dlcli takes* is the ratio of dlcli with its defaults to the program,",
        f"below 1 if dlcli is faster. Medians of {num_rounds} rounds, the programs in turn, ratios",
        "within a round.",
        "",
    ]


def required(results: dict[tuple[str, int], Rounds]) -> tuple[list[str], bool]:
    """Return the table of what is asked, and whether every figure is met."""
    lines = [
        "## Requirements",
        "",
        "| workload | cores | measure | of | compared with | required | reached | |",
        "|---|---|---|---|---|---|---|---|",
    ]
    are_met = True
    for asked in ASKED:
        for (name, num_cores), rounds in results.items():
            if name != asked.workload or not any(peer in rounds for peer in asked.against):
                continue
            reached, whose = ratio(rounds, asked)
            is_met = reached <= asked.most
            are_met &= is_met
            against = TITLES[whose] if len(asked.against) == 1 else f"the fastest: {TITLES[whose]}"
            lines.append(
                f"| {name} | {num_cores} | {asked.what} | {TITLES[asked.program]} | {against} | "
                f"≤ {asked.most:g} | {reached:.2f} | {'met' if is_met else 'missed'} |"
            )
    return lines, are_met


def section(name: str, num_cores: int, rounds: Rounds) -> Iterator[str]:
    """Yield the lines about a work load on some cores."""
    workload = WORKLOADS[name]
    layers = "-".join(map(str, workload.units))
    network = (
        "the convolutional network of configs/digits.yaml"
        if workload.image_side
        else f"{layers} with ReLU and dropout of {workload.dropout}"
    )
    yield from ("", f"## {name}, {num_cores} core{'s' * (num_cores > 1)}", "")
    yield (
        f"{workload.num_rows:,} rows of {workload.num_features}, {workload.num_classes} "
        f"classes, {network}, batches of {workload.batch_size}, Adam."
    )
    yield from ("", *table(rounds))
    if others := unlike(rounds):
        yield from ("", f"Less accurate, so not the same work: {', '.join(others)}.")


def where(python: Path, *, has_ludwig: bool) -> list[str]:
    """Return what it was measured on; Python is the interpreter of the peers."""
    versions = subprocess.run(
        [python, "-m", "pip", "freeze"], check=True, capture_output=True, text=True
    ).stdout.split()
    named = ("jax=", "keras=", "lightning=", "skorch=", "scikit-learn=", "torch=")
    shown = [
        version.replace("==", " ").partition("+")[0]
        for version in versions
        if version.startswith(named)
    ]
    ludwig = "and Ludwig as in\nbenchmarks/requirements-ludwig.txt" if has_ludwig else "not Ludwig"
    return [
        "## Where",
        "",
        f"{machine()}. The peers: {', '.join(shown)}, {ludwig}.",
        "Each library has the threads that it takes by itself. scikit-learn's network has no",
        "dropout, and the scan leaves out the last, short batch. All but the rows that say so",
        "compute in fp32.",
    ]


if __name__ == "__main__":
    main()
