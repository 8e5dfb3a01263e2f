"""The forms of files, recognised by their first bytes and their names."""

from pathlib import PurePath

from dlcli.errors import DataError
from dlcli.tables import compression
from dlcli.tables.formats.base import Format
from dlcli.tables.formats.columnar import ArrowFormat, ArrowStreamFormat, ParquetFormat
from dlcli.tables.formats.delimited import DelimitedFormat
from dlcli.tables.formats.excel import ExcelFormat
from dlcli.tables.formats.json_lines import JsonLinesFormat

FORMATS: tuple[Format, ...] = (
    DelimitedFormat(),
    JsonLinesFormat(),
    ParquetFormat(),
    ArrowFormat(),
    ArrowStreamFormat(),
    ExcelFormat(),
)
_TEXT, _JSON_LINES = FORMATS[:2]
_OLD_EXCEL, _SQLITE = b"\xd0\xcf\x11\xe0", b"SQLite format 3\x00"


def suffix_of(name: str) -> str | None:
    """Return the suffix that says a file's form; None for that of no form, "" without any."""
    path = PurePath(name.lower())
    if path.suffix in compression.SUFFIXES:
        path = PurePath(path.stem)
    known = [suffix for form in FORMATS for suffix in form.suffixes]
    return path.suffix if path.suffix in known or not path.suffix else None


def recognise(head: bytes, name: str, *, has_name: bool) -> Format:
    """Return the form of a file from its first bytes, decompressed, and its name.

    Bytes that only one form begins with decide; text is what its name says. What has no name, or
    one without a suffix, is JSON Lines if it begins with `{`, else CSV. Raises DataError for
    anything else.
    """
    for form in FORMATS:
        if form.magic is not None and head.startswith(form.magic):
            return form
    if head.startswith(_OLD_EXCEL):
        raise DataError(f"{name}: an old Excel workbook; save it as .xlsx or as CSV")
    if head.startswith(_SQLITE):
        raise DataError(f"{name}: an SQLite database; say which rows by data.query")
    suffix = suffix_of(name) if has_name else ""
    if suffix is None:
        raise DataError(_unknown(name))
    if not suffix:
        return _JSON_LINES if head.lstrip().startswith(b"{") else _TEXT
    form = next(form for form in FORMATS if suffix in form.suffixes)
    if not head and form.magic is not None:
        raise DataError(f"{name}: the file is empty")
    if form.magic is not None:
        raise DataError(f"{name}: not {form.name}, whatever its name says; it begins with {head!r}")
    return form


def _unknown(name: str) -> str:
    if name.lower().endswith(".json"):
        return (
            f"{name}: JSON is read as JSON Lines, an object on each line; turn an array into that "
            "with `jq -c '.[]'`, and name it .jsonl"
        )
    known = " ".join(suffix for form in FORMATS for suffix in form.suffixes)
    return f"{name}: not a table by its name; what is read: {known}, also with .gz or .zst"
