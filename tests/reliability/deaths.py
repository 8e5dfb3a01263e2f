"""Processes of a group that die: `python -m tests.reliability.deaths 200`.

Two or four processes train a small network; at a random moment, while they connect, train, validate
or end, one of them is killed, stopped, crashes, gets no more memory or no more disk, or the link
between them is cut. All must end within 15 s with the exit code of what happened, leave nothing
half written, and one process must come from there to the same bits as a run that was left alone.
"""

import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from dlcli.errors import CheckpointError
from dlcli.training.saving.checkpoint import load_checkpoint
from tests.reliability import forked, ranks
from tests.reliability.comparing import differences
from tests.reliability.configs import write_config
from tests.reliability.namespaces import ADDRESSES, Link, linked, missing_rights

SECONDS = 15  # from a death to the end of all
_KILLED, _LOST = 137, 7
# What the others may end with. The process that dies ends by its signal, or with the same code.
_KINDS = {
    "link": {_LOST},
    "disk": {7},
    "SIGSTOP": {_KILLED},
    "SIGKILL": {_KILLED},
    "SIGSEGV": {_KILLED},
    "memory": {1, 6, _LOST, _KILLED},
    "data": {2, 3},
}
_SIGNALS = {
    "SIGKILL": signal.SIGKILL,
    "SIGSTOP": signal.SIGSTOP,
    "SIGSEGV": signal.SIGSEGV,
}
_TRAINING = {"shards": 4, "epochs": 12, "early_stopping": None}


@dataclass
class Campaign:
    """Where the runs are, and what has come of them."""

    folder: Path
    config: Path
    link: Link | None
    duration: float = 0.0
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    slowest: dict[str, float] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def command(self, run: Path, config: Path | None = None) -> list[str]:
        """Return the arguments of dlcli that train in a folder."""
        split = "data.split={validation: 0.45, test: 0.1}"  # as long in validation as in training
        saves = "checkpoint.every_steps=2"
        command = ["train", str(config or self.config), "--set", split, "--set", saves]
        return [*command, "--resume", "--run-dir", str(run)]

    def measure(self) -> None:
        """Train without a death: alone, and on two, over the link if there is one."""
        straight, two = self.folder / "straight", self.folder / "two"
        alone = forked.start(self.command(straight), self.folder / "0.txt")
        assert alone.wait() == 0, alone.screen.read_text("utf-8")
        started = self._start([self.command(two)] * 2, self.link)
        started.wait_until_joined()
        begun = time.monotonic()
        codes = started.end(60)
        assert codes == [0, 0], started.texts()
        self.duration = time.monotonic() - begun
        assert differences(straight, two) == []

    def _start(self, commands: list[list[str]], link: Link | None) -> ranks.Ranks:
        if link is None:
            return ranks.start(commands, self.folder)
        return ranks.start(commands, self.folder, address=ADDRESSES[0], namespaces=link.paths)

    def die(self, number: int, kind: str) -> None:
        """Let a process die, and note how all of them end."""
        run = self.folder / f"run-{number}"
        num_ranks = 2 if kind == "link" else random.choice((2, 4))
        victim = 0 if kind == "disk" else random.randrange(num_ranks)
        commands = [self.command(run)] * num_ranks
        if kind == "data":
            commands[victim] = self.command(run, self._broken_config())
        on_link = self.link if kind == "link" else None
        started = self._start(commands, on_link)
        what = f"{number}: {kind} of {victim} in {num_ranks}"
        if not started.wait_until_joined():
            self.wrong.append(f"{what}: not joined: {started.end(0)} {started.texts()}")
            return
        if kind != "data":
            time.sleep(random.uniform(0.02, self.duration))
        phase = _phase(run)
        begun = time.monotonic()
        _strike(kind, started.runs[victim].pid, on_link)
        codes = started.end(SECONDS)
        seconds = time.monotonic() - begun
        if on_link:
            on_link.mend()
        if not any(codes):
            self.counts[kind, "had ended before"] += 1
        else:
            self.counts[kind, phase] += 1
            self.slowest[kind] = max(seconds, self.slowest.get(kind, 0.0))
            for fault in self._faults(kind, victim, codes, started, run):
                texts = "\n--\n".join(text[-3000:] for text in started.texts())
                self.wrong.append(f"{what}, {phase}, {seconds:.1f} s: {fault}, {codes}\n{texts}")
        shutil.rmtree(run, ignore_errors=True)

    def _faults(
        self, kind: str, victim: int, codes: list[int | None], started: ranks.Ranks, run: Path
    ) -> list[str]:
        """Return what is wrong with how all of them have ended."""
        found = []
        others = {code for rank, code in enumerate(codes) if rank != victim or kind == "link"}
        if None in codes:
            found.append("not ended in time")
        elif not others <= _KINDS[kind] | {0, codes[victim]} or len(others - {0}) > 1:
            found.append(f"exit codes {others}")
        texts = started.texts()
        if kind == "memory":  # without a byte, Python itself may be able to say no more than that
            texts.pop(victim)
        if any("Traceback" in text or "terminate" in text for text in texts):
            found.append("a traceback")
        left = {path.name for path in run.glob(".*")} - {".lock"}
        if left and (victim or kind not in _SIGNALS):  # who is killed leaves what it was writing
            found.append(f"left {left}")
        if not run.exists():
            return found
        for name in ("last", "best"):
            with suppress(FileNotFoundError):
                try:
                    load_checkpoint(run / f"{name}.safetensors")
                except CheckpointError as error:
                    found.append(str(error)) if (run / f"{name}.safetensors").exists() else None
        again = forked.start(self.command(run), self.folder / "again.txt")
        if code := again.wait():
            text = again.screen.read_text("utf-8")
            return [*found, f"resumed by one, exit code {code}: {text}"]
        return [*found, *differences(self.folder / "straight", run)]

    def _broken_config(self) -> Path:
        """Return a config whose data file breaks off in the middle of a row."""
        folder = self.folder / "broken"
        if not folder.exists():
            folder.mkdir()
            config = yaml.safe_load(self.config.read_text("utf-8"))
            data = Path(config["data"]["path"]).read_bytes()
            (folder / "penguins.csv").write_bytes(data[: len(data) // 2] + b'"')
            text = self.config.read_text("utf-8").replace(config["data"]["path"], "penguins.csv")
            (folder / "c.yaml").write_text(text, "utf-8")
        return folder / "c.yaml"


def _strike(kind: str, pid: int, link: Link | None) -> None:
    if kind in _SIGNALS:
        os.kill(pid, _SIGNALS[kind])
    elif kind == "memory":  # little more than now, or none
        pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[0])
        most = pages * resource.getpagesize() + random.randrange(2**22)
        resource.prlimit(pid, resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))
    elif kind == "disk":
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
    elif link is not None:
        link.cut()


def _phase(run: Path) -> str:
    if not (run / "config.yaml").exists():
        return "while joining"
    if not (run / "last.safetensors").exists():
        return "before the first save"
    return "at the end" if (run / "summary.json").exists() else "in training"


def main(num_deaths: int) -> int:
    """Let processes die, print what came of it, and return 1 where something went wrong."""
    begun = time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # the namespaces are removed
    random.seed(0)
    kinds = list(_KINDS)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        config = write_config(folder / "c.yaml", "adam", "step", training=_TRAINING)
        reason = missing_rights()
        link = stack.enter_context(linked()) if reason is None else None
        if link is None:
            kinds.remove("link")
            print(f"no link is cut: {reason}", file=sys.stderr)
        campaign = Campaign(folder, config, link)
        campaign.measure()
        number = 0
        while _num_deaths(campaign) + len(campaign.wrong) < num_deaths:
            campaign.die(number, kinds[number % len(kinds)])
            number += 1
    print("\n".join(campaign.wrong), file=sys.stderr)
    for kind in kinds:
        some = {phase: count for (one, phase), count in campaign.counts.items() if one == kind}
        stages = ", ".join(f"{count} {phase}" for phase, count in sorted(some.items()))
        print(f"{kind}: {stages}; slowest end {campaign.slowest.get(kind, 0):.1f} s")
    seconds = time.monotonic() - begun
    print(f"{_num_deaths(campaign)} deaths, {len(campaign.wrong)} wrong; {seconds:.0f} s")
    return int(bool(campaign.wrong))


def _num_deaths(campaign: Campaign) -> int:
    return sum(n for (_, phase), n in campaign.counts.items() if phase != "had ended before")


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
