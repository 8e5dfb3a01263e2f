"""Whether out-of-fold figures are unbiased: `python -m tests.reliability.out_of_fold [DRAWS]`.

Each draw makes a table of 100 rows from a known law, of numbers or of two classes in turn, every
second one of each without any signal, trains 5 folds with early stopping, and holds the out-of-fold
loss against the truth: the mean loss of the same networks on 4,000 fresh rows. The mean difference
over all draws is the bias. Beside it stands that of the figure that a network's own fold gives,
whose rows chose its epoch.

Half of the rows are of each class, in the tables and in the fresh rows. Where shares of classes are
drawn too, folds with the same shares know those of the rows that they predict: the log loss of
stratified cross-validation is lower by (classes - 1) / rows then, 0.01 of 100 rows.
"""

import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import torch
import yaml

from dlcli.config import LoadedConfig, load_config
from dlcli.data.folding.rows import fold_rows
from dlcli.network.builder import build_network
from dlcli.runs.comparison.setup import build_fold_resolver
from dlcli.runs.folds.predicted_rows import PredictedRows, rows_to_judge
from dlcli.runs.preparation import prepare
from dlcli.tables.table import Table
from dlcli.training.device import Placement
from dlcli.training.evaluation import compute_predictions, to_predictions
from dlcli.trials.results import FinishedTrial
from dlcli.trials.running.stacked import run_stacked
from dlcli.trials.setup import ResolvedTrial
from dlcli.trials.trial import Trial

NUM_ROWS, NUM_FRESH, NUM_FOLDS = 100, 4_000, 5
CPU = Placement(torch.device("cpu"), torch.float32, "for this campaign")
_CONFIG = {
    "data": {"path": "made.csv", "target": "y"},
    "model": {"layers": [{"type": "dense", "units": 8, "activation": "tanh"}, {"type": "dense"}]},
    "optimizer": {"type": "adam", "lr": 0.03},
    "training": {"epochs": 40, "batch_size": 20, "early_stopping": {"patience": 10}},
    "report": False,
}


@dataclass(frozen=True)
class Draw:
    """Losses of the networks of a draw."""

    out_of_fold: float
    of_best_epochs: float  # on the rows of each network's own fold, which chose its epoch
    truth: float  # on fresh rows


def main() -> None:
    """Draw, print the biases, and exit with 1 where that of the out-of-fold loss isn't chance."""
    num_draws = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    draws = [*draw_many(num_draws)]
    errors = []
    for task, some in (("numbers", draws[::2]), ("classes", draws[1::2])):
        error, text = bias([draw.out_of_fold - draw.truth for draw in some])
        _, naive = bias([draw.of_best_epochs - draw.truth for draw in some])
        mean = np.mean([draw.truth for draw in some])
        print(
            f"{len(some)} draws of {task}: mean loss {mean:.4f} on fresh rows; bias of the "
            f"out-of-fold loss {text}, of the best epochs' own losses {naive}"
        )
        errors.append(abs(error))
    sys.exit(max(errors) > 3)


def bias(differences: list[float]) -> tuple[float, str]:
    """Return how many standard errors a mean difference is from 0, and it with its error."""
    mean = float(np.mean(differences))
    error = float(np.std(differences, ddof=1) / np.sqrt(len(differences)))
    return mean / error, f"{mean:+.4f} ± {error:.4f}"


def draw_many(num_draws: int, first: int = 0) -> Iterator[Draw]:
    """Yield draws of numbers and of classes in turn, every second one of each without signal."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(first, first + num_draws):
            yield draw_one(folder, number)


def draw_one(folder: Path, number: int) -> Draw:
    """Make a table, train its folds, and judge them."""
    random = np.random.default_rng(number)
    strength, has_classes = 1.5 * (number // 2 % 2), number % 2 == 1
    made(random, NUM_ROWS, strength, has_classes=has_classes).write_csv(folder / "made.csv")
    (folder / "made.yaml").write_text(yaml.safe_dump({**_CONFIG, "seed": number}))
    fresh = made(random, NUM_FRESH, strength, has_classes=has_classes)
    return judge(load_config(folder / "made.yaml"), fresh)


def made(
    random: np.random.Generator, num_rows: int, strength: float, *, has_classes: bool
) -> pl.DataFrame:
    """Return rows of three numbers and a target with a signal of some strength, and noise."""
    x = random.normal(size=(4 * num_rows, 3))
    y = strength * (x[:, 0] * x[:, 1] + x[:, 2]) + random.logistic(size=len(x))
    chosen = np.arange(num_rows)
    if has_classes:  # half of the rows each, in a random order
        halves = [np.flatnonzero(is_one)[: num_rows // 2] for is_one in (y > 0, y <= 0)]
        chosen = np.sort(np.concatenate(halves))
    columns = {name: x[chosen, index] for index, name in enumerate("abc")}
    target = np.where(y > 0, "one", "none") if has_classes else y
    return pl.DataFrame({**columns, "y": target[chosen]})


def judge(loaded: LoadedConfig, fresh: pl.DataFrame) -> Draw:
    """Train the folds of a config, and hold their figures against those on fresh rows."""
    rows = fold_rows(loaded, NUM_FOLDS)
    first = prepare(rows.loaded, rows.dataset(0))
    resolver = build_fold_resolver(rows, first, CPU)
    trials = {
        key: resolver.resolve(key)
        for key in (Trial(changes={}, seed=fold + 1, fold=fold) for fold in range(NUM_FOLDS))
    }
    stacks: list[list[ResolvedTrial]] = []
    for trial in trials.values():
        alike = (some for some in stacks if some[0].setup.stacks_with(trial.setup))
        stack = next(alike, None)
        if stack is None:
            stacks.append([trial])
        else:
            stack.append(trial)
    finished = [
        event for some in stacks for event in run_stacked(some) if isinstance(event, FinishedTrial)
    ]
    table = Table(fresh, "fresh", np.arange(len(fresh)), "row", ("",))
    truth = rows_to_judge(table, rows.whole.fitted, first.loss, None)
    known = rows_to_judge(rows.rows, rows.whole.fitted, first.loss, None)
    held_out = np.zeros((len(rows.rows), 2) if first.plan.signature.num_classes else len(rows.rows))
    on_fresh = []
    for one in finished:
        assert one.outputs is not None
        assert one.trial.fold is not None
        target = trials[one.trial].setup.target
        places = rows.folds[one.trial.fold].validation
        held_out[places] = to_predictions(one.outputs, first.loss, target)
        on_fresh.append(_loss_on(table, truth, one, trials[one.trial]))
    best = [one.curve[one.best_epoch - 1].validation_loss for one in finished]
    return Draw(known.mean_loss(held_out), float(np.mean(best)), float(np.mean(on_fresh)))


def _loss_on(
    table: Table, truth: PredictedRows, finished: FinishedTrial, trial: ResolvedTrial
) -> float:
    """Return the loss of a trial's network on rows."""
    setup = trial.setup
    assert setup.fitted is not None
    network = build_network(setup.plan, seed=0)
    network.load_state_dict(finished.weights)
    inputs, _ = setup.fitted.encode_inputs(table)
    return truth.mean_loss(
        compute_predictions(network, inputs, CPU, setup.loss, setup.fitted.target)
    )


if __name__ == "__main__":
    main()
