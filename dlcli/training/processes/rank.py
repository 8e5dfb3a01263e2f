"""Which of several processes this one is: what torchrun, srun and `--processes` say of it."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from dlcli.errors import ConfigError

_TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
_SLURM = ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID")  # set for tasks of srun alone
_FIRST_PORT, _NUM_PORTS = 20_000, 20_000  # that a job of Slurm takes one of
_LAST_PORT = 65_535


@dataclass(frozen=True)
class Rank:
    """A process among others, and where they meet."""

    number: int
    num_processes: int
    local_number: int  # among those on this machine
    address: str  # of the machine where they meet
    port: int
    has_agent: bool  # an elastic agent holds the store; otherwise the first process does
    attempt: int  # 0, and one more each time that the agent starts them anew


def rank_in(environment: Mapping[str, str]) -> Rank | None:
    """Return what the environment says; None for a process by itself.

    Raises ConfigError where it says only half of it.
    """
    if "RANK" in environment and "WORLD_SIZE" in environment:
        return _of_torchrun(environment)
    if all(name in environment for name in _SLURM) and environment[_SLURM[1]] != "1":
        return _of_slurm(environment)
    return None


def _of_torchrun(environment: Mapping[str, str]) -> Rank | None:
    missing = [name for name in _TORCHRUN if name not in environment]
    if missing:
        raise ConfigError(
            f"RANK and WORLD_SIZE are set, and {', '.join(missing)} not: start the processes with "
            "torchrun or srun, or one with --processes; for a process by itself, unset them"
        )
    number = _number(environment, "WORLD_SIZE", at_least=1)
    rank = _number(environment, "RANK", at_most=number - 1)
    local = _number(environment, "LOCAL_RANK", at_most=number - 1)
    port = _number(environment, "MASTER_PORT", at_least=1, at_most=_LAST_PORT)
    if number == 1:
        return None
    return Rank(
        rank,
        number,
        local,
        environment["MASTER_ADDR"],
        port,
        has_agent=environment.get("TORCHELASTIC_USE_AGENT_STORE") == "True",
        attempt=int(environment.get("TORCHELASTIC_RESTART_COUNT", "0")),
    )


def _of_slurm(environment: Mapping[str, str]) -> Rank:
    rank, number, local = (_number(environment, name) for name in _SLURM)
    nodes = environment.get("SLURM_STEP_NODELIST", environment.get("SLURM_NODELIST", ""))
    job = int(re.sub(r"\D", "", environment.get("SLURM_JOB_ID", "")) or "0")
    step = int(re.sub(r"\D", "", environment.get("SLURM_STEP_ID", "")) or "0")
    address = environment.get("MASTER_ADDR") or first_host(nodes)
    if not address:
        raise ConfigError("srun names no node: set MASTER_ADDR to the machine of its first task")
    port = (job * 7 + step) % _NUM_PORTS + _FIRST_PORT
    if "MASTER_PORT" in environment:
        port = _number(environment, "MASTER_PORT", at_least=1, at_most=_LAST_PORT)
    return Rank(rank, number, local, address, port, has_agent=False, attempt=0)


def first_host(nodes: str) -> str:
    """Return the first machine of a list as Slurm writes it.

    >>> first_host("gpu[07-09,12],login")
    'gpu07'
    """
    match = re.match(r"([^\[,]*)(?:\[([^-,\]]*)[^\]]*\]([^,]*))?", nodes)
    return "".join(part or "" for part in match.groups()) if match else ""


def _number(
    environment: Mapping[str, str], name: str, at_least: int = 0, at_most: float = math.inf
) -> int:
    text = environment[name]
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII) or not at_least <= int(text) <= at_most:
        limit = f"from {at_least}" + (f" to {at_most}" if at_most < math.inf else " on")
        raise ConfigError(
            f"{name} is {text!r}, and not a whole number {limit}: correct or unset it"
        )
    return int(text)
