"""torchrun on two machines: two network namespaces, joined by a virtual link."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.test_processes import SECONDS, processes_of
from tests.conftest import ROOT
from tests.reliability.comparing import differences
from tests.reliability.configs import write_config
from tests.reliability.namespaces import ADDRESSES, Link, linked, missing_rights

MISSING = missing_rights()
pytestmark = [pytest.mark.campaign, pytest.mark.skipif(MISSING is not None, reason=str(MISSING))]


@pytest.fixture
def link() -> Iterator[Link]:
    with linked() as link:
        yield link


def command(folder: Path, *, num_epochs: int) -> list[str]:
    training = {"shards": 2, "epochs": num_epochs, "early_stopping": None}
    config = write_config(folder / "c.yaml", "adam", "step", training=training)
    return ["-m", "dlcli", "train", str(config), "--set", "checkpoint.every_steps=2"]


def torchrun(link: Link, arguments: list[str]) -> list[subprocess.Popen[str]]:
    """Start an agent of torchrun on each machine, and through it one process."""
    options = ["--nnodes", "2", "--nproc-per-node", "1", "--rdzv-backend", "c10d"]
    options += ["--rdzv-endpoint", f"{ADDRESSES[0]}:29500", "--rdzv-id", "tests"]
    agent = [sys.executable, "-m", "torch.distributed.run", *options, *arguments]
    return [
        subprocess.Popen(
            link.on(machine, agent),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for machine in (0, 1)
    ]


def test_two_machines_leave_what_one_process_leaves(tmp_path: Path, link: Link) -> None:
    arguments = command(tmp_path, num_epochs=3)
    agents = torchrun(link, [*arguments, "--run-dir", str(tmp_path / "two")])
    texts = [agent.communicate(timeout=120)[0] for agent in agents]
    assert [agent.returncode for agent in agents] == [0, 0], texts
    alone = [sys.executable, *arguments, "--run-dir", str(tmp_path / "one")]
    subprocess.run(alone, cwd=ROOT, check=True, capture_output=True)
    assert differences(tmp_path / "one", tmp_path / "two") == []


def test_all_processes_end_where_the_link_is_cut(tmp_path: Path, link: Link) -> None:
    folder = tmp_path / "run"
    agents = torchrun(link, [*command(tmp_path, num_epochs=5000), "--run-dir", str(folder)])
    try:
        while not (folder / "last.safetensors").exists():
            assert all(agent.poll() is None for agent in agents)
            time.sleep(0.05)
        assert processes_of(folder).keys() == {0, 1}
        link.cut()
        first, _ = agents[0].communicate(timeout=SECONDS)
        assert processes_of(folder) == {}
    finally:
        # The agent that can't reach the rendezvous waits for it: torchrun has no limit for that.
        for agent in agents:
            agent.send_signal(signal.SIGKILL)
        second, _ = agents[1].communicate()
    assert "process 1" in first
    assert "is gone, or has not answered: was it killed" in first
    assert "exitcode: 7" in first
    assert "where the processes meet, does not answer: is the network cut" in second
