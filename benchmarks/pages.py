"""What the pages of `dlcli train` and `dlcli report` cost: `python -m benchmarks.pages [--write]`.

Each work load is trained with its defaults, which leave a quick page, and with `report: false`, in
turn, round by round, on one core and on two; then the full page is made of a run. A ratio is the
median over rounds of two figures of the same round. With `--before COMMIT`, that commit trains and
makes its own full page beside. Exits with 1 where a figure is missed.
"""

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.commits import ROOT, check_out, dlcli_of
from benchmarks.programs import cores
from benchmarks.workloads import WORKLOADS, write_workload

PAGE = ROOT / "docs" / "measurements" / "pages.md"
SHIPPED = ("penguins", "moons")
NAMES = (*SHIPPED, *WORKLOADS)
MAX_RATIO = 1.1  # of the process with its page to the one without, in seconds and in peak memory
MAX_SECONDS = 0.8  # more than without its page
MAX_FULL_RATIO = 0.5  # of the full page's seconds to those of the commit before


@dataclass(frozen=True)
class Usage:
    """What a process has taken."""

    seconds: float
    megabytes: float  # at its peak


@dataclass
class Figures:
    """What was measured of a work load, a value a round."""

    with_page: list[Usage] = field(default_factory=list)
    without: list[Usage] = field(default_factory=list)
    full: list[Usage] = field(default_factory=list)
    full_before: list[Usage] = field(default_factory=list)


def run(code: Path, folder: Path, *arguments: object) -> Usage:
    """Run a checkout's dlcli in a folder."""
    command, environment = dlcli_of(code, *arguments)
    begun = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    error = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, error.decode()
    return Usage(time.perf_counter() - begun, usage.ru_maxrss / 1024)


def measure(name: str, folder: Path, before: Path | None, num_rounds: int) -> Figures:
    """Train and draw a work load, round by round."""
    shipped = ROOT / "configs" / f"{name}.yaml"
    config = shipped if name in SHIPPED else write_workload(WORKLOADS[name], folder)[0]
    figures = Figures()
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary)
        if before:
            run(before, folder, "train", config, "--run-dir", path / "before")
        for number in range(num_rounds):
            train = ("train", config, "--run-dir", path / f"{number}")
            figures.without.append(run(ROOT, folder, *train, "--set", "report=false"))
            shutil.rmtree(path / f"{number}")
            figures.with_page.append(run(ROOT, folder, *train))
            figures.full.append(run(ROOT, folder, "report", path / f"{number}"))
            if before:
                figures.full_before.append(run(before, folder, "report", path / "before"))
            print(f"{name}: round {number + 1} of {num_rounds}", file=sys.stderr)
    return figures


def ratio(first: Sequence[Usage], second: Sequence[Usage], what: str) -> float:
    """Return the median over rounds of two usages' ratio, of "seconds" or "megabytes"."""
    pairs = zip(first, second, strict=True)
    return float(
        statistics.median(getattr(one, what) / getattr(other, what) for one, other in pairs)
    )


def rows(results: dict[tuple[str, int], Figures]) -> Iterator[tuple[str, bool]]:
    """Yield the lines of the tables, each with whether its figures are met."""
    yield "| work | cores | without a page | with the quick page | ratio | more | memory | |", True
    yield "|---|---|---|---|---|---|---|---|", True
    for (name, num_cores), figures in results.items():
        plain, paged = (
            statistics.median(usage.seconds for usage in usages)
            for usages in (figures.without, figures.with_page)
        )
        times = ratio(figures.with_page, figures.without, "seconds")
        memory = ratio(figures.with_page, figures.without, "megabytes")
        pairs = zip(figures.with_page, figures.without, strict=True)
        more = statistics.median(one.seconds - other.seconds for one, other in pairs)
        is_met = times <= MAX_RATIO and more <= MAX_SECONDS and memory <= MAX_RATIO
        yield (
            f"| {name} | {num_cores} | {plain:.2f} s | {paged:.2f} s | {times:.2f} | "
            f"{more:.2f} s | {memory:.2f} | {'met' if is_met else 'missed'} |",
            is_met,
        )
    yield "", True
    yield "| work | cores | the full page | before | ratio | memory | |", True
    yield "|---|---|---|---|---|---|---|", True
    for (name, num_cores), figures in results.items():
        seconds = statistics.median(usage.seconds for usage in figures.full)
        memory = statistics.median(usage.megabytes for usage in figures.full)
        if not figures.full_before:
            yield f"| {name} | {num_cores} | {seconds:.1f} s | – | – | {memory:,.0f} MB | |", True
            continue
        before = statistics.median(usage.seconds for usage in figures.full_before)
        times = ratio(figures.full, figures.full_before, "seconds")
        is_met = times <= MAX_FULL_RATIO
        yield (
            f"| {name} | {num_cores} | {seconds:.1f} s | {before:.1f} s | {times:.2f} | "
            f"{memory:,.0f} MB | {'met' if is_met else 'missed'} |",
            is_met,
        )


def main() -> int:
    """Measure, print, and say whether every figure is met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cores", default="1,2", help="numbers of cores to do it on, in turn")
    parser.add_argument("--works", default=",".join(NAMES), help="some of them")
    parser.add_argument("--before", help="a commit whose full page is made beside")
    parser.add_argument("--write", action="store_true", help="write the page")
    arguments = parser.parse_args()
    results: dict[tuple[str, int], Figures] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        before, words = None, ""
        if arguments.before:
            before = folder / "before"
            before.mkdir()
            words = f" --before {check_out(arguments.before, before)[:10]}"
        for name in arguments.works.split(","):
            for num_cores in map(int, arguments.cores.split(",")):
                with cores(num_cores):
                    results[name, num_cores] = measure(name, folder, before, arguments.rounds)
    lines = [*rows(results)]
    text = "\n".join(
        [
            "# What pages cost",
            "",
            f"Made by `python -m benchmarks.pages{words} --write`: whole processes, in turn. The",
            f"process with its quick page may take {MAX_RATIO} times as long as the one without,",
            f"{MAX_SECONDS} s more, and {MAX_RATIO} times the memory at its peak; the full page",
            f"(`dlcli report RUN`), {MAX_FULL_RATIO} times as long as that of the commit before.",
            f"Medians of {arguments.rounds} rounds, ratios within a round.",
            "",
            *(line for line, _ in lines),
            "",
            f"{os.cpu_count()} cores, no GPU; Python {platform.python_version()}.",
        ]
    )
    print(text)
    if arguments.write:
        PAGE.write_text(text + "\n", encoding="utf-8")
    return 0 if all(is_met for _, is_met in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
