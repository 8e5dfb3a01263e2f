"""`--assert "test.accuracy >= 0.9"`: a condition on the summary of a run."""

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from dlcli.errors import AssertionFailed, ConfigError, suggest
from dlcli.metrics import figures_of, why_undefined
from dlcli.runs.preparation import Prepared

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}
_FORM = re.compile(r"\s*(\S.*?)\s*(>=|<=|==|!=|>|<)\s*(\S+)\s*")


@dataclass(frozen=True)
class Assertion:
    """A condition: the name of a value in the summary, an operator and a number."""

    figure: str
    sign: str
    number: float

    def __str__(self) -> str:
        return f"{self.figure} {self.sign} {self.number!r}"


def parse_assertion(text: str) -> Assertion:
    """Read an --assert; ConfigError if it is not of the form NAME OPERATOR NUMBER."""
    match = _FORM.fullmatch(text)
    try:
        if match is not None and math.isfinite(number := float(match[3])):
            return Assertion(match[1], match[2], number)
    except ValueError:
        pass
    raise ConfigError(
        f"--assert {text!r}: write a name, one of {' '.join(_OPERATORS)} and a number, as in "
        '--assert "test.accuracy >= 0.9"'
    )


def check_assertion_name(assertion: Assertion, prepared: Prepared) -> None:
    """Raise ConfigError, before training, for a value that the summary won't have."""
    dataset = prepared.dataset
    parts = [name for name in ("validation", "test") if name in dataset.num_rows]
    known = [
        *(f"{part}.{metric}" for part in parts for metric in figures_of(dataset.fitted.target)),
        *("best_epoch", "epochs", "seconds", "parameters"),
        *(f"rows.{part}" for part in dataset.num_rows),
    ]
    if assertion.figure not in known:
        hint = suggest(assertion.figure, known) or f"; known: {', '.join(known)}"
        raise ConfigError(f"--assert: the summary has no '{assertion.figure}'{hint}")
    part, _, metric = assertion.figure.partition(".")
    if reason := why_undefined(metric, dataset.target_values.get(part)):
        raise ConfigError(
            f"--assert: {assertion.figure} has no value on the {part} rows: {reason}; name another "
            "metric, or hold out other rows (data.split)"
        )


def check_assertion(assertion: Assertion, summary: Mapping[str, Any]) -> None:
    """Raise AssertionFailed if the condition doesn't hold, or the value is missing."""
    value: Any = summary
    for step in assertion.figure.split(".", 1):  # a figure of one of several targets has dots
        value = value.get(step) if isinstance(value, Mapping) else None
    if not isinstance(value, int | float):
        raise AssertionFailed(f"--assert: {assertion.figure} has no value in this run")
    if not _OPERATORS[assertion.sign](value, assertion.number):
        raise AssertionFailed(
            f"--assert {assertion.figure} {assertion.sign} {assertion.number:g} does not hold: "
            f"{assertion.figure} is {value:g}"
        )
