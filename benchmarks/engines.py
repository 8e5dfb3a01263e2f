"""The engines, and torch.compile, beside each other: a part of `python -m benchmarks.performance`.

`python -m benchmarks.engines [--device cuda]` prints it alone.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.workloads import WORKLOADS, write_workload
from dlcli.config import load_config
from dlcli.config.sections.training import Precision
from dlcli.layers.modules import RandomMask
from dlcli.runs.preparation import Prepared, prepare
from dlcli.runs.training.run import build_trainer
from dlcli.training.device import choose_placement, configure_torch
from dlcli.training.engines.threads import choose_threads
from dlcli.training.rows.batches import Tensors, to_rows

NUM_ROUNDS = 15
ROUND_SECONDS = 0.05  # of each engine


def prepared_step(
    prepared: Prepared, engine: str, device: str, precision: Precision = "fp32"
) -> Callable[[], object]:
    """Return what takes one step with an engine, again and again."""
    config = prepared.config.training.model_copy(
        update={"engine": "eager" if engine == "compiled" else engine}
    )
    chosen = prepared.config.model_copy(update={"training": config})
    placement = choose_placement(device, precision)
    configure_torch(placement)
    trainer = build_trainer(
        Prepared(**{**vars(prepared), "config": chosen}),
        placement,
    )
    trainer.network.train()
    stepper = trainer.stepper
    if engine == "compiled":
        network, objective = with_torchs_dropout(stepper.network), stepper.objective

        def loss(features: Tensor, targets: Tensor, _: None) -> Tensor:  # rows without weights
            return objective(network({"numbers": features}).float(), targets)

        stepper.network = Numbers()
        stepper.objective = torch.compile(loss, dynamic=False)  # type: ignore[assignment,arg-type]
    rows = to_rows(prepared.dataset.parts["train"], placement.device)
    size = config.rows_per_batch(len(rows))
    return lambda: stepper.take_step((rows.head(size),), number=0)


class Numbers(nn.Module):
    """Passes numbers on."""

    def forward(self, inputs: Tensors) -> Tensor:
        """Take them from the inputs."""
        return inputs["numbers"]


def with_torchs_dropout(network: nn.Module) -> nn.Module:
    """Put in the dropout that torch.compile knows how to fuse."""
    for name, module in network.named_children():
        if isinstance(module, RandomMask):
            network.set_submodule(name, nn.Dropout(module.rate))
    return network


def measure(workload: str, folder: Path, device: str) -> dict[str, tuple[float, float, float]]:
    """Return each engine's first steps (seconds), a step (seconds) and its ratio to eager's."""
    config, _ = write_workload(WORKLOADS[workload], folder)
    prepared = prepare(load_config(config))
    num_rows = len(prepared.dataset.parts["train"])
    torch.set_num_threads(choose_threads(prepared.config.training, prepared.plan, num_rows).number)
    steps, first = {}, {}
    for engine in ("eager", "captured", "compiled"):
        begun = time.perf_counter()
        steps[engine] = prepared_step(prepared, engine, device)
        for _ in range(3):
            steps[engine]()
        wait(device)
        first[engine] = time.perf_counter() - begun
    rounds: dict[str, list[float]] = {engine: [] for engine in steps}
    for _ in range(NUM_ROUNDS):
        for engine, step in steps.items():
            count, begun = 0, time.perf_counter()
            while (spent := time.perf_counter() - begun) < ROUND_SECONDS:
                step()
                count += 1
                wait(device)
            rounds[engine].append(spent / count)
    return {
        engine: (
            first[engine],
            statistics.median(rounds[engine]),
            statistics.median(
                own / eager for own, eager in zip(rounds[engine], rounds["eager"], strict=True)
            ),
        )
        for engine in steps
    }


def wait(device: str) -> None:
    """Wait for what a GPU still has to do."""
    if device != "cpu":
        torch.cuda.synchronize()


def lines(folder: Path, device: str = "cpu") -> list[str]:
    """Return the section's lines."""
    text = [
        "## The engines",
        "",
        "One step without what is around it, on the threads that `training.threads: auto` takes;",
        "the ratios are to *eager*, within rounds. *compiled* is `torch.compile` of forward, loss",
        "and backward; why it is no engine of dlcli:",
        "[decision 6](../decisions/0006-steps-are-recorded-not-compiled.md).",
        "",
        "| work load | engine | first three steps | a step | times eager |",
        "|---|---|---|---|---|",
    ]
    for name in WORKLOADS:
        for engine, (first, step, ratio) in measure(name, folder, device).items():
            text.append(
                f"| {name} | {engine} | {first:.2f} s | {step * 1e6:,.0f} µs | {ratio:.2f} |"
            )
    return text


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    chosen = parser.parse_args().device
    with tempfile.TemporaryDirectory() as temporary:
        print("\n".join(lines(Path(temporary), chosen)))
