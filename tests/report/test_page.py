"""Pages load nothing, and text stays text whatever stands in it."""

import re
from html.parser import HTMLParser
from pathlib import Path

from matplotlib.figure import Figure

from dlcli.report.page import PageSection, write_page
from dlcli.report.picture import INK, Picture, draw, save_pictures
from dlcli.report.table import TextTable

HOSTILE = """<script>alert(1)</script> & "quotes' $x^2$ {{ 7 * 7 }}"""


def picture(name: str = "made") -> Picture:
    def fill(figure: Figure) -> None:
        axes = figure.add_subplot()
        axes.plot([1, 2], [3, 4], marker="o", label=HOSTILE)
        axes.set_title(HOSTILE)
        axes.scatter([1, 2], [4, 3], rasterized=True)
        axes.legend()

    return draw(name, HOSTILE, HOSTILE, fill)


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
    parts = [PageSection(HOSTILE, (HOSTILE,), (table,), (picture("one"), picture("two")))]
    write_page(Path("page.html"), HOSTILE, HOSTILE, parts)
    reader = Reader()
    reader.feed(Path("page.html").read_text("utf-8"))
    return reader


def test_text_is_never_markup() -> None:
    reader = read_page()
    assert "script" not in reader.tags
    assert reader.text.count("<script>alert(1)</script>") == 11 + 4  # in pictures too
    assert "49" not in reader.text
    assert not [name for name, _ in reader.attributes if name.startswith("on")]


def test_nothing_is_loaded_from_anywhere() -> None:
    reader = read_page()
    assert not {"link", "img", "iframe", "object"} & set(reader.tags)
    for name, value in reader.attributes:
        if name in ("src", "href", "xlink:href", "action"):
            assert value.startswith(("#", "data:image/png;base64,"))
    assert (
        "content",
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:",
    ) in reader.attributes


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
    assert attributes.count(("aria-label", HOSTILE)) == 4
    assert ("viewbox", "0 0 540 302.4") in attributes
    assert INK not in picture().inline
    assert "currentColor" in picture().inline


def test_pictures_are_kept_in_two_formats_that_stay_the_same() -> None:
    save_pictures(Path(), [picture()])
    assert Path("made.png").read_bytes().startswith(b"\x89PNG")
    first = Path("made.svg").read_bytes()
    save_pictures(Path(), [picture()])
    assert Path("made.svg").read_bytes() == first
