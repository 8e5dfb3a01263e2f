"""How near the suggestions of `dlcli find-lr` come to the rates that tuning chooses.

    python -m benchmarks.find_lr            # prints the page
    python -m benchmarks.find_lr --write    # and writes docs/measurements/find-lr.md

For each problem and optimizer: the range test with its own settings, read off by dlcli's rule and
by others, beside the rate that the tuning of `dlcli compare-optimizers` chooses.
"""

import argparse
import math
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
import yaml

from benchmarks.many_runs import write_two_features
from benchmarks.measurement import machine
from benchmarks.verdicts import compare_config, percent, wrapped
from benchmarks.workloads import WORKLOADS, write_workload
from dlcli.config import load_config
from dlcli.runs.comparison.find_lr import Range, RangeTestFinished, find_lr
from dlcli.runs.preparation import Prepared
from dlcli.trials.comparing.comparison import OptimizerResult
from dlcli.trials.range_test import RangeReading

ROOT = Path(__file__).parent.parent
OPTIMIZERS = ("sgd", "momentum", "nesterov", "adam", "rmsprop", "adagrad", "adadelta")
SETTINGS = ["training.device=cpu", "compare.seeds=2"]
HOPELESS = 4.0  # times the lowest smoothed loss so far: where fastai and Lightning end their tests
SKIPPED = 0.1  # of the steps, at their start, in which fastai looks for nothing
ENOUGH = 1.5  # times the loss at the tuned rate
TOO_HIGH = 0.75  # decades
ROUNDING = 0.01  # decades: rates are written with two digits


@dataclass(frozen=True)
class Case:
    """A range test of an optimizer on a problem, and what tuning says."""

    problem: str
    reading: RangeReading
    result: OptimizerResult

    @property
    def tuned(self) -> float:
        """The rate that tuning chose."""
        assert self.result.choice is not None, "low rates don't diverge"
        return self.result.choice.lr

    @property
    def edge(self) -> int:
        """The edge of the grid that it lies on; 0: none."""
        assert self.result.choice is not None, "low rates don't diverge"
        return self.result.choice.edge

    def decades_off(self, lr: float) -> float:
        """Return how far a rate lies above the tuned one."""
        return math.log10(lr / self.tuned)

    def is_beyond(self, lr: float) -> bool:
        """Return whether a rate lies outside the grid."""
        return not min(self.result.grid) <= lr <= max(self.result.grid)

    def serves(self, lr: float) -> bool:
        """Return whether the loss near a rate is hardly worse than at the tuned one."""
        nearest = min(self.result.grid, key=lambda rate: abs(math.log(rate / lr)))
        return self._loss(nearest) <= ENOUGH * self._loss(self.tuned)

    @property
    def is_perfect(self) -> bool:
        """Whether the loss at the tuned rate is 0."""
        return self._loss(self.tuned) == 0

    def _loss(self, lr: float) -> float:
        runs = self.result.grid[lr]
        return sorted(run.best_loss for run in runs)[len(runs) // 2]


def steepest(reading: RangeReading) -> float:
    """Return the rate at which the smoothed loss falls fastest, before it has risen again."""
    smoothed = np.array(reading.smoothed)
    is_hopeless = ~(smoothed <= HOPELESS * np.minimum.accumulate(smoothed))
    end = int(np.argmax(is_hopeless)) if is_hopeless.any() else len(smoothed)
    first = int(SKIPPED * Range().num_steps)
    return reading.lrs[first + int(np.argmin(np.gradient(smoothed[:end])[first:]))]


RULES: dict[str, Callable[[RangeReading], float | None]] = {
    "a tenth of the rate of the lowest loss (dlcli)": lambda reading: reading.suggestion,
    "half a decade below the rate of the lowest loss": lambda reading: reading.lowest_at / 10**0.5,
    "the steepest descent": steepest,
    "the rate of the lowest loss": lambda reading: reading.lowest_at,
}


def write_ten_features(folder: Path) -> Path:
    """Write 1,000 rows of ten features, four of which say a number, with noise."""
    random = np.random.default_rng(0)
    features = random.normal(size=(1_000, 10))
    target = 2 * features[:, 0] - features[:, 1] + np.sin(2 * features[:, 2]) * features[:, 3]
    target += 0.5 * random.normal(size=len(features))
    columns = {f"x{index}": column for index, column in enumerate(features.T)}
    pl.DataFrame({**columns, "y": target}).write_csv(folder / "ten.csv")
    dense = {"type": "dense", "units": 32, "activation": "relu"}
    config = {
        "data": {"path": "ten.csv", "target": "y", "split": {"validation": 0.2}},
        "model": {"layers": [dense, dense, {"type": "dense"}]},
        "training": {"batch_size": 32, "epochs": 40},
    }
    (folder / "ten.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    return folder / "ten.yaml"


def shipped(name: str) -> Callable[[Path], Path]:
    """Return what gives a shipped config."""
    return lambda _: ROOT / "configs" / f"{name}.yaml"


def smaller(name: str) -> Callable[[Path], Path]:
    """Return what writes a work load of the other benchmarks, with fewer rows."""
    workload = replace(WORKLOADS[name], num_rows=4_000)
    return lambda folder: write_workload(workload, folder)[0]


# Name → what gives its config, and settings of its own.
KNOWN: dict[str, tuple[Callable[[Path], Path], list[str]]] = {
    name: (shipped(name), [])
    for name in ("moons", "penguins", "diabetes", "final_grade", "pass_class")
}
UNSEEN: dict[str, tuple[Callable[[Path], Path], list[str]]] = {
    "two features": (write_two_features, ["training.epochs=20"]),
    "ten features": (write_ten_features, []),
    "*tiny*": (smaller("tiny"), []),
    "*small*": (smaller("small"), []),
}


def measure(name: str, config: Path, settings: list[str], folder: Path) -> Iterator[Case]:
    """Yield a problem's cases, optimizer by optimizer."""
    loaded = load_config(config, [*SETTINGS, *settings])
    comparable, comparison = compare_config(loaded, folder / f"{name} tuned", OPTIMIZERS)
    print(f"{name}: tuned", file=sys.stderr)
    for optimizer_name, optimizer in comparable.candidates.optimizers.items():
        resolved = comparable.prepared.config.model_copy(update={"optimizer": optimizer})
        prepared = replace(comparable.prepared, config=resolved)
        yield Case(
            name,
            read_range_test(prepared, folder / f"{name} {optimizer_name}"),
            comparison.result(optimizer_name),
        )


def read_range_test(prepared: Prepared, folder: Path) -> RangeReading:
    """Do what `dlcli find-lr` does with its own settings, without a word."""
    *_, finished = find_lr(prepared, Range(), run_dir=folder)
    assert isinstance(finished, RangeTestFinished)
    return finished.reading


@dataclass(frozen=True)
class Score:
    """How a rule does on some cases."""

    name: str
    off: tuple[float, ...]  # decades above the tuned rate, of each suggestion that was given
    num_serving: int
    num_beyond: int
    num_cases: int

    @property
    def near(self) -> int:
        """How many suggestions are within a decade."""
        return sum(abs(decades) <= 1 + ROUNDING for decades in self.off)

    @property
    def row(self) -> str:
        """The table's row."""
        nearer = sum(abs(decades) <= 0.5 + ROUNDING for decades in self.off)
        too_high = sum(decades > TOO_HIGH for decades in self.off)
        counts = (nearer, self.near, self.num_serving, too_high)
        shares = " | ".join(percent(count / self.num_cases) for count in counts)
        num_none = self.num_cases - len(self.off)
        return f"| {self.name} | {shares} | {self.num_beyond} | {num_none} |"


def score(name: str, cases: Sequence[Case]) -> Score:
    """Hold a rule's suggestions against the tuned rates."""
    given = [(case, lr) for case in cases if (lr := RULES[name](case.reading)) is not None]
    return Score(
        name,
        off=tuple(case.decades_off(lr) for case, lr in given),
        num_serving=sum(case.serves(lr) for case, lr in given),
        num_beyond=sum(case.is_beyond(lr) for case, lr in given),
        num_cases=len(cases),
    )


def describe_rules(cases: Sequence[Case]) -> list[str]:
    """Return the table of how the rules do, and where that leaves dlcli's."""
    ours, *others = [score(name, cases) for name in RULES]
    nearer = [other.name for other in others if other.near > ours.near]
    return [
        f"| of {len(cases)} tests | within half a decade | within a decade | loss ≤ {ENOUGH:g} × | "
        f"> {TOO_HIGH:g} decades too high | beyond the grid | none given |",
        "|---|---|---|---|---|---|---|",
        *(other.row for other in (ours, *others)),
        "",
        *wrapped(
            f"dlcli's suggestion lies {statistics.median(ours.off):+.1f} decades from the tuned "
            "rate in the median test. More often within a decade than it: "
            f"{', '.join(nearer) or 'none'}."
        ),
    ]


def describe_cases(cases: Sequence[Case]) -> list[str]:
    """Return the table of how far dlcli's suggestions are off."""
    lines = [f"| decades | {' | '.join(OPTIMIZERS)} |", f"|---{'|---' * len(OPTIMIZERS)}|"]
    for problem in dict.fromkeys(case.problem for case in cases):
        by_name = {case.result.name: case for case in cases if case.problem == problem}
        lines.append(f"| {problem} | {' | '.join(cell(by_name[name]) for name in OPTIMIZERS)} |")
    return lines


def cell(case: Case) -> str:
    """Say how far dlcli's suggestion is off, and of what."""
    lr = case.reading.suggestion
    if lr is None:
        return f"none, {case.tuned:g}"
    return f"{case.decades_off(lr):+.1f}{'' if case.serves(lr) else '!'} of {case.tuned:g}"


def describe(known: Sequence[Case], unseen: Sequence[Case]) -> list[str]:
    """Return the page."""
    num_perfect = sum(case.is_perfect for case in [*known, *unseen])
    num_edges = sum(abs(case.edge) for case in [*known, *unseen])
    return [
        "# Accuracy of `dlcli find-lr`",
        "",
        *wrapped(
            "Made by `python -m benchmarks.find_lr --write`: the range test with its own settings "
            f"({Range().num_steps} steps, {Range().num_seeds} seeds) for "
            f"{', '.join(OPTIMIZERS[:-1])} and {OPTIMIZERS[-1]}, beside the rate that "
            "`dlcli compare-optimizers` chooses by full runs on five seeds."
        ),
        "",
        *wrapped(
            "Rules are read off the same losses, smoothed as dlcli does. fastai offers the "
            "steepest descent (`steep`), which is also Lightning's rule, and a tenth of the rate "
            "of the lowest loss (`minimum`). As in fastai, the steepest descent here leaves out "
            f"the first tenth of the steps and ends where the loss is {HOPELESS:g} times its "
            "lowest. fastai's own default, `valley`, is not measured."
        ),
        "",
        "- *Within half a decade* and *within a decade*: of the tuned rate, above or below. Tuned",
        "  rates are half a decade apart, and their neighbours are often as good.",
        f"- *Loss ≤ {ENOUGH:g} ×*: of tuning's runs at the rate nearest to the suggestion, the",
        f"  median loss is at most {ENOUGH:g} times that at the tuned rate, which is easy where "
        "noise",
        "  in the data makes up most of the loss. A suggestion *beyond the grid* is judged by the",
        "  grid's last rate, which may flatter it.",
        "- *None given* counts as a miss in the shares. Only dlcli's rule may give no suggestion.",
        "",
        *wrapped(
            f"The tuned rate is at an edge of its grid in {num_edges} of "
            f"{len(known) + len(unseen)} tests. In {num_perfect}, the loss at the tuned rate is 0, "
            f"and only 0 is at most {ENOUGH:g} times that: if few validation rows can all be "
            "classified correctly, ever higher rates make the best epoch's loss ever lower, and "
            "the tuned rate says little."
        ),
        "",
        "## The shipped configs",
        "",
        *wrapped(
            "Half a decade below the rate of the lowest loss was dlcli's first rule, chosen on "
            "these configs and `digits_dense`. On other problems its suggestions were too high, so "
            "dlcli now uses the more cautious rule that fastai has too."
        ),
        "",
        *describe_rules(known),
        "",
        "## Synthetic problems",
        "",
        "Four synthetic problems: two features ([many-runs.md](many-runs.md)) with 20 epochs, ten",
        "features and a number to predict, and *tiny* and *small* of the other benchmarks with",
        "4,000 rows. The first rule failed on them, so they don't validate the second one.",
        "",
        *describe_rules(unseen),
        "",
        "## Distance of dlcli's suggestions from the tuned rates",
        "",
        "In decades, above (+) or below (-) the tuned rate, which follows `of`; `!`: the loss is",
        f"more than {ENOUGH:g} times as high.",
        "",
        *describe_cases([*known, *unseen]),
        "",
        f"{machine()}.",
    ]


def main() -> None:
    """Measure, print, and with --write write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help="write docs/measurements/find-lr.md")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        known, unseen = (
            [
                case
                for name, (write, settings) in problems.items()
                for case in measure(name, write(folder), settings, folder)
            ]
            for problems in (KNOWN, UNSEEN)
        )
    lines = describe(known, unseen)
    print("\n".join(lines))
    if arguments.write:
        (ROOT / "docs" / "measurements" / "find-lr.md").write_text(
            "\n".join(lines) + "\n", encoding="utf-8"
        )


if __name__ == "__main__":
    main()
