"""What README.md and docs/ show is run, and must print what they say."""

import configparser
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from benchmarks.lecture import pictures
from dlcli.cli.app import run as run_dlcli
from tests.conftest import ROOT

BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
# Comparisons that take seconds; the pages show nothing of them that fewer and shorter runs change.
# As they are, the campaign runs them.
SHORTENED = ["README.md", "docs/guides/lecture.md"]
SHORT = "--seeds 2 --set compare.tuning_seeds=1 --set training.epochs=3"
WITH_REPORTS = [ROOT / "README.md", ROOT / "docs" / "guides" / "report.md"]


def relative(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@dataclass
class Example:
    """A command of a page and the lines that it must print; `…` stands for anything."""

    command: str
    printed: list[str] = field(default_factory=list)


def examples(page: Path) -> list[Example]:
    found: list[Example] = []
    for block in re.findall(
        r"^```console\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL
    ):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append(Example(line.removeprefix("$ ")))
            else:
                found[-1].printed.append(line)
    return found


def as_pattern(printed: list[str]) -> str:
    lines = [
        r"(.*\n)*?" if line == "…" else ".*".join(map(re.escape, line.split("…"))) + r"[ ]*\n"
        for line in printed
    ]
    return "".join(lines)


def run_example(command: str, capfd: pytest.CaptureFixture[str], program: list[str]) -> str:
    """Run a command of a page in the current folder; return all that it prints."""
    if command.startswith("dlcli ") and "--processes" not in command:
        capfd.readouterr()
        run_dlcli(shlex.split(command)[1:])
        captured = capfd.readouterr()
        return captured.out + captured.err
    folders = [Path(program[0]).parent, Path(sys.executable).parent, os.environ["PATH"]]
    path = os.pathsep.join(map(str, folders))
    result = subprocess.run(
        ["bash", "-c", command],
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    return result.stdout + result.stderr


def check_examples(
    page: Path,
    capfd: pytest.CaptureFixture[str],
    program: list[str],
    *,
    has_reports: bool,
    is_short: bool = False,
) -> None:
    """Run a page's commands, and hold what they print to what the page shows."""
    for folder in ("configs", "data"):
        shutil.copytree(ROOT / folder, folder)
    for example in examples(page):
        command, expected = example.command, example.printed
        if command.startswith("dlcli train ") and not has_reports:
            command += " --set report=false"
            expected = [line for line in expected if not line.startswith("report: ")]
        if command.startswith("dlcli compare-optimizers ") and is_short:
            command += f" {SHORT}"
        printed = run_example(command, capfd, program)
        assert "Traceback" not in printed
        assert re.fullmatch(as_pattern(expected), printed), f"{command}\n{printed}"


@pytest.mark.parametrize("page", [page for page in PAGES if examples(page)], ids=relative)
def test_examples_print_what_the_page_says(
    page: Path, capfd: pytest.CaptureFixture[str], program: list[str]
) -> None:
    is_short = relative(page) in SHORTENED
    check_examples(page, capfd, program, has_reports=page in WITH_REPORTS, is_short=is_short)


@pytest.mark.campaign
@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if pictures(page.read_text("utf-8")) or relative(page) in SHORTENED],
    ids=relative,
)
def test_examples_leave_the_pictures_that_the_page_shows(
    page: Path, capfd: pytest.CaptureFixture[str], program: list[str]
) -> None:
    check_examples(page, capfd, program, has_reports=True)
    for name, made in pictures(page.read_text("utf-8")).items():
        assert Path(made).read_bytes().startswith(b"\x89PNG"), made
        assert (page.parent / name).exists(), name


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    for link in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert (page.parent / link).exists(), link


def test_scripts_and_manifests_of_batch_systems_can_be_read() -> None:
    text = (ROOT / "docs" / "guides" / "batch-systems.md").read_text("utf-8")
    found = dict[str, int]()
    for kind, body in re.findall(r"^```(sh|yaml|ini)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        found[kind] = found.get(kind, 0) + 1
        if kind == "sh":
            subprocess.run(["bash", "-n"], input=body, text=True, check=True)
        elif kind == "yaml":
            assert isinstance(yaml.safe_load(body), dict)
        else:
            configparser.ConfigParser(interpolation=None).read_string(body)
    assert found == {"sh": 3, "ini": 1, "yaml": 3}


def test_the_architecture_has_a_line_for_each_module() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    modules = {
        path.relative_to(ROOT / "dlcli").as_posix()
        for path in (ROOT / "dlcli").rglob("*.py")
        if path.name != "__init__.py"
    }
    described = [line.split("`")[1] for line in text.splitlines() if line.startswith("| `")]
    assert sorted(described) == sorted(modules)


def test_ci_runs_the_readmes_second_command() -> None:
    commands = re.findall(
        r"^```sh\n(.*?)\n```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL
    )
    assert len(commands) == 2
    assert all("\n" not in command for command in commands)
    assert "grep -F \"'.[dev]'\" README.md" in (ROOT / ".ci" / "run").read_text()
    assert ["'.[dev]'" in command for command in commands] == [False, True]


def test_each_shipped_config_says_how_it_is_used() -> None:
    for config in (ROOT / "configs").glob("*.yaml"):
        assert f"#   dlcli train configs/{config.name}" in config.read_text()
    for config in (ROOT / "configs" / "lecture").glob("*.yaml"):
        assert "Look for" in config.read_text()


def test_constraints_pin_every_dependency() -> None:
    text = (ROOT / "constraints.txt").read_text()
    names = {line.partition("==")[0].lower() for line in text.splitlines() if "==" in line}
    project = (ROOT / "pyproject.toml").read_text()
    listed = re.findall(r'^    "([a-z-]+)[>"]', project, re.MULTILINE)
    assert len(listed) > 12
    assert set(listed) <= names
    assert "+" not in text
