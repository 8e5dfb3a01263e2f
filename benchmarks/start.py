"""How long the commands that need no torch take, and what training takes outside of training.

    python -m benchmarks.start [--rounds 15]     # prints the table
    python -m benchmarks.start --write           # and writes docs/measurements/start.md

Each round starts every program once, in turn, so that a busy machine slows all of them alike; the
ratio is the median over rounds of a command's seconds over those of the imports of the same round.
`dlcli train` is run once a round, too, and the median of each of its phases is listed
(train_phases.py). Exits with 1 where a figure misses what is asked for.
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
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tests.cli.test_validate import TEN

ROOT = Path(__file__).parent.parent
IMPORTS = [sys.executable, "-c", "import typer, rich, pydantic, yaml, polars"]
HELP = "`dlcli --help`"
VALIDATE = "`dlcli validate configs/penguins.yaml`"
TRAINED = "configs/penguins.yaml"
MISTAKES = "`dlcli validate`, ten mistakes"
# What is asked for, and whether seconds and times the imports are that.
ASKED: dict[str, tuple[str, Callable[[float, float], bool]]] = {
    HELP: ("≤ 0.6 times", lambda _, ratio: ratio <= 0.6),
    VALIDATE: ("≤ 1.4 times", lambda _, ratio: ratio <= 1.4),
    MISTAKES: ("< 0.5 s", lambda seconds, _: seconds < 0.5),
}
HEADER = """# Start-up time

Made by `python -m benchmarks.start --write`: response time of commands that don't train, as
medians of programs started in turn. The imports are `python -c "import typer, rich, pydantic, yaml,
polars"`, which every command that reads a config and a table needs; `import torch` is what these
commands avoid. Below: what training spends its time on, and what it takes outside of reading and
training.
"""


def seconds_of(command: list[str]) -> float:
    """Run a program and return its wall time in seconds."""
    # Python keeps what it has compiled, unless it is told not to.
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    start = time.perf_counter()
    subprocess.run(command, cwd=ROOT, env=kept, capture_output=True, check=False)
    return time.perf_counter() - start


def train_phases(folder: Path) -> dict[str, float]:
    """Train once, and return the seconds of each phase."""
    command = [sys.executable, "-m", "benchmarks.train_phases", TRAINED, str(folder)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    seconds: dict[str, float] = json.loads(result.stdout.splitlines()[-1])["seconds"]
    return seconds


def phases_table(rounds: Sequence[dict[str, float]]) -> Iterator[str]:
    """Yield the lines of a table of training's phases."""
    yield "| phase | seconds |"
    yield "|---|---|"
    for name in rounds[0]:
        yield f"| {name} | {statistics.median(one[name] for one in rounds):.3f} |"
    yield f"| all | {statistics.median(sum(one.values()) for one in rounds):.3f} |"


def main() -> int:
    """Measure, print, and say whether every figure is what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--write", action="store_true", help="write docs/measurements/start.md")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "ten.yaml"
        config.write_text(TEN, encoding="utf-8")
        dlcli = [sys.executable, "-m", "dlcli"]
        commands = {
            "the imports": IMPORTS,
            HELP: [*dlcli, "--help"],
            VALIDATE: [*dlcli, "validate", "configs/penguins.yaml"],
            MISTAKES: [*dlcli, "validate", str(config)],
            "`import torch`": [sys.executable, "-c", "import torch"],
        }
        for command in commands.values():
            seconds_of(command)  # once in vain, so that all of them are compiled
        rounds, trained = [], []
        for number in range(arguments.rounds):
            trained.append(train_phases(Path(folder) / f"run-{number}"))
            rounds.append({name: seconds_of(command) for name, command in commands.items()})
            print(f"round {number + 1} of {arguments.rounds}", end="\r", flush=True)
    lines = ["| command | seconds | times the imports | asked |", "|---|---|---|---|"]
    missed = []
    for name in commands:
        seconds = statistics.median(one[name] for one in rounds)
        ratio = statistics.median(one[name] / one["the imports"] for one in rounds)
        asked, reached = ASKED.get(name, ("–", lambda *_: True))
        if not reached(seconds, ratio):
            missed.append(name)
        lines.append(f"| {name} | {seconds:.3f} | {ratio:.2f} | {asked} |")
    lines += ["", f"`dlcli train {TRAINED}`, from its start to its end:", ""]
    lines += phases_table(trained)
    print("\n".join(lines))
    if arguments.write:
        machine = f"Python {platform.python_version()} on two cores."
        text = f"{HEADER}\n" + "\n".join(lines) + f"\n\n{machine}\n"
        (ROOT / "docs" / "measurements" / "start.md").write_text(text, encoding="utf-8")
    print(f"missed: {', '.join(missed)}" if missed else "everything asked for is reached")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
