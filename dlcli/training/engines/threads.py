"""How many threads share a step's arithmetic."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from dlcli.config.sections.training import TrainingConfig
from dlcli.network.plan import Plan

MAX_THREADS = torch.get_num_threads()  # a core each, or what the environment says (OMP_NUM_THREADS)
# Multiplications of a batch's forward pass that are worth a thread: less of them, and the threads
# wait for each other longer than they work.
_WORTH_A_THREAD = 10_000_000


@dataclass(frozen=True)
class Threads:
    """A number of threads, with the reason for it."""

    number: int
    reason: str

    @contextmanager
    def used(self) -> Iterator[None]:
        """Let torch take so many within the block."""
        before = torch.get_num_threads()
        torch.set_num_threads(self.number)
        try:
            yield
        finally:
            torch.set_num_threads(before)


def choose_threads(settings: TrainingConfig, plan: Plan, num_rows: int) -> Threads:
    """Choose by the config's word, for so many training rows."""
    if settings.threads != "auto":
        return Threads(settings.threads, "training.threads says so")
    work = settings.rows_per_batch(num_rows) * plan.multiply_adds
    worth = max(1, -(-work // _WORTH_A_THREAD))
    if worth < MAX_THREADS:
        return Threads(worth, f"a batch of {work:,} multiplications has no work for more")
    return Threads(MAX_THREADS, "all that there are")
