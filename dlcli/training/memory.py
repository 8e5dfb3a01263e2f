"""A batch that fits, for a run that has filled the memory."""

import math
import os

import torch

from dlcli.training.device import is_out_of_memory
from dlcli.training.loop import Trainer
from dlcli.training.rows.batches import BatchSource
from dlcli.training.rows.companions import companions_of
from dlcli.training.rows.steps import first_rows

_COPIES = 3  # of its activations that a step needs room for: with gradients, and what comes between


def suggest_batch_size(trainer: Trainer, train: BatchSource) -> str:
    """Say which batch size fits, by taking a step with it; the trainer is of no use afterwards."""
    settings = trainer.settings
    size = settings.rows_of_whole_batch(len(train))
    fitting = _find_batch_size(trainer, train, below=size)
    if fitting is None:
        return "found no smaller batch that fits: try smaller layers"
    accumulate = math.ceil(size * settings.accumulate_batches / fitting)
    return (
        f"a batch of {fitting} fits: training.batch_size: {fitting}, and with "
        f"training.accumulate_batches: {accumulate} as many rows a step"
    )


def _find_batch_size(trainer: Trainer, train: BatchSource, *, below: int) -> int | None:
    """Try the powers of two, largest first, or sizes just below them that suit the layers."""
    room = _room(trainer.placement.device)
    plan = trainer.plan
    bytes_a_row = _COPIES * plan.activation_bytes(1)
    for exponent in range((below - 1).bit_length() - 1, -1, -1):
        size = _suitable_size(1 << exponent, trainer, len(train))
        if size is None or size * bytes_a_row > room:
            continue
        trainer.stepper.recordings.clear()
        try:
            batch = first_rows(train, size, companions_of(trainer.settings.augment))
            trainer.stepper.take_step((batch,), number=0)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        else:
            return size
    return None


def _suitable_size(power: int, trainer: Trainer, num_rows: int) -> int | None:
    """Return the largest size, above half of a power of two, whose batches all have enough rows."""
    for size in range(power, power // 2, -1):
        settings = trainer.settings.model_copy(update={"batch_size": size})
        if settings.rows_of_smallest_shard(num_rows) >= trainer.plan.min_rows:
            return size
    return None


def _room(device: torch.device) -> float:
    """Return the memory that may be tried, in bytes.

    A GPU says no where it has none left. A CPU's system may say yes, and end a process that then
    uses what it was given: there, only what is free.
    """
    if device.type == "cuda":
        torch.cuda.empty_cache()
    if device.type != "cpu" or "SC_AVPHYS_PAGES" not in os.sysconf_names:
        return math.inf
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
