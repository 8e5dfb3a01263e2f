"""Make the data sets that are made, and copy those that scikit-learn carries.

    python data/make.py

writes `pass_class.csv`, `final_grade.csv`, `moons.csv` and `perceptron.csv` (made here, from a
fixed seed) and `digits.csv` and `diabetes.csv` (real, as scikit-learn ships them) into this folder,
byte for byte as they are in the repository. `penguins.csv` is not made; README.md says where it
comes from.
"""

from pathlib import Path

import numpy as np
import polars as pl
from sklearn.datasets import load_diabetes, load_digits

HERE = Path(__file__).parent


def make_pass_class(random: np.random.Generator) -> pl.DataFrame:
    """Lectures attended (0–10) and project hours (0–60): the chance to pass rises with both."""
    lectures = random.integers(0, 11, 500)
    hours = np.round(60 * random.beta(1, 3, 500), 1)
    chance = 1 / (1 + np.exp(-1.5 * (lectures + 0.12 * hours - 4)))
    passed = (random.random(500) < chance).astype(np.int64)
    # The first row is the lecture's own student: 4 lectures, 5 hours, and passed.
    lectures[0], hours[0], passed[0] = 4, 5.0, 1
    return pl.DataFrame({"lectures": lectures, "hours": hours, "passed": passed})


def make_final_grade(random: np.random.Generator) -> pl.DataFrame:
    """Lectures and hours again, and a grade from 0 to 100: hours help less and less."""
    lectures = random.integers(0, 11, 500)
    hours = np.round(60 * random.beta(1, 3, 500), 1)
    mean = 15 + 4.5 * lectures + 40 * (1 - np.exp(-hours / 15))
    grade = np.round(np.clip(random.normal(mean, 5), 0, 100), 1)
    return pl.DataFrame({"lectures": lectures, "hours": hours, "grade": grade})


def make_moons(random: np.random.Generator) -> pl.DataFrame:
    """Two interleaved half circles, green and red, which no line separates."""
    angles = random.uniform(0, np.pi, (2, 500))
    x1 = np.concatenate([np.cos(angles[0]), 1 - np.cos(angles[1])])
    x2 = np.concatenate([np.sin(angles[0]), 0.5 - np.sin(angles[1])])
    noise = random.normal(0, 0.12, (2, 1000))
    color = np.repeat(["green", "red"], 500)
    order = random.permutation(1000)
    return pl.DataFrame(
        {"x1": np.round(x1 + noise[0], 4), "x2": np.round(x2 + noise[1], 4), "color": color}
    )[order]


def make_perceptron(random: np.random.Generator) -> pl.DataFrame:
    """Points of the plane, 1 where 1 + 3·x1 - 2·x2 is above 0."""
    x = np.round(random.uniform(-4, 4, (300, 2)), 2)
    above = (1 + 3 * x[:, 0] - 2 * x[:, 1] > 0).astype(np.int64)
    return pl.DataFrame({"x1": x[:, 0], "x2": x[:, 1], "above": above})


def copy_digits() -> pl.DataFrame:
    """8×8 images of handwritten digits, a column a pixel from 0 to 16, row by row."""
    digits = load_digits()
    names = [f"pixel_{row}_{column}" for row in range(8) for column in range(8)]
    pixels = dict(zip(names, digits.data.astype(np.int64).T, strict=True))
    return pl.DataFrame({**pixels, "digit": digits.target.astype(np.int64)})


def copy_diabetes() -> pl.DataFrame:
    """Ten measurements of 442 patients, and how far the disease had come a year later."""
    diabetes = load_diabetes(scaled=False)
    columns = dict(zip(diabetes.feature_names, diabetes.data.T, strict=True))
    table = pl.DataFrame({**columns, "progression": diabetes.target.astype(np.int64)})
    return table.with_columns(pl.col("age", "sex").cast(pl.Int64))


def main() -> None:
    """Write every file."""
    tables = {
        "pass_class": make_pass_class(np.random.default_rng(7)),
        "final_grade": make_final_grade(np.random.default_rng(10)),
        "moons": make_moons(np.random.default_rng(4)),
        "perceptron": make_perceptron(np.random.default_rng(2)),
        "digits": copy_digits(),
        "diabetes": copy_diabetes(),
    }
    for name, table in tables.items():
        table.write_csv(HERE / f"{name}.csv")
        print(f"{name}.csv: {len(table)} rows")


if __name__ == "__main__":
    main()
