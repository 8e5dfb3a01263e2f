"""The batch size that is suggested after running out of memory."""

from typing import Any

import pytest

from dlcli.config.sections.training import TrainingConfig
from dlcli.optimizers.sgd import Sgd
from dlcli.schedules.constant import Constant
from dlcli.training.assembly import assemble
from dlcli.training.memory import suggest_batch_size
from tests.layers.samples import DENSE, plan
from tests.losses.examples import PAIR, loss_of
from tests.training.test_engines import CPU, made_rows

BATCH_NORM: dict[str, Any] = {"type": "batch_norm"}


def suggestion(num_rows: int, *layers: dict[str, Any]) -> str:
    """Return what is said of a batch of all rows."""
    planned = plan((5,), *layers, DENSE)
    trainer = assemble(
        planned,
        loss=loss_of({"type": "cross_entropy"}),
        optimizer=Sgd(type="sgd", lr=0.1),
        schedule=Constant(type="constant"),
        settings=TrainingConfig(batch_size="full"),
        target=PAIR,
        placement=CPU,
        seed=0,
        num_rows=num_rows,
    )
    return suggest_batch_size(trainer, made_rows(planned, PAIR, num_rows))


@pytest.mark.parametrize(
    ("num_rows", "layers", "size"),
    [
        (1024, [], 512),
        (1025, [], 1024),
        (1025, [BATCH_NORM], 1023),  # batches of 1,024 leave one of a single row
        (1026, [BATCH_NORM], 1024),
        (2, [], 1),
    ],
)
def test_the_last_batch_of_the_suggested_size_has_enough_rows(
    num_rows: int, layers: list[dict[str, Any]], size: int
) -> None:
    assert suggestion(num_rows, *layers).startswith(f"a batch of {size} fits: training.batch_size")


@pytest.mark.parametrize(("num_rows", "layers"), [(1, []), (2, [BATCH_NORM]), (3, [BATCH_NORM])])
def test_without_a_smaller_size_nothing_is_said_of_one(
    num_rows: int, layers: list[dict[str, Any]]
) -> None:
    said = suggestion(num_rows, *layers)
    assert said == "found no smaller batch that fits: try smaller layers"
