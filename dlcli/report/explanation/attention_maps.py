"""Where attention looks: rows with the weight of each position, and which position takes which."""

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np

from dlcli.explaining.reasons.attention_maps import AttendedRow, AttentionMaps
from dlcli.report.charts.chart import Axis, Chart, Label, Line, Mark, Panel, Raster
from dlcli.report.charts.parts import color_scale
from dlcli.report.charts.pixels import from_dark_to_bright
from dlcli.report.charts.tiles import GAP, TITLE, image_tile, tiles_panel
from dlcli.report.page import PageSection
from dlcli.report.picture import Picture, chart_picture
from dlcli.report.text import describe_rows, named, one_label, sureness_text

_HEAD_HEIGHT, _SIGNAL_HEIGHT = 11.0, 44.0  # in units of the chart
_AROUND = 58.0  # of a row: its title and the positions
_TOKEN_HEIGHT = 26.0  # more for tokens
_MAX_CHANNELS = 4
_MAX_TOKENS, _MAX_CHARACTERS = 36, 70  # that have room below a row
_NUM_LARGEST = 16  # tokens that are named where not all have room
_MAX_TOKEN = 12  # letters
_MAX_NAMED_HEADS = 12
_MAX_VALUE = 24  # letters of a class, or of labels
_TILES_A_ROW, _MAX_TILES = 4, 16
_WIDTH = 500.0  # of tiles, in units of the chart


def attention_sections(found: Sequence[AttentionMaps]) -> Iterator[PageSection]:
    """Yield a section for each input with attention."""
    for maps in found:
        if not maps.rows:
            continue
        title = "Attention" if maps.input is None else f"Attention: {named(maps.input)}"
        layers = ", ".join(f"{number}: {name}" for number, name in enumerate(maps.layers, 1))
        text = (
            "Attention puts a weighted mean of all positions in the place of each. The weights "
            "say which positions a head mixes, not which ones the prediction rests on. Layers "
            f"with attention: {layers}."
        )
        pictures = [_rows_picture(maps)]
        if any(weights.shape[1] > 1 for weights in maps.rows[0].weights):
            pictures.append(_pairs_picture(maps))
        yield PageSection(title, (text,), pictures=tuple(pictures))


def _rows_picture(maps: AttentionMaps) -> Picture:
    """Draw each row with the mean weight of its positions, a line of cells for each head."""
    rows, heights = [], []
    for row in maps.rows:
        num_heads = sum(map(len, row.weights))
        signal = _signal_panel(row)
        if signal is not None:
            rows.append((signal,))
            heights.append(_SIGNAL_HEIGHT)
        rows.append((_strip_panel(row, has_title=signal is None),))
        heights.append(_HEAD_HEIGHT * num_heads + _AROUND + _TOKEN_HEIGHT * bool(row.tokens))
    total = sum(heights)
    chart = Chart(tuple(rows), total, heights=tuple(height / total for height in heights))
    name = "attention" if maps.input is None else f"attention_{_file_name(maps.input)}"
    return chart_picture(name, "Weights of positions", _rows_text(maps), chart)


def _rows_text(maps: AttentionMaps) -> str:
    first = maps.rows[0]
    if first.probability is None:
        which = "those with the smallest errors, then those with the largest"
    else:
        which = "of each of the largest classes, the row that the network is surest of and right"
        if any(row.truth != row.prediction for row in maps.rows):
            which += ", then the rows that it gets most wrong"
    text = (
        f"Of {describe_rows(maps.sample)}: {which}. A line of cells is a head, named by layer and "
        "head; yellow cells are the positions with the largest weight, the mean over all positions "
        "that take from them, on a scale of the row's own."
    )
    if first.signal is not None:
        channels = len(first.signal)
        cut = f", the first {_MAX_CHANNELS} of {channels} channels"
        text += f" Above: the signal as the network gets it{cut * (channels > _MAX_CHANNELS)}."
    if any(len(row.tokens) > _max_shown(row.tokens) for row in maps.rows):
        text += f" Of long rows, the {_NUM_LARGEST} tokens with the largest weights are named."
    return text


def _signal_panel(row: AttendedRow) -> Panel | None:
    if row.signal is None:
        return None
    places = np.arange(row.length) + 0.5
    lines = [
        Line(places, channel, color=index, width=1.2, has_tooltip=False)
        for index, channel in enumerate(row.signal[:_MAX_CHANNELS])
    ]
    x = Axis(low=0.0, high=float(row.length), is_hidden=True, has_grid=False)
    return Panel(lines, x, Axis(max_ticks=3), title=_title(row))


def _strip_panel(row: AttendedRow, *, has_title: bool) -> Panel:
    """Return the cells of all heads, over the row's positions, however many a layer leaves."""
    marks: list[Mark] = []
    named_heads: list[tuple[float, str]] = []
    received = row.received
    highest = max(float(weights.max()) for weights in received)
    num_heads = sum(map(len, received))
    y = 0
    for layer, weights in enumerate(received, 1):
        colors = from_dark_to_bright(weights / highest)
        marks.append(Raster(colors, 0.0, y, float(row.length), y + len(weights)))
        if num_heads <= _MAX_NAMED_HEADS:
            named_heads += [(y + head + 0.5, f"{layer}.{head + 1}") for head in range(len(weights))]
        else:
            named_heads.append((y + len(weights) / 2, str(layer)))
        y += len(weights)
    ticks, turned = _token_ticks(row)
    axis = Axis(
        "" if row.tokens else "position",
        0.0,
        float(row.length),
        ticks=ticks,
        turned=turned,
        has_grid=False,
    )
    heads = Axis("head", 0.0, float(y), is_flipped=True, ticks=tuple(named_heads), has_grid=False)
    return Panel(marks, axis, heads, title=_title(row) if has_title else "")


def _token_ticks(row: AttendedRow) -> tuple[tuple[tuple[float, str], ...] | None, Literal[0, 90]]:
    """Return the tokens below the cells, those with the largest weights of many; None: numbers."""
    if not row.tokens:
        return None, 0
    chosen = list(range(len(row.tokens)))
    if len(chosen) > _max_shown(row.tokens):
        middles = np.array(chosen) + 0.5
        weights = [
            np.interp(middles, _middles(each, row.length), each.mean(axis=0))
            for each in row.received
        ]
        chosen = sorted(np.argsort(-np.sum(weights, axis=0), kind="stable")[:_NUM_LARGEST].tolist())
    ticks = tuple((place + 0.5, one_label(row.tokens[place], _MAX_TOKEN)) for place in chosen)
    return ticks, 0 if all(len(token) == 1 for token in row.tokens) else 90


def _middles(weights: np.ndarray, length: int) -> np.ndarray:
    """Return where the middles of a layer's positions are in the row."""
    num_positions = weights.shape[1]
    half = length / num_positions / 2
    return np.linspace(half, length - half, num_positions)


def _max_shown(tokens: Sequence[str]) -> int:
    return _MAX_CHARACTERS if all(len(token) == 1 for token in tokens) else _MAX_TOKENS


def _pairs_picture(maps: AttentionMaps) -> Picture:
    """Draw which position takes from which, for the first row."""
    row = maps.rows[0]
    heads = [
        (f"{layer}.{head}", one)
        for layer, weights in enumerate(row.weights, 1)
        if weights.shape[1] > 1
        for head, one in enumerate(weights, 1)
    ]
    shown = heads[:_MAX_TILES]
    across = min(_TILES_A_ROW, len(shown))
    marks: list[Mark] = []
    step = 1 + TITLE
    for index, (name, weights) in enumerate(shown):
        x, y = index % across * (1 + GAP), index // across * step
        marks.append(Label(x + 0.5, y - TITLE / 2, name, has_halo=False))
        marks += image_tile(from_dark_to_bright(weights / float(weights.max())), x, y, name)
    down = -(-len(shown) // across)
    panel, height = tiles_panel(marks, across * (1 + GAP) - GAP, down * step - TITLE, _WIDTH)
    scale = color_scale(from_dark_to_bright, 0.0, 1.0, "share of the largest")
    text = (
        f"The first of these rows, {row.position}: each tile is a head, each of its lines a "
        "position that takes, from the top, and each column a position that it takes from."
    )
    if len(heads) > len(shown):
        text += f" The first {len(shown)} of {len(heads)} heads."
    name = "attention_pairs" if maps.input is None else f"attention_pairs_{_file_name(maps.input)}"
    chart = Chart(((panel, scale),), height, widths=(24.0, 1.0))
    return chart_picture(name, "Which position takes from which", text, chart)


def _title(row: AttendedRow) -> str:
    truth, prediction = _value_text(row.truth), _value_text(row.prediction)
    sureness = "" if row.probability is None else f" ({sureness_text(row.probability)})"
    if row.probability is not None and row.truth == row.prediction:
        return f"{row.position}: {truth}{sureness}"
    return f"{row.position}: {truth}, predicted {prediction}{sureness}"


def _value_text(value: str | float) -> str:
    return one_label(value, _MAX_VALUE) if isinstance(value, str) else f"{value:.3g}"


def _file_name(name: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in name)
