"""How pages write names and figures."""

from collections.abc import Sequence

import numpy as np

from dlcli.explaining.judging.bootstrap import Estimate

_PLAIN = 1e10  # numbers below are written out
_LONGEST_NAME, _LONGEST_CELL = 24, 20


def labels(names: Sequence[str], most: int) -> list[str]:
    """Return names as labels have room for them, still told apart."""
    found: list[str] = []
    for name in names:
        label, number = one_label(name, most), 1
        while label in found:
            number += 1
            end = f" ({number})"
            label = one_label(name, most - len(end)) + end
        found.append(label)
    return found


def one_label(name: str, most: int) -> str:
    """Return a name in one line, without what can't be seen, and without its middle if long."""
    seen = "".join(sign if sign.isprintable() else " " for sign in name)
    text = " ".join(seen.split()) or "(blank)"
    end = most // 3
    return text if len(text) <= most else f"{text[: most - end - 1]}…{text[-end:]}"


def number(value: float, digits: int = 3) -> str:
    """Return a number with so many digits, written out where that is not too long."""
    text = f"{value:.{digits}g}"
    return f"{float(text):.0f}" if "e" in text and 1 <= abs(value) < _PLAIN else text


def figure_text(value: float | None, digits: int = 4) -> str:
    """Return a number as a table has it."""
    return "–" if value is None or not np.isfinite(value) else number(value, digits)


def range_text(own: Estimate, digits: int = 4) -> str:
    """Return where a figure lies with a confidence of 95 %."""
    return (
        "–"
        if own.low is None
        else f"{figure_text(own.low, digits)} to {figure_text(own.high, digits)}"
    )


def with_range(own: Estimate, digits: int = 4) -> str:
    """Return a figure, and where it lies."""
    if own.low is None:
        return figure_text(own.value, digits)
    return f"{figure_text(own.value, digits)} (95 %: {range_text(own, digits)})"


def cell_text(cell: str | None) -> str:
    """Return a cell of the data as a table has room for it."""
    return "(missing)" if cell is None else labels([cell], _LONGEST_CELL)[0]


def listed(names: Sequence[str], most: int = 5) -> str:
    """Return names as a sentence has them, the first ones of many."""
    shown = labels(names, _LONGEST_NAME)[:most]
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(shown)}{more}"
