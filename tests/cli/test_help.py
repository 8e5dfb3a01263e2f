"""The help of every command, and the example in it."""

import shlex
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from dlcli.cli.app import app
from tests.conftest import ROOT, Command

QUICK = ("init", "describe", "validate", "schema", "plot activations", "plot plane")


def commands(group: Any = None, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the name and the command of everything that `dlcli` can do, groups opened."""
    known: Any = group or typer.main.get_command(app)
    for name, command in known.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{prefix}{name} ")
        else:
            yield prefix + name, command


COMMANDS = dict(commands())


def example_of(name: str) -> list[str]:
    """Return the arguments of a command's example, without the shell's redirection."""
    epilog = COMMANDS[name].epilog or ""
    assert epilog.startswith(f"Example: dlcli {name}"), f"{name} has no example"
    words = shlex.split(epilog.removeprefix("Example: dlcli "))
    return words[: words.index(">")] if ">" in words else words


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_has_an_example_that_parses(name: str, dlcli: Command) -> None:
    outcome = dlcli(*name.split(), "--help")
    assert (outcome.code, COMMANDS[name].epilog.split()[-1] in outcome.out) == (0, True)
    arguments = example_of(name)[len(name.split()) :]
    COMMANDS[name].make_context(name, arguments)  # raises what a usage error would print


@pytest.mark.parametrize("name", QUICK)
def test_a_quick_example_runs(name: str, dlcli: Command) -> None:
    for folder in ("configs", "data"):
        shutil.copytree(ROOT / folder, folder)
    assert dlcli(*example_of(name)).code == 0


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_in_the_reference_and_every_option_is_described(name: str) -> None:
    text = (ROOT / "docs" / "reference" / "commands.md").read_text("utf-8")
    assert f"`dlcli {name}" in text
    for parameter in COMMANDS[name].params:
        assert parameter.help, f"{name}: {parameter.name} has no help"
