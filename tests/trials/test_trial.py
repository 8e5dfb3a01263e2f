"""Keys of trials: the same trial has the same key, wherever and however it is written."""

import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from dlcli.trials.trial import Trial

NUMBERS = st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)
LEAVES = st.none() | st.booleans() | NUMBERS | st.text(max_size=10)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5
)
CHANGES = st.dictionaries(st.text(min_size=1, max_size=10), VALUES, max_size=5)
SEEDS = st.integers(0, 2**63 - 1)
FOLDS = st.none() | st.integers(0, 100)


@given(CHANGES, SEEDS, FOLDS)
def test_the_order_of_changes_makes_no_difference(
    changes: dict[str, Any], seed: int, fold: int | None
) -> None:
    trial = Trial(changes=changes, seed=seed, fold=fold)
    turned = Trial(changes=dict(reversed(changes.items())), seed=seed, fold=fold)
    assert trial.key == turned.key
    assert trial == turned
    assert hash(trial) == hash(turned)


@given(CHANGES, SEEDS, FOLDS)
def test_a_key_is_canonical_json_that_reads_back_exactly(
    changes: dict[str, Any], seed: int, fold: int | None
) -> None:
    trial = Trial(changes=changes, seed=seed, fold=fold)
    read = json.loads(trial.key)
    assert read == {"changes": changes, "seed": seed, "fold": fold}
    written = json.dumps(read, sort_keys=True, separators=(",", ":"))
    assert written == trial.key
    assert Trial.model_validate_json(trial.model_dump_json()).key == trial.key


@given(st.integers(-(2**53), 2**53))
def test_whole_numbers_are_one_however_they_are_written(number: int) -> None:
    written = [Trial(changes={"lr": value}, seed=1).key for value in (number, float(number))]
    assert written[0] == written[1]


@given(st.floats(1e-9, 1e9), st.floats(1e-9, 1e9))
def test_different_floats_are_different_trials(one: float, other: float) -> None:
    trials = {Trial(changes={"lr": value}, seed=0) for value in (one, other)}
    assert len(trials) == len({one, other})


def test_seed_fold_and_truth_values_tell_trials_apart() -> None:
    trials = [
        Trial(changes={}, seed=0),
        Trial(changes={}, seed=1),
        Trial(changes={}, seed=0, fold=0),
        Trial(changes={}, seed=0, fold=1),
        Trial(changes={"a": True}, seed=0),
        Trial(changes={"a": 1}, seed=0),
        Trial(changes={"a": "1"}, seed=0),
    ]
    assert len({trial.key for trial in trials}) == len(trials)


def test_another_process_has_the_same_keys() -> None:
    made = (
        "Trial(changes={'optimizer': {'type': 'adam', 'lr': 0.1 + 0.2, 'betas': (0.9, 0.999)}, "
        "'training.batch_size': 64.0}, seed=3)"
    )
    program = f"from dlcli.trials.trial import Trial; print({made}.key)"
    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    key = (
        '{"changes":{"optimizer":{"betas":[0.9,0.999],"lr":0.30000000000000004,"type":"adam"},'
        '"training.batch_size":64},"fold":null,"seed":3}'
    )
    assert said.stdout == key + "\n"


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_json_lacks_are_refused(number: float) -> None:
    with pytest.raises(ValidationError):
        Trial(changes={"optimizer": {"lr": number}}, seed=0)
