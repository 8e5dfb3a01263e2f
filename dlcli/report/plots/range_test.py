"""The picture of a learning-rate range test."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from dlcli.report.charts.style import COLORS, INK
from dlcli.report.drawing import draw, scale_logarithmically
from dlcli.report.picture import save_pictures
from dlcli.trials.range_test import RangeReading

_MARGIN = 0.1  # of the losses' range, below and above


def draw_range(folder: Path, reading: RangeReading, optimizer: str) -> Path:
    """Draw a test into its folder; return the PNG. StorageError where that fails."""
    lrs, smoothed = np.array(reading.lrs), np.array(reading.smoothed)
    low, high = np.array(reading.quartiles).T
    is_shown = np.isfinite(smoothed) & np.isfinite(high)
    bottom, start = smoothed[is_shown].min(), smoothed[0]
    # The losses at the end of the test would squeeze all others.
    top = max(start, bottom + 1e-12) + 3 * _MARGIN * (start - bottom)

    def fill(figure: Figure) -> None:
        axes = figure.add_subplot()
        for seed in range(len(reading.losses[0])):
            losses = np.array([step[seed] for step in reading.losses])
            axes.plot(lrs, losses, color=INK, alpha=0.12, linewidth=0.6)
        axes.fill_between(
            lrs[is_shown], low[is_shown], high[is_shown], color=COLORS[0], alpha=0.2, linewidth=0
        )
        axes.plot(lrs[is_shown], smoothed[is_shown], color=COLORS[0], label="smoothed")
        axes.plot(reading.lowest_at, bottom, "o", color=COLORS[2], label="lowest")
        if reading.suggestion is not None:
            axes.axvline(
                reading.suggestion,
                color=COLORS[1],
                linestyle="--",
                label=f"suggestion: {reading.suggestion:g}",
            )
        scale_logarithmically(axes.xaxis, max_ticks=9)
        axes.set_ylim(bottom - _MARGIN * (top - bottom), top)
        axes.set_xlabel("learning rate")
        axes.set_ylabel("training loss")
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))

    picture = draw(
        "find-lr",
        f"Learning-rate range test of {optimizer}",
        f"Training loss while the learning rate of {optimizer} increases: {reading.reason}.",
        fill,
    )
    save_pictures(folder, [picture])
    return folder / f"{picture.name}.png"
