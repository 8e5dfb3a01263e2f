"""How pages write names, numbers, metrics, losses and rows."""

import math
from collections.abc import Sequence

import numpy as np

from dlcli.explaining.quality.bootstrap import Estimate
from dlcli.explaining.reasons.boundary import Equation, InputPlane
from dlcli.explaining.reasons.sampling import SampledRows
from dlcli.numbers import number_text, percent_text
from dlcli.report.picture import shortened
from dlcli.targets.base import Target

NAME = 24  # characters of a name, in a label
_LONG_NAME = 60  # in a sentence
_PARTS = {"test": "test rows", "validation": "validation rows", "train": "training rows"}
_MAX_NAME_LENGTH, _MAX_CELL_LENGTH = 24, 20


def rows_of(part: str) -> str:
    """Name the rows of a part."""
    return _PARTS[part]


def describe_rows(sample: SampledRows) -> str:
    """Say which rows were used: `the 88 test rows`."""
    if len(sample) == sample.num_held:
        return f"the {len(sample):,} {rows_of(sample.part)}"
    return f"{len(sample):,} of the {sample.num_held:,} {rows_of(sample.part)} (sampled at random)"


def prediction_name(target: Target, curve: str) -> str:
    """Name what is predicted: the probability of a class, or the target."""
    if not target.score_names:
        return f"predicted {shortened(target.name, NAME)}"
    return f"probability of {shortened(target.name, NAME)} = {shortened(curve, NAME)}"


def named(name: str) -> str:
    """Return a name as a sentence has room for it."""
    return shortened(name, _LONG_NAME)


def value_text(value: float) -> str:
    """Write a number with three significant digits, in scientific notation if large or small."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    size = math.floor(math.log10(abs(value)))
    if not -4 <= size < 6:
        return f"{value:.2e}"
    return f"{value:,.{max(0, 2 - size)}f}"


def sureness_text(probability: float) -> str:
    """Write a probability where there is little room: 97%, >99.9%."""
    if 0.999 < probability < 1.0:
        return ">99.9%"
    return "<0.1%" if 0.0 < probability < 0.001 else percent_text(probability)


def equation_of(equation: Equation, plane: InputPlane) -> str:
    """Write a neuron's sum: `1 + 3 x1 - 2 x2`."""
    terms = [(equation.first, plane.names[0]), (equation.second, plane.names[1])]
    text = f"{equation.constant:.4g}"
    for slope, name in terms:
        text += f" {'-' if slope < 0 else '+'} {abs(slope):.4g} {named(name)}"
    return text


def labels(names: Sequence[str], max_length: int) -> list[str]:
    """Return names as labels have room for them, still distinct."""
    found: dict[str, None] = {}  # in their order
    for name in names:
        label, number = one_label(name, max_length), 1
        while label in found:
            number += 1
            end = f" ({number})"
            label = one_label(name, max_length - len(end)) + end
        found[label] = None
    return list(found)


def one_label(name: str, max_length: int) -> str:
    """Return a name in one line, without invisible characters, and without its middle if long."""
    seen = name
    if not name.isprintable():
        seen = "".join(character if character.isprintable() else " " for character in name)
    text = " ".join(seen.split()) or "(blank)"
    end = max_length // 3
    return text if len(text) <= max_length else f"{text[: max_length - end - 1]}…{text[-end:]}"


def amount_text(amount: float) -> str:
    """Return a number of rows, or their weight: whole numbers as they are, others rounded."""
    return f"{round(amount):,}" if amount == round(amount) else f"{amount:,.4g}"


def metric_text(value: float | None, digits: int = 4) -> str:
    """Return a metric as a table shows it; "–" where it has no value."""
    return "–" if value is None or not np.isfinite(value) else number_text(value, digits)


def interval_text(estimate: Estimate, digits: int = 4) -> str:
    """Return the 95 % confidence interval of a metric."""
    return (
        "–"
        if estimate.low is None
        else f"{metric_text(estimate.low, digits)} to {metric_text(estimate.high, digits)}"
    )


def with_interval(estimate: Estimate, digits: int = 4) -> str:
    """Return a metric with its 95 % confidence interval."""
    if estimate.low is None:
        return metric_text(estimate.value, digits)
    return f"{metric_text(estimate.value, digits)} (95 %: {interval_text(estimate, digits)})"


def cell_text(cell: str | None) -> str:
    """Return a cell of the data as a table has room for it."""
    return "(missing)" if cell is None else labels([cell], _MAX_CELL_LENGTH)[0]


def listed(names: Sequence[str], max_names: int = 5) -> str:
    """Return names as a sentence lists them, the first ones of many."""
    shown = labels(names, _MAX_NAME_LENGTH)[:max_names]
    more = f" and {len(names) - max_names} more" if len(names) > max_names else ""
    return f"{', '.join(shown)}{more}"
