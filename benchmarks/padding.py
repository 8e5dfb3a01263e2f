"""What rows of different lengths cost: `python -m benchmarks.padding [--write]`.

Epochs of rows that differ in length and of rows that don't take turns; the median of the ratios
within rounds counts.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.measurement import machine, met, publish
from dlcli.columns.base import Tokens
from dlcli.config.sections.training import TrainingConfig
from dlcli.data.fields import Examples
from dlcli.data.signature import Signature
from dlcli.network.plan import plan_network
from dlcli.optimizers.adam import Adam
from dlcli.schedules.constant import Constant
from dlcli.training.assembly import assemble
from dlcli.training.device import choose_placement, configure_torch
from dlcli.training.loop import fit
from dlcli.training.rows.batches import to_rows
from tests.layers.samples import layers
from tests.losses.examples import PAIR, loss_of

PAGE = Path(__file__).parent.parent / "docs" / "measurements" / "padding.md"
NUM_ROUNDS = 5

SHORTEST, LONGEST, NUM_ROWS, BATCH, NUM_CODES = 5, 500, 1024, 32, 1000
ASKED_SHARE = 0.8
NETWORKS: dict[str, list[dict[str, Any]]] = {
    "conv1d": [
        {"type": "conv1d", "out_channels": 64, "kernel_size": 5, "activation": "relu"},
        {"type": "conv1d", "out_channels": 64, "kernel_size": 5, "activation": "relu"},
        {"type": "pool_time", "pool": "max"},
    ],
    "lstm": [{"type": "lstm", "units": 64}],
    "mean of embeddings": [{"type": "pool_time"}],
}


def measure_padding() -> list[str]:
    """Return the page: rows a second where rows differ in length, beside where none do."""
    random = np.random.default_rng(0)
    mixed = random.integers(SHORTEST, LONGEST + 1, NUM_ROWS)
    mean = round(float(mixed.mean()))
    lines = [
        "# The cost of padding",
        "",
        f"`python -m benchmarks.padding --write` on {machine()}. {NUM_ROWS:,} rows of tokens in "
        f"batches of {BATCH}, embedded in 32 dimensions: epochs of rows with lengths from "
        f"{SHORTEST} to {LONGEST}, in turn with epochs of rows that all "
        f"have the mean length, {mean}. Rows a second, medians of {NUM_ROUNDS} rounds.",
        "",
        f"| layers | lengths from {SHORTEST} to {LONGEST} | all of {mean} | share | asked: "
        f"{ASKED_SHARE:g} |",
        "|---|---|---|---|---|",
    ]
    for name, network in NETWORKS.items():
        epochs = [epoch_of(network, mixed), epoch_of(network, np.full(NUM_ROWS, mean))]
        speeds = [[NUM_ROWS / seconds for seconds in turn] for turn in in_turn(epochs)]
        share = statistics.median(one / other for one, other in speeds)
        one, other = (statistics.median(column) for column in zip(*speeds, strict=True))
        print(f"{name}: {share:.2f}", file=sys.stderr, flush=True)
        lines.append(
            f"| {name} | {one:,.0f} | {other:,.0f} | {share:.2f} | {met(share, ASKED_SHARE)} |"
        )
    return lines


def epoch_of(network: list[dict[str, Any]], lengths: np.ndarray) -> Callable[[], None]:
    """Return what trains a network for an epoch on rows of some lengths."""
    review = Tokens("review", "tokens review", int(lengths.max()), NUM_CODES)
    codes = np.random.default_rng(1).integers(1, NUM_CODES, lengths.sum()).astype(np.int32)
    targets = np.arange(len(lengths)) % 2
    examples = Examples(
        {review.field: codes}, {"target": targets}, len(lengths), {review.field: lengths}
    )
    specs = [{"type": "embedding", "dim": 32}, *network, {"type": "dense"}]
    signature = Signature(0, (), None, 2, sequences=(review,))
    loss = loss_of({"type": "binary_cross_entropy"})
    placement = choose_placement("cpu", "fp32")
    configure_torch(placement)
    trainer = assemble(
        plan_network(layers(*specs), signature, num_outputs=1),
        loss=loss,
        optimizer=Adam(type="adam", lr=0.001),
        schedule=Constant(type="constant"),
        settings=TrainingConfig(batch_size=BATCH, epochs=1000, device="cpu"),
        target=PAIR,
        placement=placement,
        seed=0,
        num_rows=len(lengths),
    )
    rows = to_rows(examples, placement.device)
    steps = fit(trainer, rows, None)

    def train() -> None:
        for _ in range(trainer.schedule.steps_per_epoch + 1):
            next(steps)

    return train


def in_turn(functions: Sequence[Callable[[], object]]) -> list[list[float]]:
    """Return the seconds of each function in each round; the first three rounds don't count.

    In the first two, steps of each width are recorded.
    """
    rounds = ([seconds_of(function) for function in functions] for _ in range(3 + NUM_ROUNDS))
    return [*rounds][3:]


def seconds_of(function: Callable[[], object]) -> float:
    """Call a function, and return how long it took."""
    begun = time.perf_counter()
    function()
    return time.perf_counter() - begun


def main() -> None:
    """Measure, and print or write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    publish(measure_padding(), PAGE, is_written=arguments.write)


if __name__ == "__main__":
    main()
