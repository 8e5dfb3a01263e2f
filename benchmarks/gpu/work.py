"""What every part of `python -m benchmarks.gpu` is given, and how parts measure."""

import json
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from benchmarks.workloads import WORKLOADS, Workload

NUM_ROUNDS = 5


@dataclass(frozen=True)
class Work:
    """Where a part measures, how much, and until when."""

    device: str
    is_small: bool  # a rehearsal: all of it in seconds, on tables of a few rows
    deadline: float  # by time.time()
    folder: str  # for tables, which parts share
    peers: str  # the Python that has the other libraries
    tests: tuple[str, ...]  # files and folders

    @classmethod
    def from_json(cls, text: str) -> "Work":
        """Read what `to_json` wrote."""
        values = json.loads(text)
        return cls(**values | {"tests": tuple(values["tests"])})

    def to_json(self) -> str:
        """Write it for another process."""
        return json.dumps(asdict(self))

    def has_time_for(self, seconds: float) -> bool:
        """Say whether something that takes so long ends before the deadline."""
        return time.time() + seconds < self.deadline

    def workloads(self) -> list[Workload]:
        """Return all networks with their tables; in a rehearsal, a small one."""
        if self.is_small:
            return [replace(WORKLOADS["tiny"], num_rows=600, epochs=2)]
        return list(WORKLOADS.values())

    def matrix_rate(self) -> float:
        """Return the device's operations a second in large products of bf16; measured once."""
        file = Path(self.folder) / "matrix_rate.json"
        if not file.exists():
            file.write_text(json.dumps(measure_matrix_rate(self, torch.bfloat16)))
        return float(json.loads(file.read_text()))

    def share_of_matrix_rate(self, multiply_adds: int, num_rows: int, seconds: float) -> float:
        """Return which share of it a step of so many rows and seconds reaches.

        A row takes its multiplications and additions three times: once in the forward pass, twice
        in the backward pass.
        """
        return 2 * 3 * multiply_adds * num_rows / seconds / self.matrix_rate()


def measure_matrix_rate(work: Work, dtype: torch.dtype) -> float:
    """Return operations a second of large square products."""
    size = 128 if work.is_small else 8192
    left, right = (torch.randn(size, size, device=work.device).to(dtype) for _ in range(2))
    seconds = seconds_a_call({"product": lambda: left @ right}, work)["product"]
    return 2.0 * size**3 / seconds


def seconds_a_call(functions: Mapping[str, Callable[[], object]], work: Work) -> dict[str, float]:
    """Return the seconds of a call, of many on end: medians over rounds in which all take turns.

    A GPU is waited for at the end of each round only, as in training.
    """
    round_seconds = 0.01 if work.is_small else 0.15
    counts, found = {}, {name: list[float]() for name in functions}
    for name, function in functions.items():
        _seconds_of(function, 3, work)  # what is recorded or chosen in the first calls
        counts[name] = max(3, int(round_seconds / _seconds_of(function, 3, work)))
    for _ in range(NUM_ROUNDS):
        for name, function in functions.items():
            found[name].append(_seconds_of(function, counts[name], work))
    return {name: statistics.median(seconds) for name, seconds in found.items()}


def _seconds_of(function: Callable[[], object], count: int, work: Work) -> float:
    wait(work)
    begun = time.perf_counter()
    for _ in range(count):
        function()
    wait(work)
    return (time.perf_counter() - begun) / count


def wait(work: Work) -> None:
    """Wait for what a GPU still has to do."""
    if work.device != "cpu":
        torch.cuda.synchronize(work.device)
