"""Make the data sets that are made, and copy those that scikit-learn and statsmodels carry.

    python data/make.py

writes `pass_class.csv`, `final_grade.csv`, `exam.csv`, `weather.jsonl`, `moons.csv`,
`perceptron.csv`, `visitors.csv`, `tickets.csv`, `mnist1d_train.csv` and `mnist1d_test.csv`
(made here, from a fixed seed), `digits.csv` and `diabetes.csv` (real, as scikit-learn ships
them) and, where statsmodels is installed, `elnino.csv` (real, as that ships it) into this
folder, and images: `digits_png/` (rows of `digits.csv`), `shapes/` and `shapes.csv` (made);
byte for byte as they are in the repository. `penguins.csv` is not made; README.md says where it
comes from.
"""

import importlib.util
from pathlib import Path

import numpy as np
import polars as pl
from PIL import Image

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

# Parts of made messages: what is broken, what is asked, and what is said beside it.
BROKEN = (
    "the {thing} does not start any more",
    "the {thing} keeps losing our data",
    "nobody here can open the {thing}",
    "since this morning the {thing} shows an error",
)
ASKED = (
    "how do I rename the {thing}",
    "where can I find the manual of the {thing}",
    "the {thing} works again, thank you",
    "can the {thing} be had in green",
)
THINGS = ("printer", "invoice page", "calendar", "login", "export", "phone app", "report")
BESIDE = ("Hello, ", "Good morning! ", "Hi team: ", "", "", "Sorry to bother you, ")
ENDINGS = (".", "!", "?", " :-)", ". Best wishes", ". Please call us", ", no hurry")

# Images are PNG without compression, so that no version of zlib writes other bytes; digits have a
# byte a pixel, made shapes a palette of 16 colours.
DIGITS_EACH = 50  # of each digit, the first in digits.csv: 500 small files, not 1,797
SHAPES = ("circle", "square", "star")
SHAPES_EACH = 100
SIDE = 40  # pixels of an image of a shape
_FINER = 4  # places looked at in each pixel, along each side: soft edges
_COLOURS = 16  # from the background's to the shape's


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


def make_exam(random: np.random.Generator) -> pl.DataFrame:
    """Lectures and hours again, and a result in one of four words, from fail to excellent.

    The log odds of a result above each of the first three are a score less 3, 6 and 9.
    """
    lectures = random.integers(0, 11, 800)
    hours = np.round(60 * random.beta(1, 3, 800), 1)
    score = 0.9 * lectures + 0.12 * hours
    latent = score + random.logistic(0, 1, 800)
    words = np.array(["fail", "pass", "good", "excellent"])
    results = words[np.searchsorted([3.0, 6.0, 9.0], latent)]
    return pl.DataFrame({"lectures": lectures, "hours": hours, "result": results})


def make_weather(random: np.random.Generator) -> pl.DataFrame:
    """Measurements of a day, and a list of warnings: any of four by rules, each wrong in 1 of 50.

    Heat from 30 degrees, frost up to 2, storm from 50 km/h of wind, fog from 85 % of humidity
    where the wind is below 20.
    """
    temperature = np.round(random.normal(15, 13, 1000), 1)
    humidity = np.round(random.uniform(30, 100, 1000))
    wind = np.round(random.gamma(2, 16, 1000))
    rules = {
        "heat": temperature >= 30,
        "frost": temperature <= 2,
        "storm": wind >= 50,
        "fog": (humidity >= 85) & (wind < 20),
    }
    warned = np.stack([*rules.values()], axis=1) ^ (random.random((1000, 4)) < 0.02)
    names = np.array([*rules])
    lists = [names[row].tolist() for row in warned]
    columns = {"temperature": temperature, "humidity": humidity, "wind": wind}
    return pl.DataFrame({**columns, "warnings": lists})


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


def make_visitors(random: np.random.Generator) -> pl.DataFrame:
    """Visitors of two halls in each of 1,680 hours: a day, a week, tickets half price, noise.

    The noise has a standard deviation of 5, which no forecast can know.
    """
    tables = []
    hours = np.arange(1680)
    is_cheap = random.random(hours.max() // 24 + 1) < 0.15
    for hall, level in (("east", 60), ("west", 90)):
        day = np.clip(np.sin(2 * np.pi * (hours % 24 - 7) / 24), 0, None)
        weekend = np.where(hours // 24 % 7 >= 5, 1.5, 1.0)
        price = np.where(is_cheap[hours // 24], 1.4, 1.0)
        visitors = level * day * weekend * price + 20 + random.normal(0, 5, len(hours))
        tables.append(
            pl.DataFrame(
                {
                    "hour": np.datetime64("2024-01-01T00", "us") + hours.astype("timedelta64[h]"),
                    "hall": [hall] * len(hours),
                    "half_price": is_cheap[hours // 24].astype(np.int64),
                    "visitors": np.round(np.clip(visitors, 0, None)).astype(np.int64),
                }
            )
        )
    table = pl.concat(tables).with_columns(pl.col("hour").dt.strftime("%Y-%m-%d %H:%M"))
    return table.sort("hour", "hall")


def make_tickets(random: np.random.Generator) -> pl.DataFrame:
    """Make messages to a help desk: urgent where something is broken and somebody waits for it."""

    def draw(choices: tuple[str, ...]) -> str:
        return choices[random.integers(len(choices))]

    rows = []
    for _ in range(600):
        is_broken = bool(random.random() < 0.5)
        plan, hours = draw(("free", "team", "business")), round(float(random.exponential(12)), 1)
        text = draw(BESIDE) + draw(BROKEN if is_broken else ASKED).format(thing=draw(THINGS))
        text += draw(ENDINGS)
        pressing = is_broken and "no hurry" not in text
        score = 3.0 * pressing + 1.2 * (plan == "business") + 0.06 * min(hours, 40) - 3.7
        is_urgent = bool(score + random.logistic(0, 0.35) > 0)
        rows.append((text, plan, hours, "yes" if is_urgent else "no"))
    return pl.DataFrame(rows, ["message", "plan", "waiting_hours", "urgent"], orient="row")


def copy_elnino() -> pl.DataFrame | None:
    """Return the sea surface temperatures of statsmodels, a row a month; None: it isn't there.

    The file is read without importing statsmodels, which would need pandas.
    """
    package = importlib.util.find_spec("statsmodels")
    if package is None or not package.submodule_search_locations:
        return None
    folder = Path(package.submodule_search_locations[0])
    wide = pl.read_csv(folder / "datasets" / "elnino" / "elnino.csv").to_numpy()
    years = wide[:, 0].astype(np.int64)
    return pl.DataFrame(
        {
            "year": years.repeat(12),
            "month": np.tile(np.arange(1, 13), len(years)),
            "temperature": wide[:, 1:].ravel(),
        }
    )


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
    from scipy.ndimage import gaussian_filter1d

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
    from sklearn.datasets import load_digits

    digits = load_digits()
    names = [f"pixel_{row}_{column}" for row in range(8) for column in range(8)]
    pixels = dict(zip(names, digits.data.astype(np.int64).T, strict=True))
    return pl.DataFrame({**pixels, "digit": digits.target.astype(np.int64)})


def copy_diabetes() -> pl.DataFrame:
    """Ten measurements of 442 patients, and how far the disease had come a year later."""
    from sklearn.datasets import load_diabetes

    diabetes = load_diabetes(scaled=False)
    columns = dict(zip(diabetes.feature_names, diabetes.data.T, strict=True))
    table = pl.DataFrame({**columns, "progression": diabetes.target.astype(np.int64)})
    return table.with_columns(pl.col("age", "sex").cast(pl.Int64))


def write_digits(digits: pl.DataFrame, folder: Path) -> int:
    """Write rows of digits.csv as grey 8×8 images, in a folder for each digit; return how many."""
    for label in range(10):
        (folder / str(label)).mkdir(parents=True, exist_ok=True)
        rows = digits.filter(pl.col("digit") == label).drop("digit").head(DIGITS_EACH)
        for number, row in enumerate(rows.iter_rows()):
            pixels = np.array(row).reshape(8, 8) * 255 // 16  # 0 to 16, as 0 to 255
            image = Image.fromarray(pixels.astype(np.uint8))
            image.save(folder / str(label) / f"{number:02}.png", compress_level=0)
    return 10 * DIGITS_EACH


def write_shapes(random: np.random.Generator, folder: Path) -> pl.DataFrame:
    """Write circles, squares and stars at any place, size, angle and colour; return what they show.

    A row's `image` is relative to the folder above `folder`. `x` and `y` are the shape's centre in
    pixels from the upper left corner, `radius` that of the circle around it; the shape is whole.
    """
    rows = []
    for shape in SHAPES:
        (folder / shape).mkdir(parents=True, exist_ok=True)
        for number in range(SHAPES_EACH):
            radius = random.uniform(6, 13)
            x, y = random.uniform(radius, SIDE - radius, 2)
            angle = random.uniform(0, 2 * np.pi)
            background, colour = _two_colours(random)
            file = folder / shape / f"{number:02}.png"
            image = Image.fromarray(_share_inside(shape, x, y, radius, angle)).convert("P")
            ramp = np.linspace(background, colour, _COLOURS).round().astype(int)
            image.putpalette(ramp.ravel().tolist())
            image.save(file, compress_level=0, bits=4)
            path = file.relative_to(folder.parent).as_posix()
            place = [round(float(value), 1) for value in (x, y, radius)]
            rows.append((path, shape, *place, *map(int, colour)))
    names = ("image", "shape", "x", "y", "radius", "red", "green", "blue")
    return pl.DataFrame(rows, schema=names, orient="row")


def _two_colours(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return a background and a shape's colour that are clearly different, each [3]."""
    while True:
        background, colour = random.integers(0, 256, (2, 3))
        if np.abs(background - colour).sum() > 200:
            return background, colour


def _share_inside(shape: str, x: float, y: float, radius: float, angle: float) -> np.ndarray:
    """Return how much of each pixel the shape covers, as uint8 [SIDE, SIDE] from 0 to 15."""
    places = (np.arange(SIDE * _FINER) + 0.5) / _FINER
    right, down = places[None, :] - x, places[:, None] - y
    distance = np.hypot(right, down)
    around = np.arctan2(down, right) - angle
    inside = distance < radius * _edge(shape, around)
    share = inside.reshape(SIDE, _FINER, SIDE, _FINER).mean(axis=(1, 3))
    levels: np.ndarray = (share * (_COLOURS - 1)).round().astype(np.uint8)
    return levels


def _edge(shape: str, around: np.ndarray) -> np.ndarray:
    """Return the distance of a shape's edge from its centre in each direction, at most 1."""
    if shape == "circle":
        return np.ones_like(around)
    corners, inner = (4, None) if shape == "square" else (5, 0.45)
    half = np.pi / corners
    off = np.abs((around + half) % (2 * half) - half)  # 0 towards a corner, `half` between two
    if inner is None:
        edge: np.ndarray = np.cos(half) / np.cos(half - off)
    else:  # the line from a tip, at distance 1, to the corner between two tips, at `inner`
        edge = inner * np.sin(half) / (np.sin(off) + inner * np.sin(half - off))
    return edge


def main() -> None:
    """Write every file."""
    mnist1d = make_mnist1d(np.random.RandomState(42))
    tables = {
        "pass_class": make_pass_class(np.random.default_rng(7)),
        "final_grade": make_final_grade(np.random.default_rng(10)),
        "exam": make_exam(np.random.default_rng(12)),
        "moons": make_moons(np.random.default_rng(4)),
        "perceptron": make_perceptron(np.random.default_rng(2)),
        "visitors": make_visitors(np.random.default_rng(24)),
        "tickets": make_tickets(np.random.default_rng(25)),
        "mnist1d_train": mnist1d[:4000],
        "mnist1d_test": mnist1d[4000:],
        "digits": copy_digits(),
        "diabetes": copy_diabetes(),
        "shapes": write_shapes(np.random.default_rng(23), HERE / "shapes"),
    }
    elnino = copy_elnino()
    if elnino is not None:
        tables["elnino"] = elnino
    for name, table in tables.items():
        table.write_csv(HERE / f"{name}.csv")
        print(f"{name}.csv: {len(table)} rows")
    weather = make_weather(np.random.default_rng(13))
    weather.write_ndjson(HERE / "weather.jsonl")
    print(f"weather.jsonl: {len(weather)} rows")
    print(f"digits_png: {write_digits(tables['digits'], HERE / 'digits_png')} images")


if __name__ == "__main__":
    main()
