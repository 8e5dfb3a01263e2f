"""How dates are written: formats, and text of dates as ISO 8601."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Self

import polars as pl

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = (
    "(?i:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|"
    r"sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
_WEEKDAY = r"(?i:(?:mon|tues?|wed(?:nes)?|thu(?:rs?)?|fri|sat(?:ur)?|sun)(?:day)?)\.?"
_ZONE = r"Z|UTC|GMT|[-+][0-9]{2}:?[0-9]{2}"
_DIRECTIVES = {
    "Y": "(?P<Y>[0-9]{4})",
    "y": "(?P<y>[0-9]{2})",
    "m": "(?P<m>0?[1-9]|1[0-2])",
    "d": "(?P<d>0?[1-9]|[12][0-9]|3[01])",
    "b": f"(?P<b>{_MONTH})",
    "B": f"(?P<b>{_MONTH})",
    "a": _WEEKDAY,
    "A": _WEEKDAY,
    "H": "(?P<H>[01]?[0-9]|2[0-3])",
    "I": "(?P<H>0?[1-9]|1[0-2])",
    "M": "(?P<M>[0-5][0-9])",
    "S": "(?P<S>[0-5][0-9])",
    "f": "(?P<f>[0-9]{1,9})",
    "p": r"(?P<p>[AaPp])\.?[Mm]\.?",
    "z": f"(?P<z>{_ZONE})",
    "Z": f"(?P<z>{_ZONE})",
    "%": "%",
}
_GROUPS = "YymdbHMSfpz"
# What may follow a date whose format has no time: 12:30, T12:30:15.5Z, 3:04 PM.
_TIME = (
    "(?:,?[ T]+(?P<H>[01]?[0-9]|2[0-3]):(?P<M>[0-5][0-9])"
    r"(?::(?P<S>[0-5][0-9])(?:[.,](?P<f>[0-9]{1,9}))?)?(?:\s?(?P<p>[AaPp])\.?[Mm]\.?)?"
    rf"(?:\s?(?P<z>{_ZONE}))?)?"
)

# That are recognised. Dates with points have their day first wherever they are written so.
FORMATS = (
    *("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d"),
    *("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y"),
    *("%d.%m.%y", "%d/%m/%y", "%m/%d/%y", "%d-%m-%y", "%m-%d-%y", "%y-%m-%d"),
    *("%b %d %Y", "%b %d, %Y", "%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%d/%b/%Y", "%Y-%b-%d"),
    *("%a, %d %b %Y", "%a %b %d %Y", "%a, %b %d, %Y"),
)
_ISO = re.compile(
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?([-+][0-9:]+|Z)?)?)?$"
)
LOOKS_DATED = (
    r"^[0-9]{1,4}[-/.][0-9]{1,2}[-/.][0-9]{1,4}\b|(?i)^(?:[a-z]{3,9}\.?,? )?"
    r"(?:[0-9]{1,2}[ /-])?(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}\b.*[0-9]"
)


def format_problem(layout: str) -> str | None:
    """Say what is wrong with a format of dates; None if it can be used."""
    named = re.findall(r"%(.?)", layout)
    unknown = [name for name in named if name not in _DIRECTIVES]
    if unknown:
        known = " ".join(f"%{name}" for name in _DIRECTIVES)
        return f"'%{unknown[0]}' in {layout!r} is not known; the directives are {known}"
    fields = [re.findall(r"\?P<(.)>", _DIRECTIVES[name]) for name in named]
    found = [field for some in fields for field in some]
    if not ({"Y", "y"} & {*found} and {"m", "b"} & {*found} and "d" in found):
        return f"{layout!r} needs a year, a month and a day, as in '%d.%m.%Y'"
    if len({*found}) < len(found):
        return f"{layout!r} names a part of the date twice"
    return None


def have_rivals(formats: Sequence[str]) -> bool:
    """Say whether one of several formats may fit dates of another: 03/04/2024 of two."""
    shapes = [re.sub(r"%[dmy]", "0", layout) for layout in formats]
    return len({*shapes}) < len(shapes)


@dataclass(frozen=True)
class DateReading:
    """How a column's dates are read: by the formats that fit each, which must agree on it."""

    formats: tuple[str, ...]
    is_ordered: bool = False  # they need not agree: the first that fits is the one
    is_mixed: bool = False  # none of them fits all of the dates

    @classmethod
    def given(cls, known: pl.Series, formats: Sequence[str], share: float) -> Self | None:
        """Return the reading by some formats; None where less than a share of cells fits."""
        is_dated = pl.Series([False]).new_from_index(0, len(known))
        for layout in formats:
            is_dated |= to_iso(known, layout).is_not_null()
        if not is_dated.any() or (is_dated | is_iso(known)).sum() < share * len(known):
            return None
        return cls(tuple(formats), is_ordered=True)

    @classmethod
    def recognised(cls, known: pl.Series, share: float) -> Self | None:
        """Return the reading that fits cells; None where less than a share are dates."""
        others = known.filter(~is_iso(known)).unique(maintain_order=True)
        if not len(others):
            return None
        fits = {layout: to_iso(others, layout).is_not_null() for layout in FORMATS}
        fits = {layout: fit for layout, fit in fits.items() if fit.any()}
        if not fits:
            return None
        is_dated = pl.DataFrame(fits).select(pl.any_horizontal(pl.all())).to_series()
        num_others = known.is_in(others.filter(~is_dated).implode()).sum()
        if len(known) - num_others < share * len(known):
            return None
        whole = tuple(layout for layout, fit in fits.items() if fit.sum() == is_dated.sum())
        return cls(whole or tuple(fits), is_mixed=not whole)

    def to_iso(self, text: pl.Series) -> tuple[pl.Series, pl.Series]:
        """Return text with its dates in ISO 8601, and which cells are ambiguous, bool [rows]."""
        stripped = text.str.strip_chars()
        found = pl.Series(text.name, [], dtype=pl.String).clear(len(text))
        is_ambiguous = pl.Series([False]).new_from_index(0, len(text))
        for layout in self.formats:
            dates = to_iso(stripped, layout)
            if not self.is_ordered:
                is_ambiguous |= (dates != found).fill_null(value=False)
            found = found.zip_with(found.is_not_null(), dates)
        if self.is_mixed:
            is_ambiguous = found.is_not_null()
        return text.zip_with(found.is_null() | is_ambiguous, found), is_ambiguous

    def values_of(self, cell: str) -> dict[str, str]:
        """Return what a cell is in each format that fits it: 2024-01-31."""
        text = pl.Series([cell.strip()])
        found = {layout: to_iso(text, layout).item() for layout in self.formats}
        return {layout: value for layout, value in found.items() if value is not None}


@cache
def pattern_of(layout: str) -> str:
    """Return the regular expression of a format; where it has no time, one may follow."""
    parts = re.split(r"%(.)", layout)
    written = [
        # Of years with two digits, days and months have two, too: 1.2.10 is a version.
        _two_digits(_DIRECTIVES[part])
        if index % 2 and "%y" in layout
        else _DIRECTIVES[part]
        if index % 2
        else re.sub(r"(\\ )+", r"\\s+", re.escape(part))
        for index, part in enumerate(parts)
    ]
    has_time = bool({"H", "I", "M", "S", "p", "z", "Z"} & set(parts[1::2]))
    return f"^{''.join(written)}{'' if has_time else _TIME}$"


def _two_digits(directive: str) -> str:
    return directive.replace("0?[1-9]", "0[1-9]")


def is_iso(text: pl.Series) -> pl.Series:
    """Say of each text whether it is an ISO 8601 date, or date and time."""
    return text.str.contains(_ISO.pattern)


def to_iso(text: pl.Series, layout: str) -> pl.Series:
    """Return dates as 2024-01-31 or 2024-01-31T12:00:00, null for text not in this format."""
    groups = text.str.extract_groups(pattern_of(layout)).struct
    fields = {name: groups.field(name) for name in groups.fields if name in _GROUPS}
    parts = pl.DataFrame([column.alias(name) for name, column in fields.items()])
    date = pl.concat_str(
        [_year(parts), _month(parts), pl.col("d").str.zfill(2)],
        separator="-",
    )
    time = _time(parts)
    known = date.str.to_date("%Y-%m-%d", strict=False).is_not_null()  # 31 February is none
    both = pl.concat_str([date, time]) if time is not None else date
    return parts.select(pl.when(known).then(both).alias(text.name)).to_series()


def _year(parts: pl.DataFrame) -> pl.Expr:
    """Two digits are those of a year from 1969 to 2068."""
    if "Y" in parts.columns:
        return pl.col("Y")
    return pl.when(pl.col("y") >= "69").then(pl.lit("19")).otherwise(pl.lit("20")) + pl.col("y")


def _month(parts: pl.DataFrame) -> pl.Expr:
    if "m" in parts.columns:
        return pl.col("m").str.zfill(2)
    numbers = {name: f"{number:02}" for number, name in enumerate(_MONTHS, 1)}
    name = pl.col("b").str.to_lowercase().str.slice(0, 3)
    return name.replace_strict(numbers, default=None, return_dtype=pl.String)


def _time(parts: pl.DataFrame) -> pl.Expr | None:
    """Return the time as T12:30:00, with fraction and zone; "" where there is none."""
    if "H" not in parts.columns:
        return None

    def field(name: str) -> pl.Expr:
        return pl.col(name) if name in parts.columns else pl.lit(None, pl.String)

    hour = field("H").cast(pl.Int64)
    is_morning = field("p").str.to_lowercase() == "a"
    hour = (
        pl.when(field("p").is_null())
        .then(hour)
        .when(hour > 12)
        .then(None)
        .otherwise(hour % 12 + pl.when(is_morning).then(0).otherwise(12))
    )
    fraction = pl.lit(".") + field("f")
    zone = field("z").replace({"UTC": "Z", "GMT": "Z"})
    time = pl.concat_str(
        pl.lit("T") + hour.cast(pl.String).str.zfill(2),
        pl.lit(":") + field("M").fill_null("00"),
        pl.lit(":") + field("S").fill_null("00"),
        fraction.fill_null(""),
        zone.fill_null(""),
    )
    return pl.when(field("H").is_null()).then(pl.lit("")).otherwise(time)
