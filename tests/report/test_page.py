"""Pages load nothing, and text stays text whatever stands in it."""

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure

from dlcli.report.charts.chart import (
    COLORS,
    Axis,
    Band,
    Box,
    Boxes,
    Chart,
    Dots,
    Line,
    Panel,
    Raster,
    Rule,
    Spans,
)
from dlcli.report.charts.layout import LETTER, WIDTH, frames_of
from dlcli.report.charts.scale import Scale
from dlcli.report.drawing import draw
from dlcli.report.page import PageSection, write_page
from dlcli.report.picture import Picture, chart_picture, save_pictures
from dlcli.report.table import TextTable
from tests.browser import look_at, needs_browser

HOSTILE = """<script>alert(1)</script> & "quotes' $x^2$ {{ 7 * 7 }}"""


def picture(name: str = "drawn") -> Picture:
    """Draw by matplotlib, as planes and maps are."""

    def fill(figure: Figure) -> None:
        axes = figure.add_subplot()
        axes.plot([1, 2], [3, 4], marker="o", label=HOSTILE, color=COLORS[0])
        axes.set_title(HOSTILE)
        axes.scatter([1, 2], [4, 3], color=COLORS[1], rasterized=True)
        axes.legend()

    return draw(name, HOSTILE, HOSTILE, fill)


def chart(name: str = "chart") -> Picture:
    """Draw a chart, as curves, bars and matrices are."""
    marks = (
        Band([1, 2, 3], [0, 0, 0], [1, 2, 3]),
        Line([1, 2, 3, 4], [0.5, np.nan, 0.99996, 12345.0], HOSTILE, is_marked=True),
        Dots([2, 3], [1, 2], "dots", shape="diamond"),
        Rule(2.0, "x", "rule"),
        Spans([1], [0], [1], [2]),
        Boxes([Box(1, 0.5, 2, 2, text="<b>", note=HOSTILE), Box(2, 0, 3, 1)]),
        Raster(np.zeros((2, 2, 3), np.uint8), 1, 1, 2, 2),
    )
    panel = Panel(marks, Axis(HOSTILE), Axis(HOSTILE, is_log=True), HOSTILE, captions=(HOSTILE,))
    return chart_picture(name, HOSTILE, HOSTILE, Chart(((panel, panel), (panel,))))


class Reader(HTMLParser):
    """Takes down what a browser would see."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


def read_page() -> Reader:
    table = TextTable((HOSTILE, "b"), ((HOSTILE, HOSTILE),), HOSTILE)
    parts = [PageSection(HOSTILE, (HOSTILE,), (table,), (picture("one"), picture("two"), chart()))]
    write_page(Path("page.html"), HOSTILE, HOSTILE, parts)
    reader = Reader()
    reader.feed(Path("page.html").read_text("utf-8"))
    return reader


def test_text_is_never_markup() -> None:
    reader = read_page()
    assert reader.tags.count("script") == 1
    # Twice as the title, in the lead, the contents, the heading, a paragraph, 4 times in the table,
    # 3 times below pictures; in those of matplotlib twice, in the chart at least in the legend.
    assert reader.text.count("<script>alert(1)</script>") >= 13 + 4 + 1
    assert "49" not in reader.text
    assert not [name for name, _ in reader.attributes if name.startswith("on")]


def test_nothing_is_loaded_from_anywhere_and_no_other_script_runs() -> None:
    reader = read_page()
    assert not {"link", "img", "iframe", "object"} & set(reader.tags)
    for name, value in reader.attributes:
        if name in ("src", "href", "xlink:href", "action"):
            assert value.startswith(("#", "data:image/png;base64,"))
    (script,) = re.findall(r"<script>(.*?)</script>\n", Path("page.html").read_text(), re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = dict(reader.attributes)["content"]
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:; ")
    assert policy.endswith(f"script-src 'sha256-{digest}'")


@needs_browser
def test_a_browser_runs_the_script_and_cuts_nothing_whatever_names_are() -> None:
    read_page()
    seen = look_at(Path("page.html"))
    assert (seen.messages, seen.requests, seen.flaws) == ([], [], [])
    assert seen.tooltip.splitlines()[0].startswith(HOSTILE)  # the name of the axis
    assert f"━ {HOSTILE} " in seen.tooltip  # that of the line
    assert seen.dom.count("<script") == 1


def test_ids_are_the_only_ones_and_references_lead_to_them() -> None:
    attributes = read_page().attributes
    ids = [value for name, value in attributes if name == "id"]
    assert len(ids) == len(set(ids)) > 20
    hrefs = [value for name, value in attributes if name == "xlink:href"]
    links = {value[1:] for value in hrefs if value.startswith("#")}
    clips = {found for _, value in attributes for found in re.findall(r"url\(#([^)]*)\)", value)}
    assert links
    assert clips
    assert links | clips <= set(ids)


def test_each_picture_has_words_and_takes_the_pages_colours() -> None:
    attributes = read_page().attributes
    assert attributes.count(("aria-label", HOSTILE)) == 6
    assert ("viewbox", "0 0 540 302.4") in attributes
    for drawn in (picture().svg, chart().svg):
        assert not re.search(r"(fill|stroke): ?#(?!000|fff)", drawn)
    assert "currentColor" in picture().svg
    assert "var(--c0)" in picture().svg
    assert 'class="line c0"' in chart().svg


def test_a_line_keeps_its_values_with_its_points_and_never_rounds_up_to_a_bound() -> None:
    (at, values, path) = re.findall(
        r'data-at="([^"]*)" data-is="([^"]*)" d="([^"]*)"', chart().svg
    )[0]
    assert (at, values) == ("1 3 4", "0.5 0.99996 12340")
    assert [letter for letter in path if letter.isalpha()] == ["M", "M", "L"]


@pytest.mark.parametrize(
    ("low", "high", "texts"),
    [
        (-4.0, 8.5, ["-2.5", "0.0", "2.5", "5.0", "7.5"]),
        (0.0, 100.0, ["0", "20", "40", "60", "80", "100"]),
        (0.0, 0.011, ["0.000", "0.002", "0.004", "0.006", "0.008", "0.010"]),
        (0.0, 3e-5, ["0", "5e-6", "1e-5", "1.5e-5", "2e-5", "2.5e-5", "3e-5"]),
    ],
)
def test_ticks_are_written_as_they_are(low: float, high: float, texts: list[str]) -> None:
    assert [text for _, text in Scale(Axis(), low, high).ticks] == texts
    assert [Scale(Axis(), low, high).place(float(text)) for text in texts] == pytest.approx(
        [(float(text) - low) / (high - low) for text in texts]
    )


def test_files_are_made_where_asked_and_stay_the_same() -> None:
    for made in (picture, chart):
        save_pictures(Path(), [made("made")])
        assert Path("made.png").read_bytes().startswith(b"\x89PNG")
        first = Path("made.svg").read_bytes()
        assert ElementTree.fromstring(first.decode().split("?>")[1]).tag.endswith("svg")
        assert b"--c0: #0072b2" in first
        save_pictures(Path(), [made("made")])
        assert Path("made.svg").read_bytes() == first


def test_numbers_of_panels_side_by_side_are_apart() -> None:
    ends = [(0.0, "0.0001"), (1.0, "1,000")]
    x = Axis(low=0.0, high=1.0, ticks=ends)
    panels = [Panel((), x, Axis(is_hidden=place > 0)) for place in range(3)]
    first, second, third = frames_of(Chart((panels,)), 0.0)
    width = LETTER * (len("1,000") + len("0.0001")) / 2
    assert second.left - first.right > width
    assert third.left - second.right > width
    assert third.right <= WIDTH


def test_short_names_of_rows_stay_in_one_line() -> None:
    tables = (
        TextTable(("a", "b"), (("line 17", "1"), ("line 4", "2"))),
        TextTable(("a", "b"), (("line 17", "1"), ("the name of a row", "2"))),
    )
    write_page(Path("page.html"), "page", "", [PageSection("t", tables=tables)])
    html = Path("page.html").read_text("utf-8")
    assert '<th scope="row" class="one">line 17<' in html
    assert '<th scope="row">line 17<' in html
