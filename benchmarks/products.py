"""What matrix products alone would take of a step of *wide*: the bound for every program in fp32.

A step multiplies each layer's rows and weights, and for the gradients the errors by the rows and
by the weights. Here PyTorch does only that, one product after the other, into memory that is there.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import pairwise

import torch

from benchmarks.programs import cores
from benchmarks.workloads import VALIDATION_SHARE, WORKLOADS

_WORKLOAD = WORKLOADS["wide"]
_LARGE = 2048  # a side of matrices so large that nothing but arithmetic counts
_NUM_REPEATS = 200
_Product = Callable[[], object]


def lines(steps: Mapping[int, float]) -> list[str]:
    """Return lines about products, beside dlcli's steps in seconds, by number of cores."""
    return [
        "## The bound of wide",
        "",
        "What the matrix products alone take of dlcli's step in fp32, and how fast they are: the",
        f"fastest of {_NUM_REPEATS} repeats. Beside them, products of {_LARGE} × {_LARGE}, where",
        "memory no longer counts.",
        "",
        "| cores | products of a step | of dlcli's step | speed | of large products |",
        "|---|---|---|---|---|",
        *(_row(num_cores, step) for num_cores, step in steps.items()),
    ]


def _row(num_cores: int, step: float) -> str:
    with cores(num_cores):
        before = torch.get_num_threads()
        torch.set_num_threads(num_cores)
        forward, backward = (_fastest(products, _NUM_REPEATS) for products in _products())
        side = torch.rand(_LARGE, _LARGE)
        large = _fastest([partial(torch.mm, side, side, out=torch.empty_like(side))], 5)
        torch.set_num_threads(before)
    # A step's time has its share of the validation pass, which goes forward only.
    validated = VALIDATION_SHARE / (1 - VALIDATION_SHARE)
    seconds = forward * (1 + validated) + backward
    operations = _num_operations(forward=1 + validated)
    speeds = operations / seconds, 2 * _LARGE**3 / large
    cells = [f"{speed / 1e9:.0f} GFLOP/s" for speed in speeds]
    return f"| {num_cores} | {seconds * 1e6:,.0f} µs | {seconds / step:.0%} | {' | '.join(cells)} |"


def _layers() -> Iterator[tuple[int, int]]:
    yield from pairwise((_WORKLOAD.num_features, *_WORKLOAD.units, _WORKLOAD.num_classes))


def _num_operations(forward: float) -> float:
    """Return additions and multiplications; nothing asks for the gradients of the input rows."""
    sizes = [num_inputs * units for num_inputs, units in _layers()]
    return 2 * _WORKLOAD.batch_size * ((forward + 2) * sum(sizes) - sizes[0])


def _products() -> tuple[list[_Product], list[_Product]]:
    """Return the products of a step, forward and backward."""
    forward: list[_Product] = []
    backward: list[_Product] = []
    for index, (num_inputs, units) in enumerate(_layers()):
        rows = torch.rand(_WORKLOAD.batch_size, num_inputs)
        weight, bias = torch.rand(units, num_inputs), torch.rand(units)
        out, error = (torch.rand(_WORKLOAD.batch_size, units) for _ in range(2))
        forward.append(partial(torch.addmm, bias, rows, weight.t(), out=out))
        backward.append(partial(torch.mm, error.t(), rows, out=torch.empty_like(weight)))
        if index:
            backward.append(partial(torch.mm, error, weight, out=torch.empty_like(rows)))
    return forward, backward


def _fastest(products: list[_Product], num_repeats: int) -> float:
    """Return the seconds that all of them take."""
    fastest = float("inf")
    for _ in range(num_repeats):
        begun = time.perf_counter()
        for product in products:
            product()
        fastest = min(fastest, time.perf_counter() - begun)
    return fastest
