"""Permutation importance: its words and its pictures."""

from collections.abc import Iterator, Sequence

import numpy as np

from dlcli.explaining.reasons.permutation_importance import (
    MAX_SHUFFLES,
    ColumnImportance,
    PermutationImportance,
)
from dlcli.losses import Loss
from dlcli.report.charts.chart import (
    Axis,
    Box,
    Boxes,
    Chart,
    Dots,
    Mark,
    Panel,
    Raster,
    Rule,
    Shape,
    Spans,
)
from dlcli.report.charts.parts import color_scale
from dlcli.report.charts.pixels import from_dark_to_bright
from dlcli.report.page import PageSection
from dlcli.report.picture import Picture, chart_picture, shortened
from dlcli.report.text import NAME, describe_rows, named, one_label, value_text
from dlcli.targets.base import Target

_MAX_NAMED = 5
_FEW_COLUMNS = 20  # of which hardly one is above 0 by chance
_MAX_BARS = 15
_MAX_IN_CAPTION = 4  # columns
_MAX_DOTS = 1000  # pixels that are large enough for a dot


def importance_section(found: PermutationImportance, loss: Loss, target: Target) -> PageSection:
    """Return how much worse the network gets when a column is shuffled."""
    pictures: tuple[Picture, ...] = ()
    if found.columns and found.pixels is None:
        pictures = (importance_picture(found, loss, target),)
    elif found.columns:
        pictures = (pixels_picture(found, loss, target, is_image=found.is_image),)
    return PageSection("Permutation importance", tuple(_sentences(found)), pictures=pictures)


def _sentences(found: PermutationImportance) -> Iterator[str]:
    yield (
        f"Each column is shuffled across rows {_times(found.num_shuffles)}, which breaks its link "
        "to the target. The increase in the loss says how much the network relies on the column. "
        f"Intervals account for the choice of {_chosen(found)} and of shuffles."
    )
    if found.weight is not None:
        yield (
            f"Each row counts as much as '{named(found.weight)}' says (data.weight), and a row "
            "with the cell of another one as much as the product of the two."
        )
    if found.sample.part == "train":
        yield (
            "There are no held-out rows, so training rows were used: what the network has "
            "memorised about them counts as important, too."
        )
    is_short = found.num_shuffles < min(MAX_SHUFFLES, len(found.sample) - 1)
    if is_short or len(found.sample) < found.sample.num_held:
        fewer = f", with {found.num_shuffles} shuffles instead of {MAX_SHUFFLES}"
        yield (
            f"To be quick, this was measured on {describe_rows(found.sample)}"
            f"{fewer if is_short else ''}."
        )
    num_measured = len(found.columns) + len(found.not_finite)
    if num_measured < found.num_columns:
        yield (
            f"Only the {num_measured:,} of {found.num_columns:,} columns with the largest "
            "gradients were shuffled."
        )
    if found.patch > 1:
        yield "To be quick, patches were shuffled instead of single pixels."
    if num_measured > _FEW_COLUMNS:
        yield (
            "Intervals are not corrected for the number of columns: of columns that don't matter "
            "at all, about one in 40 lies above 0 by chance."
        )
    if found.not_finite:
        names = ", ".join(map(named, found.not_finite[:_MAX_NAMED]))
        yield (
            f"{len(found.not_finite)} columns have no value, because shuffling them makes "
            f"predictions that are not finite: {names}"
            f"{', …' if len(found.not_finite) > _MAX_NAMED else ''}."
        )
    yield (
        "Correlated columns share their importance: each looks dispensable while the other is "
        "present."
    )
    if found.correlated:
        pairs = ", ".join(
            f"{named(pair.first)} and {named(pair.second)} ({pair.correlation:.2f})"
            for pair in found.correlated[:_MAX_NAMED]
        )
        yield f"Correlated here, by rank correlation: {pairs}."


def _chosen(found: PermutationImportance) -> str:
    """Say what is taken to be independent."""
    if found.num_groups is None:
        return "rows"
    return (
        f"the {found.num_groups:,} groups of '{named(str(found.group))}' (data.split.group), as "
        "rows of one aren't independent,"
    )


def _times(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{number} times")


def importance_picture(found: PermutationImportance, loss: Loss, target: Target) -> Picture:
    """Draw the increase in loss for each column, the largest first."""
    shown = found.columns[:_MAX_BARS]

    bars, marks = [], list[Mark]()
    for row, column in enumerate(shown):
        color = 0 if column.is_clear else 6
        note = f"{one_label(column.name, NAME)}: {_with_interval(column)}"
        bars.append(Box(0.0, row - 0.33, column.increase, row + 0.33, color, 0.3, note=note))
        marks.append(Spans([column.low], [row], [column.high], [row], color, 1.8))
        shape: Shape = "dot" if column.is_clear else "diamond"
        dot = Dots([column.increase], [row], "", color, shape, 7.0, has_tooltip=False)
        marks.append(dot)
    names = [(float(row), one_label(column.name, NAME)) for row, column in enumerate(shown)]
    panel = Panel(
        (Boxes(bars), *marks, Rule(0.0, "x")),
        Axis(f"increase in {loss.title} when the column is shuffled"),
        Axis(low=-0.5, high=len(shown) - 0.5, ticks=names, is_flipped=True, has_grid=False),
    )
    num_clear = sum(column.is_clear for column in found.columns)
    text = (
        f"{_about(found, loss, target, 'one column')} {_list_largest(shown)} Blue dots: above 0 "
        f"beyond chance ({num_clear} of {len(found.columns):,}); grey diamonds: the interval "
        "includes 0 or lies below it."
    )
    if len(found.columns) > len(shown):
        text += f" The {len(shown)} largest are drawn."
    chart = Chart(((panel,),), height=max(60.0, 26.0 * len(shown)))
    return chart_picture("importance", "Permutation importance", text, chart)


def pixels_picture(
    found: PermutationImportance, loss: Loss, target: Target, *, is_image: bool
) -> Picture:
    """Draw the increase in loss for each pixel of an image, or point of a signal."""
    pixels, clear = found.pixels, found.clear
    assert pixels is not None
    assert clear is not None
    height, width = pixels.shape
    has_dots = pixels.size <= _MAX_DOTS

    low, high = float(pixels.min()), float(pixels.max())
    shares = (pixels - low) / (high - low or 1.0)
    edges = (-0.5, -0.5, width - 0.5, height - 0.5)
    marks: list[Mark] = [Raster(from_dark_to_bright(shares), *edges)]
    if has_dots:
        rows, columns = np.nonzero(clear)
        marks += [
            Dots(columns, rows, color="black", size=6.0, has_tooltip=False),
            Dots(columns, rows, color="white", size=4.5, has_tooltip=False),
        ]
    x, y = ("column of pixels", "row of pixels") if is_image else ("position", "channel")
    panel = Panel(
        marks,
        Axis(x, edges[0], edges[2], is_integer=True, has_grid=False, max_ticks=8),
        Axis(y, edges[1], edges[3], is_integer=True, has_grid=False, is_flipped=True),
        is_square=is_image,
    )
    scale = color_scale(from_dark_to_bright, low, high, f"increase in {loss.title}")
    single, several = ("pixel", "pixels") if is_image else ("point", "points")
    if found.patch == 1:
        what = f"one {single}"
    else:
        size = f"{found.patch} × {found.patch}" if is_image else str(found.patch)
        what = f"a patch of {size} {several}"
    num_clear = sum(column.is_clear for column in found.columns)
    text = (
        f"{_about(found, loss, target, what)} {_list_largest(found.columns)} "
        f"{num_clear} of {len(found.columns):,} {several if found.patch == 1 else 'patches'} are "
        f"above 0 beyond chance{' (dots)' if has_dots else ''}."
    )
    tall = min(380.0, 480.0 * height / width) if is_image else 40.0 + 30.0 * min(height, 12)
    share = min(1.0, tall * width / height / 480.0) if is_image else 1.0
    chart = Chart(((panel, scale),), height=tall, widths=(share * 24.0, 1.0, 24.0 * (1.0 - share)))
    return chart_picture("importance", f"Permutation importance of {several}", text, chart)


def _about(found: PermutationImportance, loss: Loss, target: Target, what: str) -> str:
    unit = loss.unit_name(shortened(target.loss_quantity, NAME))
    return (
        f"Increase in the {loss.title} on {describe_rows(found.sample)} (without shuffling: "
        f"{value_text(found.loss)}) when {what} is shuffled across them, in {unit}, "
        "with 95 % intervals."
    )


def _list_largest(columns: Sequence[ColumnImportance]) -> str:
    listed = [
        f"{named(column.name)} {_with_interval(column)}" for column in columns[:_MAX_IN_CAPTION]
    ]
    return f"The largest: {', '.join(listed)}." if listed else ""


def _with_interval(column: ColumnImportance) -> str:
    interval = f"{value_text(column.low)} to {value_text(column.high)}"
    return f"{value_text(column.increase)} ({interval})"
