"""Two machines, as far as the network goes: two network namespaces, joined by a virtual link."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ADDRESSES = ("10.77.18.1", "10.77.18.2")


# A name of its own, and a file that says where both names are.
_ENTER = 'hostname "$1" && mount --bind "$2" /etc/hosts && shift 2 && exec "$@"'


@dataclass(frozen=True)
class Link:
    """Two namespaces, by name, and the link between them."""

    names: tuple[str, str]
    hosts: Path  # a file like /etc/hosts

    @property
    def paths(self) -> tuple[Path, Path]:
        """The files of the namespaces."""
        first, second = (Path("/run/netns") / name for name in self.names)
        return first, second

    def on(self, machine: int, command: Sequence[str]) -> list[str]:
        """Return the command that runs a command on one of the machines, 0 or 1."""
        name = self.names[machine]
        enter = f"ip netns exec {name} unshare --uts --mount sh -c".split()
        return [*enter, _ENTER, "sh", name, str(self.hosts), *command]

    def cut(self) -> None:
        """Let nothing through any more, as a pulled cable does: nobody is told."""
        _ip("-n", self.names[0], "link", "set", "dlcli", "down")

    def mend(self) -> None:
        """Let everything through again."""
        _ip("-n", self.names[0], "link", "set", "dlcli", "up")


def missing_rights() -> str | None:
    """Return why namespaces can't be made here."""
    if shutil.which("ip") is None:
        return "needs the program ip (apt-get install iproute2)"
    if os.geteuid() != 0:
        return "making network namespaces needs root"
    done = subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False)
    return "network namespaces can't be made here" if done.returncode else None


@contextmanager
def linked() -> Iterator[Link]:
    """Make the namespaces and the link; remove them at the end."""
    names = (f"dlcli-{os.getpid()}-a", f"dlcli-{os.getpid()}-b")
    try:
        for name in names:
            _ip("netns", "add", name)
            _ip("-n", name, "link", "set", "lo", "up")
        _ip(*f"-n {names[0]} link add dlcli type veth peer dlcli netns {names[1]}".split())
        for name, address in zip(names, ADDRESSES, strict=True):
            _ip("-n", name, "addr", "add", f"{address}/24", "dev", "dlcli")
            _ip("-n", name, "link", "set", "dlcli", "up")
        lines = (f"{address} {name}" for name, address in zip(names, ADDRESSES, strict=True))
        with tempfile.NamedTemporaryFile("w", suffix=".hosts") as hosts:
            hosts.write("127.0.0.1 localhost\n" + "\n".join(lines) + "\n")
            hosts.flush()
            yield Link(names, Path(hosts.name))
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)
