"""Accuracy of the diagnosis, on runs that are built to have a known condition.

    python -m benchmarks.diagnosis                  # trains, diagnoses and prints the page
    python -m benchmarks.diagnosis --write          # and writes docs/measurements/diagnosis.md
    python -m benchmarks.diagnosis --development    # the runs that the rules were chosen on

What a run is, is set by how it is made, before its curves are looked at. Asked: of 20 runs, 18
right by the first finding. Exits with 1 below that; with --development, nothing is asked.
"""

import argparse
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
import yaml

from benchmarks.measurement import machine
from dlcli.config import load_config
from dlcli.errors import DivergedError
from dlcli.explaining.constant_baseline import constant_baseline_loss
from dlcli.explaining.learning.diagnosis import diagnose
from dlcli.explaining.learning.finding import Diagnosis, Kind
from dlcli.explaining.learning.history import History, read_history
from dlcli.runs.folder.run_folder import RunFolder
from dlcli.runs.preparation import prepare
from dlcli.runs.training.train import train
from dlcli.training.objective import build_objective

ROOT = Path(__file__).parent.parent
ASKED = 18
MORE_SEEDS = (1001, 2001, 3001, 4001)  # first ones of the same runs, made anew
TARGETS = {
    "penguins": "species",
    "digits": "digit",
    "diabetes": "progression",
    "pass_class": "passed",
    "final_grade": "grade",
    "moons": "color",
}
MADE_BY: dict[Kind, str] = {
    "overfitting": "few or noisy rows, far more parameters than rows, no regularisation, and many "
    "epochs",
    "underfitting": "a linear network on a nonlinear problem, dropout of 0.95, or strong weight "
    "decay",
    "lr_too_high": "about 100 times the rates of the runs without problems",
    "lr_too_low": "about a hundredth of those rates",
    "fine": "usual rates, a large enough network, enough rows, and early stopping or a rate that "
    "decreases to 0",
}


@dataclass(frozen=True)
class Case:
    """A run to be made."""

    data: str  # a shipped table, or one made by the function of that name
    rows: int  # of a made table; 0: all of a shipped one
    units: Sequence[int]
    optimizer: dict[str, Any]
    epochs: int
    batch_size: int | str = 32
    dropout: float = 0.0
    settings: dict[str, Any] = field(default_factory=dict)  # activation, early_stopping, sections

    def __str__(self) -> str:
        result = {name: value for name, value in self.optimizer.items() if value}
        rule = ", ".join(f"{name} {value:g}" for name, value in result.items() if name != "type")
        hidden = "-".join(map(str, self.units)) or "no"
        parts = [
            f"{self.data}, {self.rows:,} rows" if self.rows else self.data,
            f"{hidden} hidden units" + f", dropout {self.dropout:g}" * bool(self.dropout),
            f"{result['type']}, {rule}",
            f"batches of {self.batch_size}, {self.epochs} epochs",
            *(value for value in self.settings.values() if isinstance(value, str)),
            *(f"{name.replace('_', ' ')}" for name in self.settings if name == "early_stopping"),
            *(result["type"] for name, result in self.settings.items() if name == "schedule"),
        ]
        return "; ".join(parts)


@dataclass(frozen=True)
class Result:
    """What was said of a run, and what the advice did."""

    kind: Kind  # that it was made to be
    case: Case
    diagnosis: Diagnosis
    before: float  # the lowest validation loss
    after: float | None  # with all settings of the first finding's changes; None: it has none

    @property
    def is_right(self) -> bool:
        """Whether the first finding is what the run was made to be."""
        return self.diagnosis.kind == self.kind


def spirals(random: np.random.Generator, rows: int) -> dict[str, np.ndarray]:
    """Two spirals, one turn each."""
    turn, label = random.uniform(0.2, 1.0, rows), random.integers(0, 2, rows)
    angle = 2 * np.pi * turn + np.pi * label
    points = np.stack([turn * np.cos(angle), turn * np.sin(angle)])
    return _columns(points.T + 0.03 * random.normal(size=(rows, 2)), label)


def xor(random: np.random.Generator, rows: int) -> dict[str, np.ndarray]:
    """Two classes, each in two opposite quarters of the plane."""
    x = random.uniform(-1, 1, (rows, 2))
    return _columns(x, (x[:, 0] * x[:, 1] > 0).astype(np.int64))


def blobs(random: np.random.Generator, rows: int) -> dict[str, np.ndarray]:
    """Six clouds in five dimensions, that overlap."""
    label = random.integers(0, 6, rows)
    centers = 1.6 * random.normal(size=(6, 5))
    return _columns(centers[label] + random.normal(size=(rows, 5)), label)


def coins(random: np.random.Generator, rows: int) -> dict[str, np.ndarray]:
    """Twelve features, of which one says a little of the class."""
    x = random.normal(size=(rows, 12))
    return _columns(x, (random.random(rows) < 1 / (1 + np.exp(-1.5 * x[:, 0]))).astype(np.int64))


def plane(random: np.random.Generator, rows: int) -> dict[str, np.ndarray]:
    """Twelve features and a linear function of them, with as much noise."""
    x = random.normal(size=(rows, 12))
    return _columns(x, x @ random.normal(size=12) + 3.0 * random.normal(size=rows))


def saddle(random: np.random.Generator, rows: int) -> dict[str, np.ndarray]:
    """x1·x2, of which no linear function knows anything."""
    x = random.uniform(-1, 1, (rows, 2))
    return _columns(x, 10 * x[:, 0] * x[:, 1] + 0.3 * random.normal(size=rows))


def rings(random: np.random.Generator, rows: int) -> dict[str, np.ndarray]:
    """Three rings around one centre, a class each."""
    label, angle = random.integers(0, 3, rows), random.uniform(0, 2 * np.pi, rows)
    radius = 1.0 + label + 0.15 * random.normal(size=rows)
    return _columns(np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1), label)


def board(random: np.random.Generator, rows: int) -> dict[str, np.ndarray]:
    """Black and white fields of a board of 4 by 4."""
    x = random.uniform(0, 4, (rows, 2))
    return _columns(x, np.floor(x).sum(axis=1).astype(np.int64) % 2)


def friedman(random: np.random.Generator, rows: int) -> dict[str, np.ndarray]:
    """Friedman's first function (1991): ten features, of which five matter."""
    x = random.random((rows, 10))
    y = 10 * np.sin(np.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2
    return _columns(x, y + 10 * x[:, 3] + 5 * x[:, 4] + random.normal(size=rows))


def dome(random: np.random.Generator, rows: int) -> dict[str, np.ndarray]:
    """Distances from the centre, squared, of which no linear function knows anything."""
    x = random.uniform(-1, 1, (rows, 3))
    return _columns(x, 50 * (x**2).sum(axis=1) + random.normal(size=rows))


def wide(random: np.random.Generator, rows: int) -> dict[str, np.ndarray]:
    """Thirty features, of which three say something of the class."""
    x = random.normal(size=(rows, 30))
    chance = 1 / (1 + np.exp(-1.5 * x[:, :3].sum(axis=1)))
    return _columns(x, (random.random(rows) < chance).astype(np.int64))


def _columns(x: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    return {**{f"x{index}": column for index, column in enumerate(x.T, 1)}, "y": y}


MADE: dict[str, Callable[[np.random.Generator, int], dict[str, np.ndarray]]] = {
    maker.__name__: maker
    for maker in (spirals, xor, blobs, coins, plane, saddle, rings, board, friedman, dome, wide)
}


def adam(lr: float, kind: str = "adam", **more: float) -> dict[str, Any]:
    """Return an optimizer of Adam's kind, RMSprop too."""
    return {"type": kind, "lr": lr, **more}


def sgd(lr: float, momentum: float = 0.0, **more: float) -> dict[str, Any]:
    """Return gradient descent."""
    return {"type": "sgd", "lr": lr, "momentum": momentum, **more}


EARLY = {"early_stopping": {"patience": 20}}
COSINE = {"schedule": {"type": "cosine"}}
TANH, SIGMOID = {"activation": "tanh"}, {"activation": "sigmoid"}

JUDGED: dict[Kind, list[Case]] = {
    "overfitting": [
        Case("wide", 250, (128, 128), adam(0.003), 100),
        Case("diabetes", 0, (256, 256), adam(0.002), 100),
        Case("friedman", 80, (200,), sgd(0.05, 0.9), 300, batch_size=16, settings=TANH),
        Case(
            "wide", 400, (64, 64), adam(0.003, "rmsprop"), 200, batch_size=64,
            settings={"early_stopping": {"patience": 60}},
        ),
    ],
    "underfitting": [
        Case("board", 800, (), sgd(0.1), 60),
        Case("dome", 600, (), adam(0.02), 60, batch_size=64),
        Case("digits", 0, (32,), adam(0.005), 30, dropout=0.95),
        Case("friedman", 800, (32,), sgd(0.02, weight_decay=1.0), 60),
    ],
    "lr_too_high": [
        Case("digits", 0, (64, 64), adam(0.3), 40),
        Case("friedman", 1000, (32, 32), adam(0.5), 60),
        Case("wide", 1000, (32,), sgd(5.0, 0.9), 60, settings=TANH),
        Case("diabetes", 0, (16,), adam(0.5, "rmsprop"), 60, batch_size=16, settings=TANH),
    ],
    "lr_too_low": [
        Case("digits", 0, (64,), sgd(0.0005), 40),
        Case("diabetes", 0, (16,), adam(0.00005), 80, settings=TANH),
        Case("rings", 1000, (32, 32), adam(0.00003), 60, settings=EARLY),
        Case("friedman", 1000, (32,), adam(0.00005, "adamw"), 60, batch_size=64, settings=COSINE),
    ],
    "fine": [
        Case("digits", 0, (64,), adam(0.003), 60, settings=EARLY),
        Case("friedman", 1500, (32, 32), adam(0.005), 150, settings={**EARLY, **TANH}),
        Case("rings", 1200, (32,), adam(0.005, "rmsprop"), 50, settings=COSINE),
        Case("diabetes", 0, (16,), sgd(0.005, 0.9), 100, batch_size=16, settings={**EARLY, **TANH}),
    ],
}  # fmt: skip

DEVELOPMENT: dict[Kind, list[Case]] = {
    "overfitting": [
        Case("coins", 200, (128, 128), adam(0.003), 100),
        Case("plane", 150, (128, 64), sgd(0.02, 0.9), 200, settings=TANH),
        Case("pass_class", 0, (256, 256), adam(0.003), 300),
        Case("final_grade", 0, (256, 256), adam(0.003), 300, batch_size=16),
        Case(
            "blobs", 150, (200,), adam(0.01, "rmsprop"), 200,
            settings={"early_stopping": {"patience": 80}},
        ),
        Case("plane", 100, (300, 100), adam(0.001, "adamw"), 150, batch_size=8),
        Case("coins", 300, (200, 200), sgd(0.1, 0.9), 200, batch_size=64),
    ],
    "underfitting": [
        Case("xor", 600, (), adam(0.01), 60),
        Case("saddle", 500, (), sgd(0.05), 80),
        Case("penguins", 0, (16,), sgd(0.05, weight_decay=0.5), 60),
        Case("final_grade", 0, (32,), adam(0.01, "adamw", weight_decay=20.0), 60),
        Case("blobs", 800, (8,), adam(0.01), 60, dropout=0.95),
        Case("spirals", 800, (1,), adam(0.01), 100, settings=TANH),
        Case("moons", 0, (), adam(0.01), 100, settings=EARLY),
        Case("blobs", 1000, (1,), adam(0.01), 100, settings=TANH),
    ],
    "lr_too_high": [
        Case("penguins", 0, (32, 32), adam(1.0), 60),
        Case("final_grade", 0, (32, 32), adam(1.0), 60, settings=TANH),
        Case("moons", 0, (32, 32), sgd(5.0, 0.9), 60),
        Case("plane", 500, (32,), sgd(2.0), 60),
        Case("blobs", 800, (64, 64), adam(0.3, "rmsprop"), 60, settings=TANH),
        Case("spirals", 800, (64, 64), adam(0.5), 80, settings=EARLY),
        Case("saddle", 500, (64, 64), adam(0.5), 60, batch_size=64),
        Case("pass_class", 0, (32,), sgd(20.0), 80, batch_size=16, settings=SIGMOID),
    ],
    "lr_too_low": [
        Case("penguins", 0, (32,), adam(3e-5), 60),
        Case("final_grade", 0, (32, 32), sgd(1e-4), 60, settings=TANH),
        Case("blobs", 800, (64,), sgd(3e-4, 0.9), 60, settings=EARLY),
        Case("plane", 500, (32,), adam(3e-5, "adamw"), 100, settings=COSINE),
        Case("moons", 0, (32, 32), adam(1e-5, "rmsprop"), 60),
        Case("spirals", 800, (64, 64), adam(1e-5), 80),
        Case("pass_class", 0, (16,), sgd(3e-4), 100, batch_size="full"),
    ],
    "fine": [
        Case("penguins", 0, (16,), adam(0.01), 100, settings=EARLY),
        Case("final_grade", 0, (16,), adam(0.01), 200, settings={**EARLY, **TANH}),
        Case("moons", 0, (16, 16), adam(0.01), 100, settings=EARLY),
        Case("blobs", 1500, (32,), adam(0.003), 60, settings=EARLY),
        Case("plane", 1500, (16,), sgd(0.01, 0.9), 60, settings={**EARLY, **TANH}),
        Case("saddle", 1000, (32, 32), adam(0.005, "adamw"), 60, settings=COSINE),
        Case("spirals", 1500, (64, 64), adam(0.003), 150, settings=EARLY),
        Case("pass_class", 0, (8,), adam(0.02), 60, settings={**EARLY, **SIGMOID}),
        Case("coins", 3000, (8,), adam(0.003), 60, settings=EARLY),
    ],
    "still_improving": [
        Case("spirals", 1000, (64, 64), adam(0.002), 7),
        Case("blobs", 800, (32,), sgd(0.01, 0.9), 6),
        Case("final_grade", 0, (16,), adam(0.003), 8, settings=TANH),
        Case("penguins", 0, (16,), adam(0.003), 10),
        Case("saddle", 1000, (64, 32), adam(0.001, "adamw"), 30, batch_size=64),
        Case("moons", 0, (16,), adam(0.005, "rmsprop"), 15),
    ],
    "noisy": [
        Case("final_grade", 0, (32, 32), adam(0.003), 40, batch_size=1),
        Case("plane", 2000, (8,), sgd(0.01), 20, batch_size=1),
        Case("blobs", 600, (16,), sgd(0.03), 30, batch_size=1),
    ],
}  # fmt: skip


def write_config(case: Case, folder: Path, seed: int) -> Path:
    """Write a case's table and config."""
    table = ROOT / "data" / f"{case.data}.csv"
    if case.data in MADE:
        table = folder / f"{case.data}.csv"
        columns = MADE[case.data](np.random.default_rng(seed), case.rows)
        pl.DataFrame(columns).write_csv(table)
    settings = dict(case.settings)
    activation = settings.pop("activation", "relu")
    layers: list[dict[str, Any]] = []
    for units in case.units:
        layers.append({"type": "dense", "units": units, "activation": activation})
        layers += [{"type": "dropout", "rate": case.dropout}] * bool(case.dropout)
    config = {
        "seed": seed,
        "report": False,
        "data": {
            "path": str(table),
            "target": TARGETS.get(case.data, "y"),
            "split": {"validation": 0.2},
        },
        "model": {"layers": [*layers, {"type": "dense"}]},
        "optimizer": case.optimizer,
        "training": {
            "batch_size": case.batch_size,
            "epochs": case.epochs,
            "device": "cpu",
            "early_stopping": settings.pop("early_stopping", None),
        },
        **settings,
    }
    file = folder / "case.yaml"
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    return file


def run(config: Path, folder: Path, overrides: Sequence[str] = ()) -> tuple[History, Diagnosis]:
    """Train a config, and diagnose what its run folder says."""
    prepared = prepare(load_config(config, overrides))
    try:
        for _ in train(prepared, run_dir=folder):
            pass
    except DivergedError:
        pass  # its epochs are there
    result = RunFolder(folder)
    history = read_history(metrics=result.metrics, summary=result.summary, config=result.config)
    dataset = prepared.dataset
    target = dataset.fitted.target
    objective = build_objective(prepared.loss, target, torch.device("cpu"))
    targets = torch.tensor(dataset.parts["train"].targets["target"])
    return history, diagnose(
        history, constant_loss=constant_baseline_loss(objective, target, targets)
    )


def judge(kind: Kind, case: Case, folder: Path, seed: int, *, is_advised: bool) -> Result:
    """Make a run, diagnose it, and follow the advice where it is asked for."""
    folder.mkdir()
    history, diagnosis = run(write_config(case, folder, seed), folder / "before")
    after = None
    settings = [result for change in diagnosis.findings[0].changes for result in change.settings]
    if settings and is_advised:
        cured, _ = run(folder / "before" / "config.yaml", folder / "after", settings)
        after = lowest(cured)
    return Result(kind, case, diagnosis, lowest(history), after)


def lowest(history: History) -> float:
    """Return the lowest validation loss; infinite where no epoch was finished."""
    losses = history.validation_losses
    return float("inf") if losses is None else float(losses.min())


def judge_all(
    cases: Mapping[Kind, Sequence[Case]], first_seed: int, *, is_advised: bool = True
) -> list[Result]:
    """Make all runs, with a seed each, telling how it went."""
    results: list[Result] = []
    with tempfile.TemporaryDirectory() as name:
        for kind, result in cases.items():
            for case in result:
                number = len(results)
                folder = Path(name) / str(number)
                seed = first_seed + number
                results.append(judge(kind, case, folder, seed, is_advised=is_advised))
                if is_advised or not results[-1].is_right:
                    print(row(number + 1, results[-1]), flush=True)
    return results


TITLES = """\
| | condition | how | diagnosis | | lowest validation loss | as advised |
|---|---|---|---|---|---|---|"""


def row(number: int, result: Result) -> str:
    """Return a table's row."""
    after = "–" if result.after is None else f"{result.after:.4g}"
    found = ", ".join(words(result.kind) for result in result.diagnosis.findings)
    mark = "" if result.is_right else "**wrong**"
    cells = [str(number), words(result.kind), str(result.case), found, mark]
    return f"| {' | '.join([*cells, f'{result.before:.4g}', after])} |"


def words(kind: Kind) -> str:
    """Return a kind as the page names it."""
    return kind.replace("lr_", "learning rate ").replace("_", " ")


def describe(results: Sequence[Result], more: Sequence[Result]) -> list[str]:
    """Return the page."""
    right = sum(result.is_right for result in results)
    advised = [result for result in results if result.after is not None]
    better = sum(result.after < result.before for result in advised if result.after is not None)
    num_development = sum(map(len, DEVELOPMENT.values()))
    return [
        "# Accuracy of the diagnosis",
        "",
        "Made by `python -m benchmarks.diagnosis --write`.",
        "",
        *wrapped(
            f"{len(results)} runs, four of each kind, each built to have a known condition, before "
            "its curves are seen. They differ in data (synthetic and shipped), task, optimizer, "
            "network size and batch size. The first finding counts: "
            f"**{right} of {len(results)} are right**; required: {ASKED}. With other seeds, "
            f"{sum(result.is_right for result in more)} of {len(more)} are."
        ),
        "",
        *(
            line
            for kind, how in MADE_BY.items()
            for line in wrapped(f"- *{words(kind).capitalize()}*: {how}.", indent="  ")
        ),
        "",
        TITLES,
        *(row(number, result) for number, result in enumerate(results, 1)),
        "",
        *wrapped(
            "The last two columns: the lowest validation loss of the run, and of the same run with "
            "all settings that the first finding suggests. It is lower in "
            f"{better} of {len(advised)}. Early stopping by itself never lowers it, because the "
            "best epoch's weights are kept anyway."
        ),
        "",
        "## The findings",
        "",
        *(
            line
            for number, result in enumerate(results, 1)
            for line in wrapped(f"{number}. {said(result.diagnosis)}", indent="    ")
        ),
        "",
        *describe_wrong([result for result in more if not result.is_right]),
        "",
        "## How the rules were chosen",
        "",
        *wrapped(
            "The rules and their thresholds were chosen on other runs: the "
            f"{num_development} of `--development`, three more seeds of most of them, learning "
            "rates from far too low to far too high on nine of their problems, and one run of each "
            "shipped config. The runs above use other data, except digits and diabetes: of these, "
            "the rules had seen the three runs of shipped configs. Not every run of "
            "`--development` has its intended condition: one with a hundred times the usual rate "
            "may still learn, and one with batches of a single row may not be noisy. Some runs "
            "intended to be short or noisy that were not were replaced."
        ),
        "",
        *wrapped(
            "The 20 runs above were diagnosed once, with the final rules; all were right, and no "
            "rule was changed afterwards. The other seeds were run later."
        ),
        "",
        *wrapped(
            "All these runs are small and clear cases. Curves can't distinguish a network that is "
            "too small from features without more information, or a low learning rate from a "
            "short run."
        ),
    ]


def describe_wrong(wrong: Sequence[Result]) -> list[str]:
    """Return the page's lines on runs with other seeds whose diagnosis is wrong."""
    diverged = sum("diverged" in result.diagnosis.text for result in wrong)
    return [
        *wrapped(
            f"With {len(MORE_SEEDS)} other seeds each, {len(wrong)} diagnoses differ from the "
            f"intended condition. Of these runs, {diverged} diverged, so that their condition is "
            "another one:"
        ),
        "",
        *(
            line
            for result in wrong
            for line in wrapped(
                f"- {result.case}, intended {words(result.kind)}: {said(result.diagnosis)}",
                indent="  ",
            )
        ),
    ]


def said(diagnosis: Diagnosis) -> str:
    """Return a diagnosis in a paragraph."""
    return " ".join(f"{result.text} {result.evidence}" for result in diagnosis.findings)


def wrapped(text: str, indent: str = "") -> list[str]:
    """Return a paragraph's lines."""
    return textwrap.wrap(
        text, 100, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def main() -> int:
    """Make the runs, print, and say whether enough are right."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help="write docs/measurements/diagnosis.md")
    parser.add_argument("--development", action="store_true", help="the runs the rules come from")
    arguments = parser.parse_args()
    started = time.perf_counter()
    print(TITLES)
    if arguments.development:
        results = judge_all(DEVELOPMENT, 100)
        print(f"{sum(result.is_right for result in results)} of {len(results)} as they were made")
        return 0
    results = judge_all(JUDGED, 1)
    more = [result for seed in MORE_SEEDS for result in judge_all(JUDGED, seed, is_advised=False)]
    lines = [
        *describe(results, more),
        "",
        f"{machine()}; {time.perf_counter() - started:.0f} seconds.",
    ]
    if arguments.write:
        (ROOT / "docs" / "measurements" / "diagnosis.md").write_text(
            "\n".join(lines) + "\n", encoding="utf-8"
        )
    right = sum(result.is_right for result in results)
    print(f"with other seeds, {sum(result.is_right for result in more)} of {len(more)} right")
    print(f"{right} of {len(results)} right, asked: {ASKED}")
    return int(right < ASKED)


if __name__ == "__main__":
    sys.exit(main())
