"""Make the data sets that are made, and copy those that scikit-learn carries.

    python data/make.py

writes `pass_class.csv`, `final_grade.csv`, `moons.csv`, `perceptron.csv`, `mnist1d_train.csv` and
`mnist1d_test.csv` (made here, from a fixed seed) and `digits.csv` and `diabetes.csv` (real, as
scikit-learn ships them) into this folder, byte for byte as they are in the repository.
`penguins.csv` is not made; README.md says where it comes from.
"""

from pathlib import Path

import numpy as np
import polars as pl
from scipy.ndimage import gaussian_filter1d
from sklearn.datasets import load_diabetes, load_digits

HERE = Path(__file__).parent
# The digits of MNIST-1D, each a curve through 12 points from top to bottom.
TEMPLATES = (
    (5, 6, 6.5, 6.75, 7, 7, 7, 7, 6.75, 6.5, 6, 5),
    (5, 3, 3, 3.4, 3.8, 4.2, 4.6, 5, 5.4, 5.8, 5, 5),
    (5, 6, 6.5, 6.5, 6, 5.25, 4.75, 4, 3.5, 3.5, 4, 5),
    (5, 6, 6.5, 6.5, 6, 5, 5, 6, 6.5, 6.5, 6, 5),
    (5, 4.4, 3.8, 3.2, 2.6, 2.6, 5, 5, 5, 5, 5, 5),
    (5, 3, 3, 3, 3, 5, 6, 6.5, 6.5, 6, 4.5, 5),
    (5, 4, 3.5, 3.25, 3, 3, 3, 3, 3.25, 3.5, 4, 5),
    (5, 7, 7, 6.6, 6.2, 5.8, 5.4, 5, 4.6, 4.2, 5, 5),
    (5, 4, 3.5, 3.5, 4, 5, 5, 4, 3.5, 3.5, 4, 5),
    (5, 4, 3.5, 3.5, 4, 5, 5, 5, 5, 4.7, 4.3, 5),
)


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


def make_mnist1d(random: np.random.RandomState) -> pl.DataFrame:
    """MNIST-1D by its recipe: 500 signals of 40 numbers for each of ten digits, shuffled.

    The recipe, its numbers and the order of its random draws are those of S. Greydanus and
    D. Kobak, "Scaling down deep learning with MNIST-1D" (ICML 2024, arXiv:2011.14439) and of their
    package mnist1d (Apache-2.0). So with their seed, and the generator that NumPy had when
    they drew, the rows are those that they publish, rounded to three decimals.
    """
    curves = np.array(TEMPLATES)
    curves -= curves.mean(axis=1, keepdims=True)
    curves /= curves.std(axis=1, keepdims=True)
    curves = (curves - curves[:, :1]) / 6  # begin at 0
    signals = np.stack([_mnist1d_signal(curve, random) for curve in curves for _ in range(500)])
    order = random.permutation(len(signals))
    signals = np.round((signals - signals.mean()) / signals.std(), 3)[order]
    names = [f"x{place}" for place in range(40)]
    columns = dict(zip(names, signals.T, strict=True))
    return pl.DataFrame({**columns, "digit": np.repeat(np.arange(10), 500)[order]})


def _mnist1d_signal(curve: np.ndarray, random: np.random.RandomState) -> np.ndarray:
    """Return a curve of 12 points, squeezed, scaled, moved, noisy and sheared, as 40 numbers."""
    # 1e-8 makes the curve's zeros differ from the padding's, which noise replaces.
    padding = np.zeros(36 + int(random.rand() * 25))
    signal = _resample(np.concatenate([curve + 1e-8, padding]), 72)
    signal *= 1 + 0.4 * (random.rand() - 0.5)
    signal = np.roll(signal, random.choice(48))
    correlated = gaussian_filter1d(0.25 * random.randn(72), sigma=2)
    signal = np.where(signal == 0, correlated, signal) + 0.02 * random.randn(72)
    signal -= 0.75 * (random.rand() - 0.5) * np.linspace(-0.5, 0.5, 72)
    return _resample(signal, 40)


def _resample(signal: np.ndarray, length: int) -> np.ndarray:
    """Interpolate a signal linearly at so many places, from its first number to its last."""
    places = np.linspace(0, 1, len(signal))
    resampled: np.ndarray = np.interp(np.linspace(0, 1, length), places, signal)
    return resampled


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
    mnist1d = make_mnist1d(np.random.RandomState(42))
    tables = {
        "pass_class": make_pass_class(np.random.default_rng(7)),
        "final_grade": make_final_grade(np.random.default_rng(10)),
        "moons": make_moons(np.random.default_rng(4)),
        "perceptron": make_perceptron(np.random.default_rng(2)),
        "mnist1d_train": mnist1d[:4000],
        "mnist1d_test": mnist1d[4000:],
        "digits": copy_digits(),
        "diabetes": copy_diabetes(),
    }
    for name, table in tables.items():
        table.write_csv(HERE / f"{name}.csv")
        print(f"{name}.csv: {len(table)} rows")


if __name__ == "__main__":
    main()
