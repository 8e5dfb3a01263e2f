"""How explanations name rows, losses and numbers."""

import math

from dlcli.data.target import ClassTarget, NumberTarget
from dlcli.explaining.reasons.boundary import Equation, InputPlane
from dlcli.explaining.reasons.sampling import SampledRows
from dlcli.report.picture import shortened

NAME = 24  # characters of a name, in a label
_LONG_NAME = 60  # in a sentence
_PARTS = {"test": "test rows", "validation": "validation rows", "train": "training rows"}


def rows_of(part: str) -> str:
    """Name a part's rows."""
    return _PARTS[part]


def rows_asked(asked: SampledRows) -> str:
    """Say which rows were asked: `the 88 test rows`."""
    if len(asked) == asked.num_held:
        return f"the {len(asked):,} {rows_of(asked.part)}"
    return f"{len(asked):,} of the {asked.num_held:,} {rows_of(asked.part)} (drawn at random)"


def answer_of(target: ClassTarget | NumberTarget, curve: str) -> str:
    """Name what is predicted: the probability of a class, or the target."""
    if isinstance(target, NumberTarget):
        return f"predicted {shortened(target.name, NAME)}"
    return f"probability of {shortened(target.name, NAME)} = {shortened(curve, NAME)}"


def named(name: str) -> str:
    """Return a name as a sentence has room for it."""
    return shortened(name, _LONG_NAME)


def figure(value: float) -> str:
    """Write a number with three digits that count, plainly where it has a usual size."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    size = math.floor(math.log10(abs(value)))
    if not -4 <= size < 6:
        return f"{value:.2e}"
    return f"{value:,.{max(0, 2 - size)}f}"


def equation_of(equation: Equation, plane: InputPlane) -> str:
    """Write a neuron's sum: `1 + 3 x1 - 2 x2`."""
    terms = [(equation.first, plane.names[0]), (equation.second, plane.names[1])]
    text = f"{equation.constant:.4g}"
    for slope, name in terms:
        text += f" {'-' if slope < 0 else '+'} {abs(slope):.4g} {named(name)}"
    return text
