"""What tests share: folders of the repository, files to write, configs to load, commands to run."""

import gc
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from dlcli.cli.app import run as run_dlcli
from dlcli.config import LoadedConfig, load_config
from tests.forks import start_server

ROOT = Path(__file__).parent.parent
# What the environment may ask of a screen. A test sets what it is about: the others see a plain
# terminal or a file, on a desk, in a CI job (CI=true) and in a notebook.
ASKED_OF_SCREENS = (
    *("CI", "COLORTERM", "FORCE_COLOR", "JPY_PARENT_PID", "NO_COLOR", "TERM"),
    *("TTY_COMPATIBLE", "TTY_INTERACTIVE"),
)
for name in ASKED_OF_SCREENS:
    os.environ.pop(name, None)
os.environ["TERM"] = "xterm-256color"
# Every program that a test starts would compile the package anew, and pytest its assertions.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
gc.disable()  # until all tests are known: what importing and collecting makes is no garbage
# Files of tests that take up to a minute each: begun first, so that none is left to the end, when
# the other processes have nothing to do any more.
LONGEST = ("test_docs.py", "test_shards.py")
# For programs that are ended halfway: what they left for coverage would be damaged.
UNMEASURED = {name: value for name, value in os.environ.items() if "COVERAGE" not in name}


@dataclass(frozen=True)
class Outcome:
    """What a command left behind on the screen, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON object on standard output."""
        return json.loads(self.out)


Command = Callable[..., Outcome]
WriteConfig = Callable[..., Path]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run every test in a folder of its own, where nothing of the repository is in reach."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def dlcli(capfd: pytest.CaptureFixture[str]) -> Command:
    """Run a command line in this process."""

    def command(*arguments: object) -> Outcome:
        capfd.readouterr()
        words = [str(argument) for argument in arguments]
        if words[0] == "train" and not any("report" in word for word in words):
            words += ["--set", "report=false"]  # pages take longer than what most tests ask for
        code = run_dlcli(words)
        captured = capfd.readouterr()
        return Outcome(code, captured.out, captured.err)

    return command


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What a command line starts with: the program as a process of its own.

    A fork of one that has everything imported, where the system can: see tests/forks.py.
    """
    if sys.platform != "linux":
        return [sys.executable, "-m", "dlcli"]
    folder, owner = tmp_path_factory.getbasetemp(), os.getpid()
    if "PYTEST_XDIST_WORKER" in os.environ:  # one for all workers
        folder, owner = folder.parent, os.getppid()
    return [str(start_server(folder, owner))]


@pytest.fixture
def write_config(tmp_path: Path) -> WriteConfig:
    """Write a config: a small one on the file given, with keys replaced by the ones given."""

    def write(file: Path | str, target: str, /, name: str = "config.yaml", **sections: Any) -> Path:
        config = {
            "data": {"path": str(file), "target": target, **sections.pop("data", {})},
            "model": {"layers": [{"type": "dense"}]},
            "training": {"epochs": 2, **sections.pop("training", {})},
            "report": False,
            **sections,
        }
        path = tmp_path / name
        path.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
        return path

    return write


@pytest.fixture
def load(write_config: WriteConfig) -> Callable[..., LoadedConfig]:
    """Write a config and load it."""
    return lambda *positional, **sections: load_config(write_config(*positional, **sections))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest tests, and skip what needs a GPU where there is none."""
    items.sort(key=lambda item: item.path.name not in LONGEST)
    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason="no CUDA device here"))


def pytest_collection_finish() -> None:
    """Collect garbage from here on, without looking at what stays to the end again and again."""
    gc.freeze()
    gc.enable()


@pytest.fixture
def penguins() -> Path:
    """The real file."""
    return ROOT / "data" / "penguins.csv"


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., Path]:
    """Write a small CSV file from its lines."""

    def write(*lines: str, name: str = "table.csv") -> Path:
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return write
