"""Hidden units: what they respond to, in a table and in maps over the plane of two numbers."""

from matplotlib import colormaps
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dlcli.explaining.reasons.explanation import Explanation
from dlcli.explaining.reasons.units import HiddenUnits, UnitMaps
from dlcli.report.drawing import draw
from dlcli.report.explanation.boundary import SHADES, image_options
from dlcli.report.page import PageSection
from dlcli.report.picture import Picture, shortened
from dlcli.report.table import TextTable
from dlcli.report.text import describe_rows, named, value_text

_UNITS_A_ROW = 4


def units_section(
    found: HiddenUnits, maps: UnitMaps | None, explanation: Explanation
) -> PageSection:
    """Return the most influential units of the last hidden layer, and maps of the first one's."""
    sentences = [
        f"The last hidden dense layer has {found.num_units:,} units. Activations are taken "
        f"{_after(found.activation)} ({found.layer}), on {describe_rows(found.sample)}."
    ]
    if found.num_constant:
        is_one = found.num_constant == 1
        sentences.append(
            f"{found.num_constant:,} of them {'is' if is_one else 'are'} constant over these rows."
        )
    target = explanation.target
    is_class = bool(target.class_names)
    name = shortened(target.name, 24)
    rows = tuple(
        (
            str(unit.number),
            value_text(unit.influence),
            shortened(unit.favours, 24) if is_class else f"{unit.favours} {name}",
            ", ".join(f"{shortened(feature, 32)} {value:+.2f}" for feature, value in unit.features)
            or "no single column",
        )
        for unit in found.units
    )
    output = "the logits" if is_class else named(target.loss_quantity)
    note = (
        f"influence: how far the unit moves {output} on average, compared with its mean "
        "activation. favours: what becomes more likely as its activation rises. correlates with: "
        "the columns with the strongest correlation, from -1 to 1. Units are counted from 0"
        + (
            f"; {len(rows)} of {found.num_units:,} are shown."
            if len(rows) < found.num_units
            else "."
        )
    )
    table = TextTable(("unit", "influence", "favours", "correlates with"), rows, note)
    pictures = (maps_picture(maps),) if maps is not None else ()
    return PageSection("Hidden units", tuple(sentences), (table,), pictures)


def _after(activation: str | None) -> str:
    return f"after {activation}" if activation else "without an activation function"


def maps_picture(found: UnitMaps) -> Picture:
    """Draw the activation of each unit over the plane, as small multiples on one scale."""
    across = min(_UNITS_A_ROW, len(found.numbers))
    down = -(-len(found.numbers) // across)
    low, high = float(found.maps.min()), float(found.maps.max())
    reach = max(abs(low), abs(high)) or 1.0
    scale = Normalize(-reach, reach) if low < 0 < high else Normalize(low, high)
    colors = colormaps["PuOr_r" if low < 0 < high else "cividis"].resampled(SHADES)

    def fill(drawing: Figure) -> None:
        # Axes are not shared: hidden ticks would take longer than all else.
        panels = drawing.subplots(down, across, squeeze=False).flatten()
        for index, (number, values) in enumerate(zip(found.numbers, found.maps, strict=True)):
            axes = panels[index]
            image = axes.imshow(values, cmap=colors, norm=scale, **image_options(found.plane))
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

    strongest = ", ".join(
        f"unit {number} {value_text(influence)}"
        for number, influence in zip(found.numbers[:3], found.influences[:3], strict=True)
    )
    text = (
        f"Activations of {found.layer} ({_after(found.activation)}) over the input plane, the unit "
        f"with the most influence on {describe_rows(found.sample)} first: {strongest}."
    )
    if found.num_units > len(found.numbers):
        text += f" {len(found.numbers)} of {found.num_units:,} units are drawn."
    return draw(
        "hidden-units",
        "Hidden units of the first layer over the input plane",
        text,
        fill,
        size=(7.5, 0.7 + 1.6 * down),
    )
