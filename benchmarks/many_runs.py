"""150 runs stacked, beside a plain loop.

`python -m benchmarks.many_runs [--write]`: six optimizers, five learning rates, five seeds. Each
round does the 30 runs of one seed by a PyTorch loop over a DataLoader, one after the other, and as
dlcli does a single run, one by one; and all 150 stacked. All do the same: epochs with a
look at the validation rows, the best weights kept. And the whole of `dlcli compare-optimizers` runs
once a round, imports, choice of learning rates, verdict and page included.
"""

import argparse
import copy
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import torch
import yaml
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - as everywhere
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.measurement import machine, met, publish
from benchmarks.workloads import WORKLOADS, write_workload
from dlcli.config import load_config
from dlcli.optimizers.adadelta import Adadelta
from dlcli.optimizers.adagrad import Adagrad
from dlcli.optimizers.adam import Adam, AdamW
from dlcli.optimizers.base import OptimizerConfig
from dlcli.optimizers.rmsprop import RmsProp
from dlcli.optimizers.sgd import Sgd
from dlcli.runs.comparison.setup import build_setup
from dlcli.runs.preparation import prepare
from dlcli.training.device import Placement, choose_placement
from dlcli.training.rows.batches import Rows
from dlcli.trials.comparing.protocol import optimizer_trial
from dlcli.trials.results import FinishedTrial
from dlcli.trials.running.execution import plan_execution
from dlcli.trials.running.sequential import run_sequentially
from dlcli.trials.running.workers import execute
from dlcli.trials.setup import ResolvedTrial, SharedSetup

PAGE = Path(__file__).parent.parent / "docs" / "measurements" / "many-runs.md"
RULES: list[OptimizerConfig] = [
    Sgd(type="sgd", lr=0.1),
    Adam(type="adam", lr=1e-3),
    AdamW(type="adamw", lr=1e-3),
    RmsProp(type="rmsprop", lr=1e-3),
    Adagrad(type="adagrad", lr=1e-2),
    Adadelta(type="adadelta", lr=1.0),
]
FACTORS = (0.1, 0.3, 1.0, 3.0, 10.0)
SEEDS = range(1, 6)
_THAN_COMMAND = 20  # times a run's share of the whole command, that a run of the plain loop takes
TORCHS = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
    "adagrad": torch.optim.Adagrad,
    "adadelta": torch.optim.Adadelta,
}


@dataclass(frozen=True)
class Work:
    """A config, and how many times less than the others dlcli must take."""

    name: str
    write: Callable[[Path], Path]
    epochs: int
    than_plain: float
    than_sequential: float


def write_two_features(folder: Path) -> Path:
    """Write 2,000 rows of two features, whose product's sign is the class, with noise."""
    random = np.random.default_rng(0)
    features = random.normal(size=(2_000, 2))
    label = (features.prod(axis=1) + 0.3 * random.normal(size=2_000) > 0).astype(int)
    pl.DataFrame({"a": features[:, 0], "b": features[:, 1], "y": label}).write_csv(
        folder / "two.csv"
    )
    dense = {"type": "dense", "units": 8, "activation": "tanh"}
    config = {
        "data": {"path": "two.csv", "target": "y", "split": {"validation": 0.2}},
        "model": {"layers": [dense, dense, {"type": "dense"}]},
        "training": {"batch_size": 16, "device": "cpu"},
    }
    (folder / "two.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    return folder / "two.yaml"


WORK = (
    Work("Two features, 2,000 rows, 8-8 tanh, batches of 16", write_two_features, 5, 40, 8),
    Work(
        "*tiny*: 20 features, 20,000 rows, 64-64 ReLU with dropout, batches of 32",
        lambda folder: write_workload(WORKLOADS["tiny"], folder)[0],
        2,
        12,
        3,
    ),
)


def read_setup(
    config: Path, epochs: int, placement: Placement, settings: Sequence[str] = ()
) -> SharedSetup:
    """Return what all trials share."""
    prepared = prepare(load_config(config, [f"training.epochs={epochs}", *settings]))
    return build_setup(prepared, placement)


def trials_of(setup: SharedSetup, seeds: Sequence[int]) -> list[ResolvedTrial]:
    """Return the trials of some seeds."""
    optimizers = [
        rule.model_copy(update={"lr": rule.lr * factor}) for rule in RULES for factor in FACTORS
    ]
    return [
        ResolvedTrial(optimizer_trial(optimizer, seed), setup, optimizer)
        for optimizer in optimizers
        for seed in seeds
    ]


def build(setup: SharedSetup) -> nn.Module:
    """Return the network as one would write it."""
    layers: list[nn.Module] = []
    width = setup.plan.signature.num_inputs
    for layer in setup.plan.layers:
        match layer.config.type:
            case "dense":
                layers.append(nn.Linear(width, layer.output_shape[0]))
                width = layer.output_shape[0]
                match getattr(layer.config, "activation", None):
                    case "tanh":
                        layers.append(nn.Tanh())
                    case "relu":
                        layers.append(nn.ReLU())
            case "dropout":
                layers.append(nn.Dropout(getattr(layer.config, "rate", 0.0)))
            case other:
                raise ValueError(f"no work load here has a layer {other}")
    return nn.Sequential(*layers)


def _tensors(rows: Rows) -> tuple[Tensor, Tensor]:
    """Return numbers [rows, width] and whether each row is of the second class [rows]."""
    return rows.inputs["numbers"], rows.targets["target"].float()


def run_plainly(trial: ResolvedTrial) -> float:
    """Train by a loop over a DataLoader; return the best validation loss."""
    setup = trial.setup
    assert setup.validation is not None, "there are validation rows"
    torch.manual_seed(trial.seed)
    model = build(setup)
    settings = trial.optimizer.model_dump(exclude={"type"})
    optimizer = TORCHS[trial.optimizer.type](model.parameters(), **settings)
    train, validation = (_tensors(rows) for rows in (setup.train, setup.validation))
    data = TensorDataset(*train)
    size = setup.settings.rows_per_batch(len(data))
    loader = DataLoader(data, batch_size=size, shuffle=True)
    best, weights = math.inf, None
    for _ in range(setup.settings.epochs):
        model.train()
        for features, targets in loader:
            optimizer.zero_grad()
            outputs = model(features)[:, 0]
            loss = F.binary_cross_entropy_with_logits(outputs, targets)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        model.eval()
        with torch.no_grad():
            outputs = model(validation[0])[:, 0]
            now = F.binary_cross_entropy_with_logits(outputs, validation[1]).item()
        if now < best:
            best, weights = now, copy.deepcopy(model.state_dict())
    assert weights is not None
    return best


def best_losses(events: Iterable[object]) -> list[float]:
    """Return each run's best validation loss."""
    return [
        min(point.validation_loss for point in event.curve)
        for event in events
        if isinstance(event, FinishedTrial)
    ]


def compare_by_command(config: Path, epochs: int) -> tuple[float, int]:
    """Return the seconds of `dlcli compare-optimizers`, as a user types it, and its number of runs.

    Those of the six optimizers, with the command's own learning rates and seeds.
    """
    names = ",".join(rule.type for rule in RULES)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "dlcli", "compare-optimizers", str(config)]
        command += ["--optimizers", names, "--set", f"training.epochs={epochs}"]
        begun = time.perf_counter()
        subprocess.run([*command, "--run-dir", folder], check=True, capture_output=True)
        seconds = time.perf_counter() - begun
        return seconds, len((Path(folder) / "runs.jsonl").read_text("utf-8").splitlines()) - 1


def measure(work: Work, folder: Path) -> tuple[list[str], bool]:
    """Return a work load's lines, and whether its figures are met."""
    config = work.write(folder)
    setup = read_setup(config, work.epochs, choose_placement("cpu", "fp32"))
    threads = torch.get_num_threads()
    plan = plan_execution(trials_of(setup, SEEDS))

    def plainly(seed: int) -> list[float]:
        torch.set_num_threads(threads)
        return [run_plainly(trial) for trial in trials_of(setup, [seed])]

    def sequential(seed: int) -> list[float]:
        torch.set_num_threads(1)  # what `dlcli train` takes for networks of this size
        return best_losses(run_sequentially(trials_of(setup, [seed])))

    def stacked(_: int) -> list[float]:
        plan = plan_execution(trials_of(setup, SEEDS))
        return best_losses(execute(plan.jobs, plan.num_processes))

    functions = {"plainly": plainly, "sequential": sequential, "stacked": stacked}
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    losses: dict[str, list[float]] = {name: [] for name in functions}
    commands = []
    for seed in SEEDS:
        commands.append(compare_by_command(config, work.epochs))
        print(f"{work.name}: whole command {commands[-1][0]:.2f} s", file=sys.stderr)
        for name, function in functions.items():
            begun = time.perf_counter()
            losses[name] += function(seed)
            seconds[name].append(time.perf_counter() - begun)
            print(f"{work.name}: seed {seed} {name}: {seconds[name][-1]:.2f} s", file=sys.stderr)
    # Of the others, each round is a fifth of the runs.
    ours = statistics.median(seconds["stacked"])
    plain, single = sum(seconds["plainly"]), sum(seconds["sequential"])
    command, num_runs = statistics.median_low(commands)
    share = (plain / len(SEEDS) / len(trials_of(setup, [1]))) / (command / num_runs)
    is_met = plain / ours >= work.than_plain and single / ours >= work.than_sequential
    is_met &= share >= _THAN_COMMAND
    loss = {name: statistics.median(found) for name, found in losses.items()}
    return [
        "",
        f"## {work.name}",
        "",
        f"{work.epochs} epochs per run. dlcli chose: {plan.reason}.",
        "",
        "| 150 runs | seconds | speedup of stacking | required | | median of best losses |",
        "|---|---|---|---|---|---|",
        f"| PyTorch, a DataLoader, one by one | {plain:.1f} | {plain / ours:.0f} | "
        f"{work.than_plain:.0f} | {met(plain / ours, work.than_plain)} | "
        f"{loss['plainly']:.4f} |",
        f"| dlcli, one by one | {single:.1f} | {single / ours:.1f} | "
        f"{work.than_sequential:.0f} | {met(single / ours, work.than_sequential)} | "
        f"{loss['sequential']:.4f} |",
        f"| dlcli, stacked | {ours:.2f} | | | | {loss['stacked']:.4f} |",
        "",
        f"`dlcli compare-optimizers`, the whole command: {num_runs} runs in {command:.2f} s, from "
        "the start of Python to the page. A run of the plain loop takes "
        f"{share:.1f} times a run's share (required: {_THAN_COMMAND}, "
        f"{met(share, _THAN_COMMAND)}).",
    ], is_met


def main() -> None:
    """Measure, print, and with --write write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write docs/measurements/many-runs.md")
    arguments = parser.parse_args()
    lines = [
        "# Speed of many runs at once",
        "",
        "Made by `python -m benchmarks.many_runs --write`: six optimizers, five learning rates,",
        "five seeds. Sequential runs are measured once, seed by seed; all stacked runs after each",
        "seed, of which the median counts. Data preparation, common to all, is not included, but",
        "in the whole command, which runs once a seed (median).",
    ]
    are_met = True
    with tempfile.TemporaryDirectory() as folder:
        for work in WORK:
            found, is_met = measure(work, Path(folder))
            lines += found
            are_met &= is_met
    lines += [
        "",
        f"{machine()}.",
    ]
    publish(lines, PAGE, is_written=arguments.write)
    sys.exit(not are_met)


if __name__ == "__main__":
    main()
