"""Configs changed at random: each one trains or is refused, with its place and no traceback.

`DLCLI_MUTATIONS=100000 python -m pytest tests/cli/test_mutations.py` is the nightly campaign.
"""

import os
import random
import time
from pathlib import Path

import pytest

from dlcli.config import open_config
from dlcli.errors import ConfigError, DlcliError
from dlcli.runs.preparation import prepare
from tests.conftest import ROOT

NUM_MUTATIONS = int(os.environ.get("DLCLI_MUTATIONS", "500"))
SOURCES = [ROOT / "configs" / f"{name}.yaml" for name in ("penguins", "moons", "diabetes")]
# What stands in for a value: every type, the edges of each, YAML's own traps.
VALUES = [
    "null", "true", "no", "0", "-1", "1e-3", "1e308", "1" * 299, "1" * 5000, ".inf", ".nan",
    "0x10", "''", "'5'", "x", "é", "2024-02-31", "12:30:45", "[]", "[1, 2]", "[[1], [2, 3]]", "{}",
    "{a: 1}", "{type: dense}", "{type: adam, lr: 0.1}", "full", "!!python/name:os.system",
    "&a [*a]", "*nothing", "${env:NONE}", "${env:NONE:7}", "<<", "? x",
    "- x", "|\n  text", "'", '"', "@", "%",
    "{type: residual, layers: [{type: dense, units: 8}]}", "{validation: 0.5, test: 0.4}",
    "{column: species}", "[island, sex]", "one_cycle", "{type: step, step_size: 3}", "100000000",
]  # fmt: skip
KEYS = [
    "seed", "name", "base", "loss", "schedule", "units", "rate", "activation", "type", "features",
    "kinds", "shape", "task", "scale", "split", "initial", "momentum", "warmup_epochs", "metric",
    "class_weights", "label_smoothing", "batch_size", "patience", "device", "<<", "x y",
]  # fmt: skip


def mutate(text: str, draw: random.Random) -> bytes:
    lines = text.splitlines()
    for _ in range(draw.randint(1, 3)):
        index = draw.randrange(len(lines))
        line = lines[index]
        match draw.randrange(7):
            case 0:
                key, colon, _ = line.partition(":")
                lines[index] = f"{key}{colon} {draw.choice(VALUES)}"
            case 1:
                indent = line[: len(line) - len(line.lstrip())]
                lines.insert(index, f"{indent}{draw.choice(KEYS)}: {draw.choice(VALUES)}")
            case 2:
                words = line.replace("{", "{ ").replace("}", " }").split(" ")
                words[draw.randrange(len(words))] = draw.choice([*VALUES, *KEYS])
                lines[index] = " ".join(words)
            case 3:
                del lines[index]
                lines = lines or [""]
            case 4:
                lines.insert(draw.randrange(len(lines)), line)
            case 5:
                lines[index] = " " * draw.randint(1, 3) + line
            case 6:
                end = draw.randrange(len(line) + 1)
                lines[index] = line[:end] + chr(draw.randrange(32, 256)) + line[end:]
    content = bytearray("\n".join(lines).encode())
    if draw.random() < 0.1 and content:
        content[draw.randrange(len(content))] = draw.randrange(256)
    return bytes(content)


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_a_changed_config_can_be_trained_or_is_refused_with_its_place(
    source: Path, tmp_path: Path
) -> None:
    text = source.read_text(encoding="utf-8").replace("../data", str(ROOT / "data"))
    config = tmp_path / "c.yaml"
    refused = 0
    for number in range(NUM_MUTATIONS // len(SOURCES)):
        content = mutate(text, random.Random(f"{source.stem} {number}"))
        config.write_bytes(content)
        places = [str(config)]
        started = time.perf_counter()
        try:
            prepare(open_config(config))
        except ConfigError as error:
            refused += 1
            places = [str(problem.place) for problem in error.problems]
        except DlcliError:
            refused += 1
        except Exception as error:
            raise AssertionError(content.decode(errors="replace")) from error
        assert time.perf_counter() - started < 2, content
        assert places, content
        assert all(place.startswith(str(config)) for place in places), content
    assert 0.2 < refused / (NUM_MUTATIONS // len(SOURCES)) < 0.99
