"""Which of several processes one is: what torchrun and srun say of it."""

import pytest

from dlcli.errors import ConfigError
from dlcli.training.processes.rank import first_host, rank_in

TORCHRUN = {
    "RANK": "3",
    "WORLD_SIZE": "4",
    "LOCAL_RANK": "1",
    "MASTER_ADDR": "node1",
    "MASTER_PORT": "29500",
}
SRUN = {
    "SLURM_PROCID": "5",
    "SLURM_STEP_NUM_TASKS": "8",
    "SLURM_LOCALID": "1",
    "SLURM_STEP_NODELIST": "gpu[07-09,12],login",
    "SLURM_JOB_ID": "1234",
}


def test_a_rank_is_what_torchrun_says() -> None:
    rank = rank_in(TORCHRUN)
    assert rank is not None
    assert (rank.number, rank.num_processes, rank.local_number) == (3, 4, 1)
    assert (rank.address, rank.port, rank.has_agent) == ("node1", 29500, False)


def test_a_rank_is_what_srun_says_and_all_of_its_tasks_meet_at_its_first_node() -> None:
    rank, other = rank_in(SRUN), rank_in(SRUN | {"SLURM_PROCID": "0", "SLURM_LOCALID": "0"})
    assert rank is not None
    assert other is not None
    assert (rank.number, rank.num_processes, rank.local_number) == (5, 8, 1)
    assert (rank.address, rank.port) == (other.address, other.port) == ("gpu07", rank.port)
    assert rank_in(SRUN | {"SLURM_JOB_ID": "1235"}) != rank, "another job has another port"
    set_by_hand = rank_in(SRUN | {"MASTER_ADDR": "here", "MASTER_PORT": "5000"})
    assert set_by_hand is not None
    assert (set_by_hand.address, set_by_hand.port) == ("here", 5000)


def test_one_process_of_torchrun_or_srun_is_by_itself() -> None:
    assert rank_in(TORCHRUN | {"WORLD_SIZE": "1", "RANK": "0", "LOCAL_RANK": "0"}) is None
    assert rank_in(SRUN | {"SLURM_STEP_NUM_TASKS": "1"}) is None
    assert rank_in({"RANK": "3"}) is None, "a name that other programs use, too"


@pytest.mark.parametrize(
    ("name", "text", "limit"),
    [
        ("RANK", "4", "from 0 to 3"),
        ("RANK", "-1", "from 0 to 3"),
        ("RANK", "first", "from 0 to 3"),
        ("LOCAL_RANK", "4", "from 0 to 3"),
        ("WORLD_SIZE", "0", "from 1 on"),
        ("MASTER_PORT", "99999", "from 1 to 65535"),
        ("MASTER_PORT", "", "from 1 to 65535"),
    ],
)
def test_a_number_that_no_process_can_have_is_refused(name: str, text: str, limit: str) -> None:
    with pytest.raises(ConfigError, match=f"^{name} is '{text}', and not a whole number {limit}:"):
        rank_in(TORCHRUN | {name: text})


def test_half_an_environment_is_refused() -> None:
    with pytest.raises(ConfigError, match="LOCAL_RANK, MASTER_PORT not: start the processes"):
        rank_in({name: TORCHRUN[name] for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR")})


def test_the_first_host_of_lists_as_slurm_writes_them() -> None:
    lists = {"a1": "a1", "a1,b2": "a1", "a[1,3]": "a1", "a[01-03]-ib,b": "a01-ib", "": ""}
    assert {nodes: first_host(nodes) for nodes in lists} == lists
