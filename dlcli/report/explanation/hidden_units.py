"""Hidden units: what they respond to, in a table and in maps over the plane of two numbers."""

import numpy as np

from dlcli.explaining.reasons.explanation import Explanation
from dlcli.explaining.reasons.units import HiddenUnits, UnitMaps
from dlcli.report.charts.chart import Axis, Chart, Panel, Raster
from dlcli.report.charts.parts import color_scale
from dlcli.report.charts.pixels import around_middle, from_dark_to_bright
from dlcli.report.page import PageSection
from dlcli.report.picture import Picture, chart_picture, shortened
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
    is_class = bool(target.score_names)
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
    colors = from_dark_to_bright
    if low < 0 < high:
        high = max(abs(low), abs(high))
        low, colors = -high, _from_purple_to_orange
    shares = (found.maps - low) / (high - low or 1.0)
    plane = found.plane
    edges = (plane.x[0], plane.y[0], plane.x[-1], plane.y[-1])
    panels = [
        Panel(
            (Raster(colors(share)[::-1], *edges),),
            Axis(
                plane.names[0],
                edges[0],
                edges[2],
                is_hidden=index + across < len(found.numbers),
                max_ticks=3,
                has_grid=False,
            ),
            Axis(
                plane.names[1],
                edges[1],
                edges[3],
                is_hidden=index % across > 0,
                max_ticks=4,
                has_grid=False,
            ),
            title=f"unit {number}",
        )
        for index, (number, share) in enumerate(zip(found.numbers, shares, strict=True))
    ]
    rows = [panels[start : start + across] for start in range(0, len(panels), across)]
    rows[0].append(color_scale(colors, low, high, "activation"))
    chart = Chart(rows, height=125.0 * down, widths=(*across * (6.0,), 0.5))
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
    title = "Hidden units of the first layer over the input plane"
    return chart_picture("hidden-units", title, text, chart)


def _from_purple_to_orange(shares: np.ndarray) -> np.ndarray:
    return around_middle(1.0 - shares)
