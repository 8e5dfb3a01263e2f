"""Paragraphs, tables and pictures → one HTML file that loads nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from dlcli.files import atomic_file
from dlcli.report.picture import Picture
from dlcli.report.table import TextTable


@dataclass(frozen=True)
class PageSection:
    """What is under one heading, in this order; whatever is empty is left out."""

    title: str
    paragraphs: tuple[str, ...] = ()
    tables: tuple[TextTable, ...] = ()
    pictures: tuple[Picture, ...] = ()
    code: str = ""  # shown verbatim


def write_page(path: Path, title: str, lead: str, sections: Sequence[PageSection]) -> None:
    """Write a page: StorageError where that fails. Text is escaped, whatever it contains."""
    environment = Environment(
        loader=PackageLoader("dlcli.report"), autoescape=True, undefined=StrictUndefined
    )
    environment.filters["inline"] = lambda picture: Markup(picture.inline)  # noqa: S704 - our SVG
    html = environment.get_template("page.html").render(title=title, lead=lead, sections=sections)
    with atomic_file(path) as file:
        file.write(html.encode())
