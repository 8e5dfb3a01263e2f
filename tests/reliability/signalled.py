"""Commands that get a signal at a random moment: `python -m tests.reliability.signalled 200`.

So many SIGINTs, SIGTERMs, SIGHUPs, SIGUSR1s and SIGUSR2s for each command, or for those that are
named behind the number. A command must end with 128 and the signal's number, or with 0 where it was
done or ignores SIGHUP, without a traceback or a hidden file. With 0 it leaves and prints what it
does undisturbed, else nothing, or something whole. Training and comparisons are then given again,
and come to the same.
"""

import json
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conftest import ROOT
from tests.reliability import forked
from tests.reliability.comparing import differences
from tests.reliability.configs import write_config

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
_TABLE = str(ROOT / "data" / "penguins.csv")
_TIMES = {"seconds", "seconds_a_step"}
_Differences = Callable[[Path, Path], list[str]]  # of what is left undisturbed, and disturbed


@dataclass(frozen=True)
class _Case:
    """A command, and how what it leaves is compared."""

    arguments: tuple[str, ...]  # behind them comes where it writes to, unless it only prints
    differences: _Differences
    only_prints: bool = False
    is_resumed: bool = False  # it is given again until its end
    begins_with: Path | None = None  # a copy of this folder is where it writes to

    def start(self, folder: Path) -> forked.Forked:
        """Start it; what it prints and leaves goes to the folder."""
        if self.begins_with is not None and not self.output(folder).exists():
            shutil.copytree(self.begins_with, self.output(folder))
        where = [] if self.only_prints else [self.output(folder).name]
        with chdir(folder):  # names of files are the same wherever it runs
            return forked.start([*self.arguments, *where], folder / "screen.txt")

    def output(self, folder: Path) -> Path:
        """Return what it writes."""
        return folder / ("screen.txt" if self.only_prints else "output.csv")


def _cases(folder: Path) -> dict[str, _Case]:
    config = str(write_config(folder / "c.yaml", "adam", "step"))
    run = folder / "trained"
    forked.start(["train", config, "--run-dir", str(run)], folder / "screen.txt").wait()
    page = ("train", config, "--set", "report=quick", "--resume", "--run-dir")
    short = ("--set", "training.epochs=2", "--seeds", "3", "--optimizers", "sgd,adam")
    compare = ("compare-optimizers", config, *short, "--lrs", "0.01", "--resume", "--run-dir")
    rates = ("find-lr", config, "--seeds", "1", "--steps", "40", "--run-dir")
    return {
        "validate": _Case(("validate", config), _same_bytes, only_prints=True),
        "describe": _Case(("describe", config), _same_bytes, only_prints=True),
        "evaluate": _Case(("evaluate", str(run), "--json"), _same_bytes, only_prints=True),
        "init": _Case(("init", _TABLE, "--target", "species", "-o"), _same_bytes),
        "predict": _Case(("predict", str(run), _TABLE, "-o"), _same_bytes),
        "report": _Case(("report",), _whole_page, begins_with=run),
        "train": _Case(page, differences, is_resumed=True),
        "find-lr": _Case(rates, _same_figures),
        "compare-optimizers": _Case(compare, _same_figures, is_resumed=True),
    }


def _same_bytes(straight: Path, disturbed: Path) -> list[str]:
    is_same = disturbed.exists() and disturbed.read_bytes() == straight.read_bytes()
    return [] if is_same else ["another file"]


def _whole_page(_straight: Path, disturbed: Path) -> list[str]:
    page = disturbed / "report.html"
    is_whole = page.exists() and page.read_text("utf-8").rstrip().endswith("</html>")
    return [] if is_whole else ["no whole page"]


def _same_figures(straight: Path, disturbed: Path) -> list[str]:
    return [
        path.name
        for path in sorted(straight.glob("*.json"))
        if not (disturbed / path.name).exists()
        or _without_times(path) != _without_times(disturbed / path.name)
    ]


def _without_times(path: Path) -> Any:
    def strip(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: strip(one) for key, one in value.items() if key not in _TIMES}
        return [strip(one) for one in value] if isinstance(value, list) else value

    return strip(json.loads(path.read_text("utf-8")))


def disturb(case: _Case, num_signals: int, folder: Path) -> tuple[int, list[str]]:
    """Send so many signals of each kind; return how many commands they ended, and what is wrong."""
    straight = folder / "straight"
    straight.mkdir(parents=True)
    if code := case.start(straight).wait():
        raise RuntimeError(f"undisturbed, exit code {code}: {straight / 'screen.txt'}")
    again = folder / "again"
    again.mkdir()
    begun = time.monotonic()
    case.start(again).wait()
    duration = time.monotonic() - begun
    num_ended, wrong = 0, []
    for number in range(num_signals * len(_SIGNALS)):
        kind = _SIGNALS[number % len(_SIGNALS)]
        disturbed = folder / str(number)
        disturbed.mkdir()
        (disturbed / "screen.txt").touch()  # the signal may come before it is opened
        process = case.start(disturbed)
        code = process.kill(kind, random.uniform(0.002, duration))
        num_ended += code != 0
        found = _look(case, straight, disturbed, code, kind)
        wrong += [f"{number}: {kind.name}, exit code {code}: {what}" for what in found]
        if not found:
            shutil.rmtree(disturbed)
    return num_ended, wrong


def _look(
    case: _Case, straight: Path, disturbed: Path, code: int, kind: signal.Signals
) -> list[str]:
    """Say what is wrong with how a command ended."""
    found = []
    screen, output = (disturbed / "screen.txt").read_text("utf-8"), case.output(disturbed)
    if code not in (0, 128 + kind) or "Traceback" in screen:
        found.append(screen[-2000:])
    found += [f"left {path}" for path in disturbed.rglob(".*")]
    if code and case.is_resumed:
        if code := case.start(disturbed).wait():
            found.append(f"given again, exit code {code}")
    elif code and case.only_prints:
        whole = case.output(straight).read_text("utf-8")
        return found + ([] if whole.startswith(screen) else ["it printed something else"])
    has_written = output.exists() and (
        case.begins_with is None or (output / "report.html").exists()
    )
    if code == 0 or has_written:
        found += case.differences(case.output(straight), output)
    return found


def main(num_signals: int, names: list[str]) -> int:
    """Disturb commands, print what was counted, and return 1 where something is wrong."""
    random.seed(0)
    all_wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, case in _cases(Path(folder)).items():
            if names and name not in names:
                continue
            begun = time.monotonic()
            num_ended, wrong = disturb(case, num_signals, Path(folder, name))
            print("\n".join(wrong), file=sys.stderr)
            counts = f"{num_signals * len(_SIGNALS)} signals, {num_ended} ended it"
            seconds = time.monotonic() - begun
            print(f"{name}: {counts}; {len(wrong)} wrong; {seconds:.0f} s", flush=True)
            all_wrong += len(wrong)
    return int(bool(all_wrong))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
