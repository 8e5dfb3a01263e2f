"""Commands on several processes: being one of them, and starting all of them."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from dlcli.config import LoadedConfig
    from dlcli.training.processes.group import Group
    from dlcli.training.processes.launch import Ended
    from dlcli.training.processes.rank import Rank


@contextmanager
def said_once(rank: "Rank | None") -> Iterator[None]:
    """Within the block, let one process a machine say what is wrong with the command line."""
    from dlcli.errors import DlcliError

    try:
        yield
    except DlcliError as error:
        if rank is None or rank.local_number == 0:
            raise
        raise typer.Exit(error.exit_code) from None


def refuse_starting(*, processes: int, restarts: int = 0) -> None:
    """Raise ConfigError for options that start processes, in one that has been started."""
    from dlcli.errors import ConfigError

    if processes > 1 or restarts:
        option, instead = (
            ("--processes", "--nproc-per-node or --ntasks")
            if processes > 1
            else ("--restarts", "torchrun --max-restarts")
        )
        raise ConfigError(
            f"{option}: torchrun or srun has started this process, one of several (RANK or "
            f"SLURM_PROCID is set); leave it out, and set {instead}"
        )


def refuse_problems(loaded: "LoadedConfig") -> None:
    """Raise what is wrong with a config, if anything is, before processes are started for it."""
    from dlcli.runs.preparation import prepare

    if loaded.problems:
        prepare(loaded)  # raises them, with those that the data show


@contextmanager
def one_of_several(rank: "Rank") -> Iterator["Group"]:
    """Within the block, be one of several processes.

    What all of them fail with, the first one raises, and what one of them fails with, that one. The
    others exit with the same code.
    """
    from dlcli.errors import DivergedError, DlcliError
    from dlcli.training.processes.group import FailedElsewhere
    from dlcli.training.processes.joining import joined
    from dlcli.training.processes.several import ExchangeBrokenError

    with joined(rank) as (group, heartbeat):
        try:
            yield group
        except FailedElsewhere as failed:
            raise typer.Exit(failed.exit_code) from None
        except ExchangeBrokenError:
            raise typer.Exit(heartbeat.find_failure().exit_code) from None
        except DlcliError as error:
            was_first = heartbeat.report(error.exit_code, str(error))
            # All diverge at the same step, and the first process tells of it.
            if group.is_first or (was_first and not isinstance(error, DivergedError)):
                raise
            raise typer.Exit(error.exit_code) from None


def run_several(arguments: Sequence[str], num_processes: int) -> "Ended":
    """Run dlcli with these arguments in so many processes, and tell of one that was ended."""
    from dlcli.training.processes.launch import launch

    ended = launch([sys.executable, "-m", "dlcli", *arguments], num_processes)
    if ended.signal_name is not None:
        message = f"process {ended.rank} was ended by {ended.signal_name}"
        typer.echo(f"dlcli: {message}: by hand, or as memory was full", err=True)
    return ended
