"""All that needs a GPU, in one command: `python -m benchmarks.gpu [--write]`.

Runs the tests that are marked `gpu` and measures, for at most --minutes: captured steps beside
eager ones, stacks of trials beside single ones, a comparison, other libraries. Each part is a
process of its own: one that fails leaves its error on the page, and the next one begins. What
doesn't fit into the time is left out, and said. `--device cpu` rehearses all of it on small tables.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Thread

import torch

from benchmarks.gpu.part import ROOT, run_part
from benchmarks.gpu.work import Work
from benchmarks.workloads import write_workload

PAGE = ROOT / "docs" / "measurements" / "gpu.md"
PEERS = ROOT / "benchmarks" / ".venv" / "bin" / "python"
# In this order; each with its title, and the seconds that it may take where more parts follow.
PARTS = {
    "card": ("The card", 40),
    "checks": ("Tests", 170),
    "engines": ("Captured against eager", 70),
    "stacks": ("Stacks of trials", 70),
    "comparison": ("A comparison of 150 runs", 60),
    "libraries": ("Beside other libraries", 10_000),
}
_RESERVE_SECONDS = 15.0  # of the time, for a part that ends late and for writing the page
_MIN_SECONDS = 10.0  # that a part needs to begin


def measure(parts: list[str], work: Work, minutes: float) -> Iterator[list[str]]:
    """Run the parts in order, yielding the page's lines so far after each."""
    begun = time.time()
    end = begun + 60 * minutes - _RESERVE_SECONDS
    tables = Thread(target=_write_tables, args=(work,), daemon=True)
    tables.start()  # takes a while, on one core
    lines = [
        "# Measurements on a GPU",
        "",
        "Made by `python -m benchmarks.gpu --write`, with the programs of",
        "[benchmarks/](../../benchmarks/README.md).",
    ]
    if work.device == "cpu":
        lines += ["", "**A rehearsal without a GPU, on small tables: these figures mean nothing.**"]
    for name in parts:
        title, seconds = PARTS[name]
        deadline = min(time.time() + seconds, end)
        lines += ["", f"## {title}", ""]
        if deadline - time.time() < _MIN_SECONDS:
            lines += ["Left out, as there was no time."]
            continue
        print(f"{name}: at most {deadline - time.time():.0f} s", file=sys.stderr)
        if name not in ("card", "checks"):
            tables.join()
        lines += run_part(name, replace(work, deadline=deadline))
        yield lines
    lines += ["", f"All of this took {time.time() - begun:.0f} s."]
    yield lines


def _write_tables(work: Work) -> None:
    for workload in work.workloads():
        write_workload(workload, Path(work.folder))


def main() -> None:
    """Measure, print, and with --write write the page, part by part."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    about = "write the page: docs/measurements/gpu.md, or the file named"
    parser.add_argument("--write", nargs="?", type=Path, const=PAGE, metavar="PAGE", help=about)
    parser.add_argument("--device", default="cuda", help="cuda, cuda:N, or cpu for a rehearsal")
    parser.add_argument("--minutes", type=float, default=9.0, help="that all of it may take")
    parser.add_argument("--parts", default=",".join(PARTS), help="some of them")
    parser.add_argument("--tests", nargs="*", default=["tests"], help="some of the tests")
    default = PEERS if PEERS.exists() else Path(sys.executable)
    parser.add_argument("--peers", type=Path, default=default, help="Python with other libraries")
    arguments = parser.parse_args()
    parts = arguments.parts.split(",")
    if unknown := [name for name in parts if name not in PARTS]:
        parser.error(f"--parts: no part {unknown[0]!r}; there are {', '.join(PARTS)}")
    is_rehearsal = arguments.device == "cpu"
    if not is_rehearsal and not torch.cuda.is_available():
        parser.error(
            "PyTorch sees no CUDA GPU here, and everything on this page is about one; "
            "--device cpu rehearses it without"
        )
    if is_rehearsal and arguments.write == PAGE:
        parser.error(f"a rehearsal doesn't belong on {PAGE.relative_to(ROOT)}: --write a file")

    lines: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        work = Work(
            device=arguments.device,
            is_small=is_rehearsal,
            deadline=0.0,
            folder=folder,
            peers=str(arguments.peers),
            tests=tuple(arguments.tests),
        )
        for lines in measure(parts, work, arguments.minutes):
            if arguments.write:
                arguments.write.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
