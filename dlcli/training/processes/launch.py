"""Starting several processes on this machine, by torch.distributed's elastic agent."""

import logging
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass

from torch.distributed.elastic.multiprocessing.api import DefaultLogsSpecs, SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from dlcli.training.processes.heartbeat import KILLED_EXIT_CODE

_LOGGERS = ("torch.distributed", "torch.distributed.elastic.agent.server.api")  # with own levels
_SAVE_SECONDS = 600  # for processes to save and end, once a signal has come


@dataclass(frozen=True)
class Ended:
    """How the processes have ended."""

    exit_code: int  # of the one that failed first; 0
    rank: int = 0  # of that one
    signal_name: str | None = None  # that has ended it from outside
    is_lost: bool = False  # it was ended from outside, or stood still


def launch(command: Sequence[str], num_processes: int) -> Ended:
    """Run a program in so many processes that know their ranks, and wait for all of them.

    Where one fails, the others are ended. SIGINT, SIGTERM, SIGUSR1 and
    SIGUSR2 are passed on to all.
    """
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)  # they tell of what dlcli tells
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=num_processes,
        run_id=f"dlcli-{os.getpid()}",
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",  # any free port
        max_restarts=0,
        monitor_interval=0.1,
        logs_specs=DefaultLogsSpecs(),
        local_addr="127.0.0.1",
        shutdown_timeout=_SAVE_SECONDS,
        signals_to_handle="SIGTERM,SIGINT,SIGHUP,SIGQUIT,SIGUSR1,SIGUSR2",
    )
    program, *arguments = command
    try:
        elastic_launch(config, program)(*arguments)
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.exitcode < 0:
            name = signal.Signals(-failure.exitcode).name
            return Ended(128 - failure.exitcode, rank, name, is_lost=True)
        return Ended(failure.exitcode, rank, is_lost=failure.exitcode == KILLED_EXIT_CODE)
    except SignalException as error:
        return Ended(128 + error.sigval)
    return Ended(0)
