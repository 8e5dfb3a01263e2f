"""A picture of what hidden units give all over the plane of two numbers."""

from matplotlib import colormaps
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dlcli.explaining.reasons.units import UnitMaps
from dlcli.report.explanation.text import figure, rows_asked
from dlcli.report.picture import Picture, draw, shortened
from dlcli.report.plots.boundary import SHADES, where_on

_UNITS_A_ROW = 4


def maps_picture(found: UnitMaps) -> Picture:
    """Draw what each unit gives all over the plane, in small multiples on one scale."""
    across = min(_UNITS_A_ROW, len(found.numbers))
    down = -(-len(found.numbers) // across)
    low, high = float(found.maps.min()), float(found.maps.max())
    reach = max(abs(low), abs(high)) or 1.0
    scale = Normalize(-reach, reach) if low < 0 < high else Normalize(low, high)
    colors = colormaps["PuOr_r" if low < 0 < high else "cividis"].resampled(SHADES)

    def fill(drawing: Figure) -> None:
        # Not as shared axes: ticks that nobody sees take longer than all else.
        panels = drawing.subplots(down, across, squeeze=False).flatten()
        for index, (number, values) in enumerate(zip(found.numbers, found.maps, strict=True)):
            axes = panels[index]
            image = axes.imshow(values, cmap=colors, norm=scale, **where_on(found.plane))
            axes.set_title(f"unit {number}", fontsize="small")
            axes.grid(visible=False)
            axes.xaxis.set_major_locator(MaxNLocator(3))
            axes.yaxis.set_major_locator(MaxNLocator(4))
            if index % across:
                axes.set_yticks([])
            if index + across < len(found.numbers):
                axes.set_xticks([])
        for axes in panels[len(found.numbers) :]:
            axes.set_visible(False)
        bar = drawing.colorbar(image, ax=panels.tolist(), shrink=0.8)
        bar.set_label("activation")
        drawing.supxlabel(shortened(found.plane.names[0], 50), fontsize="medium")
        drawing.supylabel(shortened(found.plane.names[1], 36), fontsize="medium")

    after = f"after {found.activation}" if found.activation else "without a non-linearity"
    strongest = ", ".join(
        f"unit {number} {figure(influence)}"
        for number, influence in zip(found.numbers[:3], found.influences[:3], strict=True)
    )
    text = (
        f"Activations of {found.layer} ({after}) over the plane of both columns, the unit that "
        f"moves the output most on {rows_asked(found.asked)} first: {strongest}."
    )
    if found.num_units > len(found.numbers):
        text += f" Of {found.num_units:,} units, {len(found.numbers)} are drawn."
    return draw(
        "hidden-units",
        "What the units of the first hidden layer respond to",
        text,
        fill,
        size=(7.5, 0.7 + 1.6 * down),
    )
