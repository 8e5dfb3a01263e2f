"""The limits of control groups, as the kernel writes them."""

from pathlib import Path

import pytest

from dlcli.training.engines.cpu_limit import limit_of_processors
from dlcli.training.engines.threads import threads_allowed


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        ({}, None),  # not Linux
        ({"proc/self/cgroup": "0::/\n"}, None),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, None),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "350000 100000\n"}, 3),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "50000 100000\n"}, 1),
        (
            {
                "proc/self/cgroup": "0::/system.slice/job.scope\n",
                "sys/fs/cgroup/system.slice/cpu.max": "200000 100000\n",
                "sys/fs/cgroup/system.slice/job.scope/cpu.max": "max 100000\n",
            },
            2,
        ),
        (
            {
                "proc/self/cgroup": "5:memory:/x\n4:cpu,cpuacct:/docker/1\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "400000\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
                "sys/fs/cgroup/cpu/docker/1/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu/docker/1/cpu.cfs_period_us": "100000\n",
            },
            4,
        ),
    ],
)
def test_the_smallest_limit_of_the_groups_counts(
    files: dict[str, str], limit: int | None, tmp_path: Path
) -> None:
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="ascii")
    assert limit_of_processors(tmp_path) == limit


@pytest.mark.parametrize(
    ("limit", "said", "allowed"), [(2, None, 2), (None, None, 8), (16, None, 8), (2, "8", 8)]
)
def test_threads_keep_within_the_limit_unless_their_number_is_said(
    limit: int | None, said: str | None, allowed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dlcli.training.engines.threads.limit_of_processors", lambda: limit)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if said is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", said)
    threads = threads_allowed(8)
    assert threads.number == allowed
    assert ("CPU limit" in threads.reason) == (allowed < 8)
