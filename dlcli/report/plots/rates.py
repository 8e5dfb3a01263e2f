"""The picture of a run's learning rates."""

from pathlib import Path

from matplotlib.figure import Figure

from dlcli.files import atomic_file
from dlcli.report.picture import COLORS, draw
from dlcli.runs.rates import Rates


def draw_rates(rates: Rates, path: Path) -> None:
    """Draw the rate over the steps into a file; StorageError."""
    steps, lrs = zip(*rates.points(), strict=True)

    def fill(figure: Figure) -> None:
        axes = figure.add_subplot()
        axes.plot(steps, lrs, color=COLORS[0], marker="." if len(steps) < 40 else "")
        axes.set_ylim(bottom=0.0)
        axes.set_xlabel("step")
        axes.set_ylabel("learning rate")

    picture = draw("schedule", "Learning rate", rates.title, fill)
    with atomic_file(path) as file:
        file.write(picture.png if path.suffix.lower() == ".png" else picture.svg.encode())
