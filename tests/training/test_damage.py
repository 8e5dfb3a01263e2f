"""Damaged and hostile files: none is taken for a checkpoint, nothing in one is executed."""

import json
import os
import random
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from dlcli.errors import CheckpointError
from dlcli.training.saving.checkpoint import load_checkpoint
from dlcli.training.saving.file import DIGEST
from tests.reliability.apart import run_apart
from tests.reliability.hostile import SIGNED, Outcome, begin_run


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "small"
    begin_run(folder)
    return folder / "r" / "last.safetensors"


@pytest.fixture
def last(whole: Path) -> bytes:
    return whole.read_bytes()


def is_refused(path: Path) -> bool:
    try:
        load_checkpoint(path)
    except CheckpointError as error:
        return error.exit_code == 4
    return False


def test_the_file_that_is_damaged_below_is_sound_and_holds_a_whole_state(whole: Path) -> None:
    checkpoint = load_checkpoint(whole)
    assert checkpoint.state is not None
    assert checkpoint.state.optimizer
    assert checkpoint.state.best
    assert checkpoint.run is not None


def test_a_file_cut_at_any_length_is_refused(last: bytes) -> None:
    path = Path("c.safetensors")
    path.write_bytes(last)
    accepted = []
    for length in reversed(range(len(last))):
        os.truncate(path, length)
        if not is_refused(path):
            accepted.append(length)
    assert accepted == []


def test_a_file_with_any_bit_flipped_is_refused(last: bytes) -> None:
    path = Path("c.safetensors")
    header_end = 8 + int.from_bytes(last[:8], "little")
    places = random.Random(0).sample(range(len(last) * 8), 10_000)
    hit: dict[str, int] = defaultdict(int)
    path.write_bytes(last)
    accepted = []
    with path.open("r+b", buffering=0) as file:
        for place in places:
            byte, bit = divmod(place, 8)
            region = "length" if byte < 8 else "header" if byte < header_end else "data"
            hit["digest" if DIGEST.start <= byte < DIGEST.stop else region] += 1
            file.seek(byte)
            file.write(bytes([last[byte] ^ 1 << bit]))
            if not is_refused(path):
                accepted.append((byte, bit))
            file.seek(byte)
            file.write(last[byte : byte + 1])
    assert accepted == []
    assert hit.keys() == {"length", "digest", "header", "data"}
    assert not is_refused(path)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What tests.reliability.hostile has seen."""
    folder = tmp_path_factory.mktemp("hostile")
    seen: dict[str, Any] = json.loads(run_apart("hostile", folder))
    return seen


@pytest.fixture(scope="module")
def outcomes(seen: dict[str, Any]) -> list[Outcome]:
    return [Outcome(**outcome) for outcome in seen["outcomes"]]


def test_there_are_more_than_200_besides_the_signed_ones(outcomes: list[Outcome]) -> None:
    names = {(outcome.group, outcome.name) for outcome in outcomes if outcome.group not in SIGNED}
    assert len(names) > 200


def test_nothing_is_executed(seen: dict[str, Any]) -> None:
    assert seen["executed"] == []


def test_none_is_accepted(outcomes: list[Outcome]) -> None:
    accepted = [
        outcome
        for outcome in outcomes
        if outcome.code == 0 and not (outcome.is_of_state and outcome.use == "restore")
    ]
    assert accepted == []


def test_each_refusal_is_one_of_dlcli(outcomes: list[Outcome]) -> None:
    odd = [outcome for outcome in outcomes if outcome.code and outcome.code not in outcome.codes]
    assert odd == []


def test_no_message_has_what_could_play_with_a_screen(outcomes: list[Outcome]) -> None:
    odd = [
        outcome
        for outcome in outcomes
        if not all(map(str.isprintable, outcome.message.split("\n")))
    ]
    assert odd == []


def test_none_takes_a_second_or_50_megabytes(outcomes: list[Outcome]) -> None:
    slow = [outcome for outcome in outcomes if outcome.seconds > 1 or outcome.megabytes > 50]
    assert slow == []


def test_another_programs_file_is_not_called_a_damaged_checkpoint(outcomes: list[Outcome]) -> None:
    others = [o for o in outcomes if o.group in ("formats", "pickled")]
    assert [o for o in others if "no checkpoint of this dlcli" not in o.message] == []
