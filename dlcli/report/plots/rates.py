"""The picture of a run's learning rates."""

from pathlib import Path

from dlcli.files import atomic_file
from dlcli.report.charts.chart import Axis, Chart, Line, Panel
from dlcli.report.picture import chart_picture
from dlcli.runs.rates import Rates

_MAX_MARKERS = 40


def draw_rates(rates: Rates, path: Path) -> None:
    """Draw the rate over the steps into a file; StorageError."""
    steps, lrs = zip(*rates.points(), strict=True)

    line = Line(steps, lrs, is_marked=len(steps) < _MAX_MARKERS)
    panel = Panel((line,), Axis("step"), Axis("learning rate", low=0.0))
    picture = chart_picture("schedule", "Learning rate", rates.title, Chart(((panel,),)))
    with atomic_file(path) as file:
        file.write(picture.draw_png() if path.suffix.lower() == ".png" else picture.file.encode())
