"""The files that a comparison leaves in its folder besides its finished runs."""

import json
import re

import polars as pl

from dlcli.config import dump_config
from dlcli.files import atomic_file
from dlcli.runs.folder.run_folder import RunFolder, move_paths
from dlcli.runs.preparation import Prepared
from dlcli.trials.comparing.comparison import Comparison, OptimizerResult
from dlcli.trials.comparing.document import to_document
from dlcli.trials.comparing.verdict_text import describe_verdict
from dlcli.trials.results import TrialResult


def write_comparison(folder: RunFolder, comparison: Comparison, prepared: Prepared) -> None:
    """Write the results, the curves and a config with the best optimizer; StorageError."""
    with atomic_file(folder.comparison) as file:
        text = json.dumps(to_document(comparison), indent=2, allow_nan=False)
        file.write(text.encode() + b"\n")
    with atomic_file(folder.curves) as file:
        _curves(comparison).write_parquet(file)
    with atomic_file(folder.recommended) as file:
        file.write(_recommended(folder, comparison, prepared).encode())


def _recommended(folder: RunFolder, comparison: Comparison, prepared: Prepared) -> str:
    """Return a config for `dlcli train`, with the verdict above it."""
    best = comparison.best
    assert best is not None, "one came through"
    name = re.sub(r"[^\w.-]", "-", f"{prepared.config.name}-{best.name}")
    schedule = best.optimizer.schedule_that_acts(prepared.config.schedule)
    config = move_paths(prepared.config, prepared.folder, folder.path).model_copy(
        update={"name": name[:100], "optimizer": best.optimizer, "schedule": schedule}
    )
    return f"# {describe_verdict(comparison)}\n{dump_config(config)}"


def _curves(comparison: Comparison) -> pl.DataFrame:
    """Return a row for each epoch of each run."""
    frames = [
        _curve(result, lr, run, stage, comparison.steps_per_epoch)
        for result in comparison.results
        for stage, runs in (
            ("choosing", [(lr, run) for lr, tuned in result.grid.items() for run in tuned]),
            ("judging", [(result.optimizer.lr, run) for run in result.runs]),
        )
        for lr, run in runs
    ]
    return pl.concat(frames)


def _curve(
    result: OptimizerResult, lr: float, run: TrialResult, stage: str, steps_per_epoch: int
) -> pl.DataFrame:
    epochs = pl.int_range(1, len(run.validation_losses) + 1, dtype=pl.Int64, eager=True)
    return pl.DataFrame(
        {
            "optimizer": [result.name] * len(epochs),
            "stage": [stage] * len(epochs),
            "lr": [lr] * len(epochs),
            "seed": [run.trial.seed] * len(epochs),
            "epoch": epochs,
            "seconds": epochs * steps_per_epoch * run.seconds_a_step,  # of a run by itself
            "train_loss": list(run.train_losses),
            "validation_loss": list(run.validation_losses),
        },
        schema_overrides={
            **dict.fromkeys(("optimizer", "stage"), pl.String),
            **dict.fromkeys(("lr", "seconds", "train_loss", "validation_loss"), pl.Float64),
            "seed": pl.UInt64,
        },
    )
