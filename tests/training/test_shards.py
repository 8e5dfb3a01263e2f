"""Batches cut into shards: the same bits, however many processes share them."""

import json
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from dlcli.training.processes.group import Alone
from dlcli.training.processes.shards import bounds
from tests.conftest import ROOT


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


def take_steps(num_processes: int) -> list[dict[str, str]]:
    """Return hashes for the cases of `tests.training.shard_steps`, by so many processes and one."""
    port = free_port()

    def one(rank: int) -> str:
        program = [sys.executable, "-m", "tests.training.shard_steps"]
        command = [*program, *map(str, (rank, num_processes, port))]
        return subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=300
        ).stdout

    with ThreadPoolExecutor(num_processes) as pool:
        first, *others = pool.map(one, range(num_processes))
    assert others == [""] * (num_processes - 1)
    found: list[dict[str, str]] = json.loads(first)
    return found


def test_every_layer_and_optimizer_gives_the_same_bits_on_one_and_two_processes() -> None:
    two, one = take_steps(2)
    assert two == one
    assert len(set(one.values())) > len(one) / 2


@pytest.mark.campaign
def test_every_layer_and_optimizer_gives_the_same_bits_on_four_processes() -> None:
    four, one = take_steps(4)
    assert four == one


@pytest.mark.parametrize(("num_rows", "num_shards"), [(8, 4), (9, 4), (3, 4), (1, 2), (7, 1)])
def test_shards_are_all_rows_in_order_and_differ_by_one_row(num_rows: int, num_shards: int) -> None:
    cuts = [bounds(num_rows, shard, num_shards) for shard in range(num_shards)]
    assert [row for start, stop in cuts for row in range(start, stop)] == list(range(num_rows))
    sizes = [stop - start for start, stop in cuts]
    assert max(sizes) - min(sizes) <= 1
    assert sizes[0] > 0, "the first process has rows of every batch"


def test_sums_go_from_the_first_part_to_the_last() -> None:
    parts = torch.tensor([[1e8], [1.0], [-1e8], [1.0]])
    total = torch.empty(1)
    Alone().sum_in_order(parts, total)
    assert total.item() == 1.0  # in another order, 2 or 0
