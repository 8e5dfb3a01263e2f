"""The picture of a learning-rate range test."""

from pathlib import Path

import numpy as np

from dlcli.files import atomic_file
from dlcli.report.charts.chart import Axis, Band, Chart, Dots, Line, Mark, Panel, Rule
from dlcli.report.picture import chart_picture, save_pictures
from dlcli.trials.range_test import RangeReading

_MARGIN = 0.1  # of the losses' range, below and above


def draw_range(folder: Path, reading: RangeReading, optimizer: str, *, has_png: bool) -> Path:
    """Draw a test into its folder, also as PNG if asked; return the SVG. StorageError."""
    lrs, smoothed = np.array(reading.lrs), np.array(reading.smoothed)
    low, high = np.array(reading.quartiles).T
    is_shown = np.isfinite(smoothed) & np.isfinite(high)
    bottom, start = smoothed[is_shown].min(), smoothed[0]
    # The losses at the end of the test would squeeze all others.
    top = max(start, bottom + 1e-12) + 3 * _MARGIN * (start - bottom)
    marks: list[Mark] = [
        Line(
            lrs,
            np.array([step[seed] for step in reading.losses]),
            color="ink",
            opacity=0.12,
            width=0.6,
            has_tooltip=False,
        )
        for seed in range(len(reading.losses[0]))
    ]
    marks.append(Band(lrs[is_shown], low[is_shown], high[is_shown], 0, 0.2))
    marks.append(Line(lrs[is_shown], smoothed[is_shown], "smoothed"))
    marks.append(Dots([reading.lowest_at], [bottom], "lowest", 2))
    if reading.suggestion is not None:
        name = f"suggestion: {reading.suggestion:g}"
        marks.append(Rule(reading.suggestion, "x", name, 1, 1, 1.8))
    panel = Panel(
        marks,
        Axis("learning rate", is_log=True, max_ticks=9),
        Axis("training loss", bottom - _MARGIN * (top - bottom), top),
    )
    picture = chart_picture(
        "find-lr",
        f"Learning-rate range test of {optimizer}",
        f"Training loss while the learning rate of {optimizer} increases: {reading.reason}.",
        Chart(((panel,),)),
    )
    if has_png:
        save_pictures(folder, [picture])
    else:
        with atomic_file(folder / f"{picture.name}.svg") as file:
            file.write(picture.file.encode())
    return folder / f"{picture.name}.svg"
