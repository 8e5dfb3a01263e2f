"""Steps whose batches are cut into shards, of every layer and optimizer, by one of some processes.

    python -m tests.training.shard_steps RANK PROCESSES PORT

The first process prints, as JSON, a hash of everything that training has left for each case, and
the same by itself alone.
"""

import hashlib
import json
import sys
from collections.abc import Iterator
from typing import Any

import torch

from dlcli.config.sections.training import TrainingConfig
from dlcli.data.signature import WEIGHT
from dlcli.network.plan import Plan
from dlcli.runs.training.run import start_together
from dlcli.schedules.constant import Constant
from dlcli.targets.base import Target
from dlcli.training.assembly import assemble
from dlcli.training.device import choose_placement
from dlcli.training.evaluation import evaluate
from dlcli.training.processes.group import ALONE, Group
from dlcli.training.processes.joining import joined
from dlcli.training.processes.rank import Rank
from dlcli.training.rows.batches import Rows
from tests.layers.samples import (
    DENSE,
    EVERY_LAYER,
    JOINS,
    MEMBERS,
    SHARES,
    name,
    plan,
    plan_inputs,
    plan_members,
)
from tests.losses.examples import PAIR, loss_of
from tests.optimizers.samples import SAMPLES, read
from tests.training.test_engines import made_rows

SHARDS = 4
SIZES = [(9, 8), (3, 2), (13,)]  # of the batches of each step: some leave a shard out
CPU = choose_placement("cpu", "fp32")
ADAM = {"type": "adam", "lr": 0.01}
EAGER = {"engine": "eager"}
MIXED = plan(
    (12,),
    {"type": "dense", "units": 8, "activation": "relu"},
    {"type": "dropout", "rate": 0.3},
    {"type": "layer_norm"},
    DENSE,
)
IMAGES = plan((2, 5, 6), {"type": "flatten"}, {"type": "batch_norm"}, DENSE)
AUGMENT = [
    *({"type": kind} for kind in ("flip", "shift", "crop", "rotation", "scale", "erasing")),
    *({"type": "mixup", "alpha": 1.0}, {"type": "cutmix"}),
]


def cases() -> Iterator[tuple[str, Plan, dict[str, Any], dict[str, Any]]]:
    """Yield a name, a network, an optimizer, and settings of training."""
    for index, (shape, spec) in enumerate(EVERY_LAYER):
        planned = plan(shape, spec, {"type": "flatten"}, {"type": "dropout", "rate": 0.2}, DENSE)
        engine = ("eager", "captured")[index % 2]
        yield f"{engine} {index} {name(spec)}", planned, ADAM, {"engine": engine}
    for settings, optimizer in SAMPLES.items():
        # Eager, as what is recorded is the gradient of a shard, without the optimizer's step.
        yield f"optimizer {settings}", MIXED, optimizer, {**EAGER, "gradient_clip_norm": 0.5}
    for share in SHARES:
        yield f"weighted members {share}", plan_members(share, *MEMBERS), ADAM, {}
    for combine in JOINS:
        yield f"inputs {combine}", plan_inputs(combine), ADAM, {}
    for engine in ("eager", "captured"):
        yield f"weighted {engine}", MIXED, ADAM, {"engine": engine}

    for engine in ("eager", "captured"):
        yield f"augmented {engine}", IMAGES, ADAM, {"engine": engine, "augment": AUGMENT}


def weighted(rows: Rows) -> Rows:
    """Return the rows with random weights."""
    return Rows(rows.inputs, {**rows.targets, WEIGHT: torch.rand(len(rows)) + 0.1}, len(rows))


def seeded(rows: Rows) -> Rows:
    """Return the rows with random seeds."""
    return rows.seeded(torch.randint(2**62, (len(rows),)))


def digest(
    group: Group,
    planned: Plan,
    optimizer: dict[str, Any],
    more: dict[str, Any],
    *,
    has_weights: bool = False,
) -> str:
    """Return a hash of weights, optimizer state and figures after some steps."""
    sizes = [size for size in SIZES if planned.min_rows == 1 or min(size) >= SHARDS * 2]
    target: Target = PAIR
    trainer = assemble(
        planned,
        loss=loss_of({"type": "cross_entropy"}),
        optimizer=read(optimizer),
        schedule=Constant(type="constant"),
        settings=TrainingConfig.model_validate({"shards": SHARDS, **more}),
        target=target,
        placement=CPU,
        seed=1,
        num_rows=64,
        group=group,
    )
    torch.manual_seed(2)
    start_together(trainer, made_rows(planned, target, 64))
    steps = [tuple(made_rows(planned, target, size) for size in step) for step in sizes]
    held_out = made_rows(planned, target, 21)
    if has_weights:
        steps = [tuple(map(weighted, batches)) for batches in steps]
        held_out = weighted(held_out)
    if "augment" in more:
        steps = [tuple(seeded(batch).paired_with_next() for batch in step) for step in steps]
    figures = []
    trainer.network.train()
    for number, batches in enumerate(steps):
        figures.append(trainer.stepper.take_step(batches, number))
    validation = evaluate(
        trainer.network,
        trainer.objective,
        held_out,
        target=target,
        placement=CPU,
        group=group,
    )
    state = [*trainer.network.state_dict().values(), *trainer.optimizer.state.values(), *figures]
    content = b"".join(tensor.detach().numpy().tobytes() for tensor in state)
    return hashlib.sha256(content + json.dumps(validation).encode()).hexdigest()


def digests(group: Group) -> dict[str, str]:
    """Take the steps of every case."""
    return {
        case: digest(group, planned, optimizer, settings, has_weights=case.startswith("weighted"))
        for case, planned, optimizer, settings in cases()
    }


def main() -> None:
    """Take the steps with others, and then alone."""
    number, num_processes, port = map(int, sys.argv[1:])
    torch.set_num_threads(1)
    rank = Rank(number, num_processes, number, "127.0.0.1", port, has_agent=False, attempt=0)
    with joined(rank) as (group, _):
        together = digests(group)
    if number == 0:
        print(json.dumps([together, digests(ALONE)]))


if __name__ == "__main__":
    main()
