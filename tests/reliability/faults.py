"""Faults at single system calls, and full disks: `python -m tests.reliability.faults FOLDER`.

What is seen goes to standard output as JSON; tests/runs/test_system_calls.py judges it.
"""

import ctypes
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch

from dlcli.config.checkpoint import CheckpointConfig
from dlcli.errors import CheckpointError, DlcliError
from dlcli.runs.metrics_file import MetricsFile
from dlcli.runs.run_folder import RunFolder
from dlcli.runs.saver import Captured, Saver
from dlcli.training.checkpoint import load_checkpoint
from dlcli.training.loop import EpochResult
from tests.reliability import forked
from tests.reliability.comparing import differences
from tests.reliability.configs import write_config

NO_TRACING = 77  # the exit code where strace must not look at processes
FAULTS = {"SIGKILL": "signal=SIGKILL", "ENOSPC": "error=ENOSPC", "EIO": "error=EIO"}
_NO_LINKS = ("link:error=EPERM", "linkat:error=EPERM")
_WIDE = "model.layers=[{type: dense, units: 150, activation: relu}, {type: dense}]"
_PAGE = 4096


@dataclass(frozen=True)
class Call:
    """A system call on something in a run folder."""

    name: str
    nth: int  # of the calls of its name that its thread makes, from 1
    text: str  # as strace shows it, without the folder's path and what is random in names


@dataclass(frozen=True)
class Case:
    """A fault at one call, and what came of it."""

    scenario: str
    fault: str  # of FAULTS, or none
    call: Call
    injected: bool
    code: int  # below 0: the signal that ended it
    screen: str
    files: dict[str, str]  # name → "older", "old" or "new", or what is wrong with it


@dataclass(frozen=True)
class Run:
    """A whole `dlcli train` that a fault or a full disk came upon, and the way on from it."""

    what: str
    injected: bool
    code: int
    screen: str
    files: dict[str, str]  # name → what is wrong with it, if anything
    steps: list[int]  # that previous and last have behind them
    resumed: int | None  # the exit code of the command that the message names
    differing: list[str]  # in the end, from the run that nothing came upon


@dataclass(frozen=True)
class _Scenario:
    name: str
    begin: Path  # a copy of it is worked in
    work: Callable[[Path], int]
    always: tuple[str, ...] = ()  # faults


class NoTracingError(Exception):
    """strace is not allowed to look at processes here."""


def main(folder: Path) -> int:
    """See what there is to see."""
    torch.set_num_threads(1)  # forks must not find other threads half-way
    try:
        seen = {
            "cases": [asdict(case) for case in _cases(folder)],
            "runs": [asdict(run) for run in _runs(folder)],
            "disks": [asdict(run) for run in _disks(folder)],
        }
    except NoTracingError as error:
        print(error)
        return NO_TRACING
    print(json.dumps(seen))
    return 0


# One save, and one line of metrics.jsonl


def _cases(folder: Path) -> Iterator[Case]:
    """Yield, for every call of every scenario, first what it does undisturbed, then each fault."""
    config = write_config(folder / "config.yaml", "adamw", "constant")
    for name, epochs in (("old", 2), ("new", 6)):
        _train(folder, config, folder / name, "--set", f"training.epochs={epochs}")
    new = RunFolder(folder / "new")
    captured = load_checkpoint(new.last), load_checkpoint(new.best)
    first = folder / "first"
    first.mkdir()
    for name in ("config.yaml", "metrics.jsonl"):
        shutil.copy(folder / "old" / name, first)
    save = partial(_save, captured)
    for scenario in (
        _Scenario("save", folder / "old", save),
        _Scenario("save without hard links", folder / "old", save, _NO_LINKS),
        _Scenario("first save", first, save),
        _Scenario("append", folder / "old", _append),
    ):
        yield from _faults_in(scenario, folder)


def _faults_in(scenario: _Scenario, folder: Path) -> Iterator[Case]:
    place, begin, screen, log = folder / "case", scenario.begin, folder / "screen", folder / "log"

    def attempt(fault: str, call: Call, trace: str, *inject: str) -> Case:
        code = _trace(partial(scenario.work, place), screen, log, trace, *inject)
        injected = code < 0 or "(INJECTED)" in log.read_text()
        files = {path.name: _age(path, ages) for path in place.iterdir()}
        return Case(scenario.name, fault, call, injected, code, screen.read_text(), files)

    ages = {_digest(path): "old" for path in begin.iterdir()}
    if (begin / "previous.safetensors").exists():
        ages[_digest(begin / "previous.safetensors")] = "older"
    shutil.copytree(begin, place)
    before = attempt("", Call("", 0, ""), "%file,%desc", *scenario.always)
    calls = [call for _, call in _calls_on(place, log)]
    ages = {_digest(path): "new" for path in place.iterdir()} | ages
    shutil.rmtree(place)
    for call in calls:
        yield Case(scenario.name, "", call, False, before.code, before.screen, before.files)
        for fault, how in FAULTS.items():
            others = [rule for rule in scenario.always if not rule.startswith(f"{call.name}:")]
            names = {call.name, *(rule.split(":")[0] for rule in others)}
            shutil.copytree(begin, place)
            rule = f"{call.name}:{how}:when={call.nth}"
            yield attempt(fault, call, ",".join(names), *others, rule)
            shutil.rmtree(place)


def _save(captured: Captured, place: Path) -> int:
    """Save as a run does; its thread is the saver's."""
    folder = RunFolder(place)
    metrics = MetricsFile(folder.metrics, folder.metrics.stat().st_size)
    with closing(Saver(folder, metrics, CheckpointConfig())) as saver:
        _ready()
        saver.save(lambda: captured)
        saver.wait()
    return 0
