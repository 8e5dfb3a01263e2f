"""Paragraphs, tables and pictures → one HTML file that loads nothing."""

import base64
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from dlcli.files import atomic_file
from dlcli.report.picture import Picture, asset
from dlcli.report.table import TextTable

_NUMBER = re.compile(r"[-+−]?[\d.,]+(e[-+]?\d+)?( ?%)?|–|missed|")
_WITH_ERROR = re.compile(_NUMBER.pattern.removesuffix("|") + r"|[-\d.,e+]+ ± [\d.,e+-]+|")
_LONG_WORD = re.compile(r"\S{25}")
_SHORT = 12  # letters of a row's name that stays in one line
_CODE = re.compile(r"`([^`]+)`")


@dataclass(frozen=True)
class PageSection:
    """What is under one heading, in this order; whatever is empty is left out."""

    title: str
    paragraphs: tuple[str, ...] = ()  # `code` is set as such
    tables: tuple[TextTable, ...] = ()
    pictures: tuple[Picture, ...] = ()
    code: str = ""  # shown verbatim


def write_page(path: Path, title: str, lead: str, sections: Sequence[PageSection]) -> None:
    """Write a page: StorageError where that fails. Text is escaped, whatever it contains."""
    html = "\n".join(_lines(title, lead, sections))
    with atomic_file(path) as file:
        file.write(html.encode())


def _lines(title: str, lead: str, sections: Sequence[PageSection]) -> Iterator[str]:
    script = asset("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
        f"script-src 'sha256-{digest}'"
    )
    yield '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    yield f"<title>{escape(title)}</title>"
    yield f"<style>\n{asset('chart.css')}{asset('page.css')}</style>\n</head>\n<body>"
    yield '<nav aria-label="Contents">\n<ol>'
    for number, section in enumerate(sections, 1):
        yield f'<li><a href="#section-{number}">{escape(section.title)}</a></li>'
    yield "</ol>\n</nav>\n<main>"
    yield f'<h1>{escape(title)}</h1>\n<p class="lead">{_prose(lead)}</p>'
    for number, section in enumerate(sections, 1):
        yield f'<section id="section-{number}">\n<h2>{escape(section.title)}</h2>'
        yield from _content(section)
        yield "</section>"
    yield f"</main>\n<script>{script}</script>\n</body>\n</html>\n"


def _content(section: PageSection) -> Iterator[str]:
    for paragraph in section.paragraphs:
        yield f"<p>{_prose(paragraph)}</p>"
    for table in section.tables:
        yield from _table(table)
    if section.code:
        yield f'<pre class="scroll" tabindex="0">{escape(section.code)}</pre>'
    for picture in section.pictures:
        yield f'<figure role="group" aria-label="{escape(picture.title)}">'
        yield f'<div role="img" aria-label="{escape(picture.text)}">{picture.svg}</div>'
        yield f"<figcaption>{_prose(picture.text)}</figcaption>\n</figure>"


def _table(table: TextTable) -> Iterator[str]:
    """Yield a table whose numbers are to the right and in one line."""
    columns = list(zip(*table.rows, strict=True)) or [() for _ in table.titles]
    kinds = [_kind(cells) for cells in columns]
    if not kinds[0] and all(len(name) <= _SHORT for name in columns[0]):
        kinds[0] = ' class="one"'
    yield '<div class="scroll" tabindex="0">\n<table>'
    titles = zip(table.titles, kinds, strict=True)
    heads = "".join(f'<th scope="col"{kind}>{escape(title)}</th>' for title, kind in titles)
    yield f"<thead><tr>{heads}</tr></thead>\n<tbody>"
    for row in table.rows:
        cells = zip(row[1:], kinds[1:], strict=True)
        rest = "".join(f"<td{kind}>{_cell(cell)}</td>" for cell, kind in cells)
        yield f'<tr><th scope="row"{kinds[0]}>{escape(row[0])}</th>{rest}</tr>'
    yield "</tbody>\n</table>\n</div>"
    if table.note:
        yield f'<p class="note">{_prose(table.note)}</p>'


def _cell(cell: str) -> str:
    """Escape a cell; an error stays with its sign where the line is broken before it."""
    return escape(cell).replace(" ± ", " ±\u00a0")


def _kind(cells: Sequence[str]) -> str:
    """Return the class of a column: numbers, or texts with words that may have to be broken."""
    if cells and all(map(_NUMBER.fullmatch, cells)):
        return ' class="n"'
    if cells and all(map(_WITH_ERROR.fullmatch, cells)):
        return ' class="n wraps"'
    return ' class="long"' if any(map(_LONG_WORD.search, cells)) else ""


def _prose(text: str) -> str:
    """Escape a text, and set its code as such."""
    return _CODE.sub(r"<code>\1</code>", escape(text))
