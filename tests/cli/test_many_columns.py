"""Tables with hundreds of columns, on the screen."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.conftest import Command

TEXT = "text with a different value in every row"


@pytest.fixture
def config() -> str:
    random = np.random.default_rng(0)
    columns: dict[str, object] = {f"n{index}": random.normal(size=60) for index in range(90)}
    columns |= {f"t{index}": [f"{index} {row}" for row in range(60)] for index in range(11)}
    columns |= {f"e{index}": [None] * 60 for index in range(2)}
    pl.DataFrame(columns | {"y": random.normal(size=60)}).write_csv("wide.csv")
    Path("wide.yaml").write_text(
        "data: {path: wide.csv, target: y}\nmodel: {layers: [{type: dense}]}\n"
    )
    return "wide.yaml"


def test_training_sums_them_up_in_one_line(dlcli: Command, config: str) -> None:
    outcome = dlcli("train", config, "--set", "training.epochs=1", "--set", "report=false")
    assert outcome.code == 0, outcome.err
    assert (
        f"columns 103: 90 numeric; 11 left out, {TEXT} ('t0', 't1', 't2' and 8 more); "
        "2 left out, no value in any training row ('e0', 'e1')\n"
    ) in outcome.out
    assert "┃ column" not in outcome.out


def test_many_that_are_left_out_for_one_reason_share_a_line(dlcli: Command, config: str) -> None:
    together = f"11 columns are left out: {TEXT}: 't0', 't1', 't2' and 8 more (data.features)"
    first = dlcli("init", "--effort", "quick", "wide.csv", "--target", "y", "-o", "made.yaml")
    for outcome in (dlcli("validate", config), first):
        assert outcome.code == 0
        told = outcome.out + outcome.err
        assert together in told
        assert "'e1' is left out: no value in any training row (data.features)" in told
        assert "'t3'" not in told
