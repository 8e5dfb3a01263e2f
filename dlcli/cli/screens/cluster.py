"""A Ray cluster on a terminal."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

if TYPE_CHECKING:
    from dlcli.config import Config
    from dlcli.trials.running.backend import Backend


def count_nodes(number: int) -> str:
    """Write a number of nodes."""
    return "one node" if number == 1 else f"{number:,} nodes"


def count_cores(number: int) -> str:
    """Write a number of cores."""
    return "one core" if number == 1 else f"{number:,} cores"


@contextmanager
def open_ray(
    console: Console, address: str | None, configs: "Sequence[Config]"
) -> "Iterator[Backend | None]":
    """Open what `--ray` names, and say what it has; None where there is no `--ray`."""
    from dlcli.runs.comparison.setup import open_backend

    with open_backend(address, configs) as backend:
        if backend is not None and backend.num_nodes is not None:
            nodes, cores = count_nodes(backend.num_nodes), count_cores(backend.num_cores)
            console.print(f"[bold]ray[/] {escape(str(address))}: {nodes} with {cores}")
        yield backend
