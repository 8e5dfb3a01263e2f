"""`--assert "test.accuracy >= 0.9"`: one figure of a summary, compared with a number."""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from dlcli.errors import AssertionFailed, ConfigError, suggest

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}
_FORM = re.compile(r"\s*([\w.]+)\s*(>=|<=|==|!=|>|<)\s*(\S+)\s*")


@dataclass(frozen=True)
class Assertion:
    """A figure, an operator and a number."""

    figure: str
    sign: str
    number: float


def parse_assertion(text: str) -> Assertion:
    """Read an --assert; ConfigError where it is not of the form FIGURE OPERATOR NUMBER."""
    match = _FORM.fullmatch(text)
    try:
        if match is not None:
            return Assertion(match[1], match[2], float(match[3]))
    except ValueError:
        pass
    raise ConfigError(
        f"--assert {text!r}: write a figure, one of {' '.join(_OPERATORS)} and a number, as in "
        '--assert "test.accuracy >= 0.9"'
    )


def check_assertion(assertion: Assertion, summary: Mapping[str, Any]) -> None:
    """Raise AssertionFailed where a figure is not there or not as asked for."""
    value: Any = summary
    for step in assertion.figure.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    if not isinstance(value, int | float):
        known = list(_figures(summary, ""))
        hint = suggest(assertion.figure, known) or f"; there are: {', '.join(known)}"
        raise AssertionFailed(f"--assert: the summary has no figure '{assertion.figure}'{hint}")
    if not _OPERATORS[assertion.sign](value, assertion.number):
        raise AssertionFailed(
            f"--assert {assertion.figure} {assertion.sign} {assertion.number:g} does not hold: "
            f"{assertion.figure} is {value:g}"
        )


def _figures(summary: Mapping[str, Any], prefix: str) -> list[str]:
    names = []
    for key, value in summary.items():
        if isinstance(value, Mapping):
            names += _figures(value, f"{prefix}{key}.")
        elif isinstance(value, int | float):
            names.append(prefix + key)
    return names
