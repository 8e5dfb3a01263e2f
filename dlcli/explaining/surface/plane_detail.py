"""How finely losses over a plane are computed, so that it takes seconds."""

from dataclasses import dataclass

from dlcli.explaining.unavailable import Unavailable
from dlcli.network.costs import FLOAT_BYTES, activation_bytes, multiply_adds
from dlcli.network.plan import Plan

SECONDS = 3.0
MAX_ROWS = 1000

# Points on a side, with the fewest rows that are worth it: as many rows as there is time for.
_STEPS = ((41, 500), (31, 250), (25, 125), (21, 50), (15, 30), (11, 15))

# What one core of 2020 does in a second. Work is counted, not timed: a report is the same twice,
# on a busy machine too.
_PRODUCTS = 3e10
_OUTPUTS = 8e8  # of layers
_WEIGHTS = 5e8
_EVALUATIONS = 5e3
_OTHERS = 100  # losses beside the grid's: of snapshots, as they are and in the plane


@dataclass(frozen=True)
class Detail:
    """A grid of size × size points, and the rows that each loss is the mean over."""

    size: int  # odd: one point is in the middle
    num_rows: int


def choose_detail(plan: Plan, num_rows: int, *, seconds: float = SECONDS) -> Detail | Unavailable:
    """Choose by the work of a network, of so many rows at the most.

    The same for every plane of a run, so that the losses are of the same rows.
    """
    row = sum(map(multiply_adds, plan.layers)) / _PRODUCTS
    row += sum(activation_bytes(layer, 1) for layer in plan.layers) / FLOAT_BYTES / _OUTPUTS
    evaluation = plan.num_parameters / _WEIGHTS + 1 / _EVALUATIONS
    most = min(num_rows, MAX_ROWS)
    for size, fewest in _STEPS:
        affordable = int((seconds / (size**2 + _OTHERS) - evaluation) / row)
        if affordable >= min(fewest, most):
            return Detail(size, min(affordable, most))
    return Unavailable(
        f"losses of this network on {_STEPS[-1][0]}² weights would take far more than "
        f"{seconds:g} seconds"
    )
