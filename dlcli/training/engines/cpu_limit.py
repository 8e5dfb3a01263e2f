"""How many processors the kernel lets a process use, by the limits of its control groups.

Containers and batch systems limit CPU time so (cgroups of Linux, both versions): more threads than
that only wait for each other.
"""

import math
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def limit_of_processors(root: Path = Path("/")) -> int | None:
    """Return the whole processors that this process may use, at least 1; None without a limit.

    `root` is the folder that holds `proc` and `sys`. Of a group and those around it, the smallest
    limit counts. Source: the kernel's documentation of cgroup-v2 (cpu.max) and of the CFS bandwidth
    control of version 1 (cpu.cfs_quota_us, cpu.cfs_period_us).
    """
    limits = [limit for group in _groups(root) for limit in _limits(group)]
    return max(1, math.floor(min(limits))) if limits else None


def _groups(root: Path) -> Iterator[Path]:
    """Yield the folders of the groups that the process is in, and of those around them."""
    try:
        lines = (root / "proc/self/cgroup").read_text("utf-8").splitlines()
    except OSError:
        return  # not Linux
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        top = root / "sys/fs/cgroup" / ("cpu" if controllers else "")
        group = top / path.lstrip("/")
        yield top  # all that a container sees of its own group
        while group != top and group.is_relative_to(top):
            yield group
            group = group.parent


def _limits(group: Path) -> Iterator[float]:
    """Yield the processors that a group may use, if it has a limit."""
    with suppress(OSError, ValueError):  # no such file, or `max`
        quota, period = (group / "cpu.max").read_text("ascii").split()
        yield int(quota) / int(period)
    with suppress(OSError, ValueError):
        microseconds = int((group / "cpu.cfs_quota_us").read_text("ascii"))
        if microseconds > 0:  # -1: none
            yield microseconds / int((group / "cpu.cfs_period_us").read_text("ascii"))
