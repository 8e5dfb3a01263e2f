"""docs/extending.md is carried out: its parts join a copy of the code, whose tests must pass."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

BLOCK = re.compile(r"^```(python|diff)\n# (\S+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
# The tests that a section's part must pass, each with a word that selects those about it.
TESTS = {
    "A layer": ("tests/layers", "scaled_norm"),
    "An optimizer": ("tests/optimizers", "lion"),
    "A loss": ("tests/losses", "spec"),
    "A kind of column": ("tests/columns/test_family.py", "percentage"),
    "A metric": ("tests/metrics", "metric"),
    "A command": ("tests/cli/test_help.py", "presets"),
}
SECTIONS = {
    section.partition("\n")[0]: section
    for section in (ROOT / "docs" / "extending.md").read_text("utf-8").split("\n## ")[1:]
}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the code, with every part of the page."""
    copy = tmp_path_factory.mktemp("extended")
    for folder in ("benchmarks", "configs", "data", "dlcli", "docs", "tests"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    for section in SECTIONS.values():
        for language, name, text in BLOCK.findall(section):
            if language == "python":
                (copy / name).write_text(text, encoding="utf-8")
            else:
                change(copy / name, text)
    return copy


def change(path: Path, diff: str) -> None:
    """Make the changes of a diff, whose hunks stand between lines of `@@`."""
    text = path.read_text("utf-8")
    for hunk in diff.split("@@\n"):
        lines = hunk.splitlines(keepends=True)
        before = "".join(line[1:] for line in lines if line[0] in " -")
        after = "".join(line[1:] for line in lines if line[0] in " +")
        assert text.count(before) == 1, f"{path.name}: {before!r}"
        text = text.replace(before, after)
    path.write_text(text, encoding="utf-8")


def test_every_section_is_carried_out() -> None:
    assert {*SECTIONS} == {*TESTS}


def test_a_part_needs_one_file_and_its_line(copy: Path) -> None:
    # One run of all of them: each would import torch and collect tests anew.
    paths, words = zip(*TESTS.values(), strict=True)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-rA"]
    # Of coverage's settings, none: the copy is no part of what is measured.
    environment = {key: value for key, value in os.environ.items() if "COV" not in key}
    done = subprocess.run(
        [*command, *paths, "-k", " or ".join(words)],
        cwd=copy,
        env=environment | {"PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    for path, word in TESTS.values():
        passed = rf"^PASSED {path}.*{word}"
        assert re.search(passed, done.stdout, re.MULTILINE), f"no test of {path} is about {word}"


def test_the_new_parts_are_named_by_their_families_alone(copy: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.family_names"],
        cwd=copy,
        env=os.environ | {"PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "optimizers lion: optimizers/__init__.py\n" in done.stdout, done.stderr
    assert "losses log_cosh: losses/__init__.py\n" in done.stdout
    assert "columns percentage: columns/family.py\n" in done.stdout
    assert "layers rms_norm: layers/family.py\n" in done.stdout
    assert "metrics cohens_kappa: metrics/__init__.py\n" in done.stdout
