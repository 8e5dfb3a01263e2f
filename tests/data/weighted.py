"""Tables whose rows have whole-number weights, and the same with rows repeated so many times."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from dlcli.targets.task import Task

TASKS: tuple[Task, ...] = ("binary", "multiclass", "regression")
WEIGHTED = {"weight": "w"}


def weighted_table(task: Task, num_rows: int = 160) -> pl.DataFrame:
    """Return columns of every kind, some cells missing, with parts, weights of 0 to 5, a target."""
    random = np.random.default_rng(7)
    x = random.normal(50, 9, num_rows).round(2)
    kind = random.integers(4, size=num_rows)
    noise = random.normal(size=num_rows)
    score = (x - 50) / 9 + kind - 1.5 + noise
    target: Any = {
        "binary": np.where(score > 0, "yes", "no"),
        "multiclass": np.array(["a", "b", "c"])[np.digitize(score, [-0.5, 0.8])],
        "regression": (20 + 4 * score).round(3),
    }[task]
    days = pl.Series(random.integers(0, 700, num_rows)).cast(pl.Int32)
    return pl.DataFrame(
        {
            "x": pl.Series(x).set(pl.Series(random.random(num_rows) < 0.1), None),
            "kind": np.array(["red", "green", "blue", "grey"])[kind],
            "code": [f"c{code}" for code in random.integers(30, size=num_rows)],
            "ok": pl.Series(random.random(num_rows) < 0.6).set(
                pl.Series(random.random(num_rows) < 0.1), None
            ),
            "day": days.cast(pl.Date),
            "y": target,
            "w": random.choice([0, 1, 1, 2, 3, 5], num_rows),
            "part": random.choice(["train", "train", "train", "validation", "test"], num_rows),
        }
    )


def repeated_rows(table: pl.DataFrame) -> pl.DataFrame:
    """Return each row as often as its weight says, without the weight."""
    rows = np.repeat(np.arange(len(table)), table["w"].to_numpy())
    return table[rows.tolist()].drop("w")


def write_both(task: Task, folder: Path) -> tuple[Path, Path]:
    """Write both tables, weighted and repeated."""
    table = weighted_table(task)
    table.write_csv(folder / "weighted.csv")
    repeated_rows(table).write_csv(folder / "repeated.csv")
    return folder / "weighted.csv", folder / "repeated.csv"
