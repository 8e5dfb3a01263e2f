"""Faults at single system calls, and full disks: `python -m tests.reliability.faults FOLDER`.

What is seen goes to standard output as JSON; tests/runs/test_system_calls.py judges it.
"""

import ctypes
import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from dlcli.config.sections.checkpoint import CheckpointConfig
from dlcli.errors import CheckpointError, DlcliError
from dlcli.runs.folder.epoch_line import epoch_line
from dlcli.runs.folder.lines_file import LinesFile
from dlcli.runs.folder.run_folder import RunFolder
from dlcli.runs.training.saver import Captured, Saver
from dlcli.training.loop import EpochResult
from dlcli.training.saving.checkpoint import load_checkpoint
from tests.reliability import forked
from tests.reliability.comparing import differences
from tests.reliability.configs import write_config

FAULTS = {"SIGKILL": "signal=SIGKILL", "ENOSPC": "error=ENOSPC", "EIO": "error=EIO"}
_NO_LINKS = ("?link:error=EPERM", "linkat:error=EPERM")  # ?: not every machine has it
_ASKING = ("fstat", "ioctl", "lseek", "fcntl")  # they leave everything as it is
_NAMES = "?rename,?renameat,renameat2,?unlink,unlinkat"
_PR_SET_PTRACER = 0x59616D61  # see man prctl
_WIDE = "model.layers=[{type: dense, units: 150, activation: relu}, {type: dense}]"
_PAGE = 4096  # bytes; a tmpfs has whole ones


@dataclass(frozen=True)
class Call:
    """A system call on something in a run folder."""

    name: str
    nth: int  # of the calls of its name that its thread makes, from 1
    text: str  # as strace shows it, without the folder's path and what is random in names


@dataclass(frozen=True)
class Case:
    """A fault at one call, and what came of it."""

    scenario: str
    fault: str  # one of FAULTS, or none
    call: Call
    injected: bool
    code: int  # below 0: the signal that ended it
    screen: str
    files: dict[str, str]  # name → "older", "old" or "new", or what is wrong with it


@dataclass(frozen=True)
class Run:
    """A whole `dlcli train` that a fault or a full disk came upon, and the way on from it."""

    what: str
    injected: bool
    code: int
    screen: str
    files: dict[str, str]  # name → what is wrong with it, if anything
    position: list[int]  # of the last checkpoint: epoch, and steps in it
    resumed: int | None  # the exit code of the command that the message names
    differing: list[str]  # in the end, from the run that nothing came upon


@dataclass(frozen=True)
class _Scenario:
    name: str
    begin: Path  # a copy of it is worked in
    work: Callable[[Path], int]
    always: tuple[str, ...] = ()  # faults that are there besides
    only: str = ""  # what the calls begin with that matter


class NoTracingError(Exception):
    """There is no strace here, or it must not look at processes."""


def main(folder: Path) -> None:
    """See what there is to see."""
    torch.set_num_threads(1)  # a fork must not find other threads half-way
    seen: dict[str, Any] = {"no_tracing": "", "cases": [], "runs": []}
    try:
        seen["cases"] = [asdict(case) for case in _cases(folder)]
        seen["runs"] = [asdict(run) for run in _runs(folder)]
    except NoTracingError as error:
        seen["no_tracing"] = str(error)
    seen["disks"] = [asdict(run) for run in _disks(folder)]
    print(json.dumps(seen))


# One save, and one line of metrics.jsonl


def _cases(folder: Path) -> Iterator[Case]:
    """Yield each scenario undisturbed, then with every fault at every call of its thread."""
    config = write_config(folder / "cases.yaml", "adamw", "constant")
    for name, epochs in (("old", 2), ("new", 6)):
        _train(folder / name, config, f"training.epochs={epochs}")
    new = RunFolder(folder / "new")
    save = partial(_save, (load_checkpoint(new.last), load_checkpoint(new.best)))
    first = folder / "first"
    first.mkdir()
    for name in ("config.yaml", "metrics.jsonl"):
        shutil.copy(folder / "old" / name, first)
    for scenario in (
        _Scenario("save", folder / "old", save),
        _Scenario("save without hard links", folder / "old", save, _NO_LINKS, "(link|rename)"),
        _Scenario("first save", first, save),
        _Scenario("append", folder / "old", _append),
        _Scenario("failing append", folder / "old", _append, ("write:error=ENOSPC",), "truncate"),
    ):
        yield from _faults_in(scenario, folder / "case")


def _faults_in(scenario: _Scenario, place: Path) -> Iterator[Case]:
    begin, screen, log = scenario.begin, place.with_name("screen"), place.with_name("log")
    work = partial(scenario.work, place)
    ages = {_digest(path): "old" for path in begin.iterdir()}
    if (begin / "previous.safetensors").exists():
        ages[_digest(begin / "previous.safetensors")] = "older"

    def look(fault: str, call: Call, code: int) -> Case:
        injected = code < 0 or "(INJECTED)" in log.read_text()
        files = {path.name: _age(path, ages) for path in place.iterdir()}
        shutil.rmtree(place)
        return Case(scenario.name, fault, call, injected, code, screen.read_text(), files)

    shutil.copytree(begin, place)
    code = _trace(work, screen, log, "%file,%desc", list(scenario.always))
    ages = {_digest(path): "new" for path in place.iterdir()} | ages
    calls = _calls_of_interest(scenario, place, log)
    yield look("", Call("", 0, ""), code)
    for call in calls:
        rules = [rule for rule in scenario.always if call.name not in rule.split(":")[0]]
        trace = ",".join([call.name, *(rule.split(":")[0] for rule in rules)])
        for fault, how in FAULTS.items():
            shutil.copytree(begin, place)
            rule = f"{call.name}:{how}:when={call.nth}"
            yield look(fault, call, _trace(work, screen, log, trace, [*rules, rule]))


def _calls_of_interest(scenario: _Scenario, place: Path, log: Path) -> list[Call]:
    """Return what the thread at work does to the folder; afterwards the main one tidies up."""
    calls = _calls_on(place, log)
    return [
        call
        for thread, call in calls
        if thread == calls[0][0]
        and call.name not in _ASKING
        and "AT_EMPTY_PATH" not in call.text  # fstat
        and re.match(scenario.only, call.name)
    ]


def _save(captured: Captured, place: Path) -> int:
    """Save as a run does, on the saver's thread."""
    folder = RunFolder(place)
    metrics = LinesFile(folder.metrics, folder.metrics.stat().st_size)
    with closing(Saver(folder, metrics, CheckpointConfig())) as saver:
        _wait_for_strace()
        saver.save(lambda: captured)
        saver.wait()
    return 0


def _append(place: Path) -> int:
    """Append an epoch, on a thread of its own: strace counts its calls apart."""
    path = RunFolder(place).metrics
    metrics = LinesFile(path, path.stat().st_size)
    epoch = EpochResult(3, 0.5, None, 0.01, 1.0, 0.1, 206, is_best=True, best_epoch=3)
    with ThreadPoolExecutor(1) as thread:
        _wait_for_strace()
        thread.submit(metrics.append, epoch_line(epoch)).result()
    return 0


def _age(path: Path, ages: dict[str, str]) -> str:
    return _wrong_with(path) or ages.get(_digest(path), "unknown")


def _wrong_with(path: Path) -> str:
    """Say what is wrong with a checkpoint, if anything."""
    if path.suffix == ".safetensors":
        try:
            load_checkpoint(path)
        except CheckpointError as error:
            return str(error)
    return ""


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


# Whole runs


def _runs(folder: Path) -> Iterator[Run]:
    """Let one call of a run's saver fail, then go on as the message says."""
    config = write_config(folder / "runs.yaml", "nadam", "cosine")
    straight, place, log = folder / "straight", folder / "faulty", folder / "log"
    work, trace = partial(_train_traced, straight, config), f"write,fsync,{_NAMES}"
    code = _trace(work, folder / "screen", log, trace, [])
    assert code == 0, _screen(straight).read_text()
    calls = _calls_on(straight, log)
    saver = next(thread for thread, call in calls if ".last." in call.text)
    most: Counter[str] = Counter()  # calls of a name that another thread makes, on any file
    for thread, call in _calls(log):
        if thread != saver:
            most[call.name] = max(most[call.name], call.nth)
    # A rule holds for every thread: take calls that no other thread makes so many of.
    alone = [call for thread, call in calls if thread == saver and call.nth > most[call.name]]
    for what, error, pattern, always in (
        ("a write of last", "ENOSPC", r"write\(.*\.last\.", ()),
        ("a write of best", "ENOSPC", r"write\(.*\.best\.", ()),
        ("the fsync of last", "EIO", r"fsync\(.*\.last\.", ()),
        ("the rename to previous", "EIO", r"rename.*previous\.safetensors\"$", ()),
        ("the rename to last", "ENOSPC", r"rename.*\"last\.safetensors\"$", ()),
        ("the rename to last, without hard links", "EIO", "rename", _NO_LINKS),
    ):
        fitting = [call for call in alone if re.match(pattern, call.text)]
        # Without hard links there are fewer renames: the first one that may be is of save 2.
        call = fitting[0 if always else len(fitting) // 2]
        rules = [*always, f"{call.name}:error={error}:when={call.nth}"]
        trace = ",".join(rule.split(":")[0] for rule in rules)
        code = _trace(partial(_train_traced, place, config), folder / "screen", log, trace, rules)
        injected = f"{error} " in log.read_text()
        yield _go_on(f"{error} at {what}", place, straight, code, injected)
        shutil.rmtree(place, ignore_errors=True)
    yield from _resumes(folder, place, log)


def _resumes(folder: Path, place: Path, log: Path) -> Iterator[Run]:
    """Let calls fail that only a run makes which goes on where last is damaged."""
    config, straight = write_config(folder / "more.yaml", "adam", "constant"), folder / "more"
    _train(straight, config, "seed=0")
    options = ("--set", "training.epochs=8", "--resume")

    def resume(trace: str, rules: list[str]) -> int:
        shutil.copytree(straight, place)
        RunFolder(place).last.write_bytes(b"")
        work = partial(_train_traced, place, config, *options)
        return _trace(work, folder / "screen", log, trace, rules)

    code = resume(_NAMES, [])
    assert code == 0, _screen(place).read_text()
    calls = [call for _, call in _calls_on(place, log)]
    shutil.rmtree(place)
    for what, pattern in (
        ("the rename to damaged", r"rename.*damaged\.safetensors\"$"),
        ("the removal of the old summary", r"unlink.*\"summary\.json"),
        ("the removal of the lock", r"unlink.*\"\.lock"),
    ):
        call = next(call for call in calls if re.match(pattern, call.text))
        code = resume(call.name, [f"{call.name}:error=EIO:when={call.nth}"])
        yield _go_on(f"EIO at {what}", place, straight, code, "(INJECTED)" in log.read_text())
        shutil.rmtree(place)


def _disks(folder: Path) -> Iterator[Run]:
    """Train into small file systems that fill up, then enlarge them and go on."""
    config = write_config(folder / "disks.yaml", "adamw", "cosine")
    straight, disk = folder / "straight on disk", folder / "disk"
    _train(straight, config, _WIDE)
    disk.mkdir()
    pages = -(-RunFolder(straight).last.stat().st_size // _PAGE)
    for what, size in (
        ("no room for a config", 1),
        ("no room for a checkpoint", pages // 2),
        ("no room for a third checkpoint", 2 * pages),  # the first ones are smaller
        ("no room beside the best checkpoint", 3 * pages),
    ):
        with _small_disk(disk, size) as mounted:
            if not mounted:
                return
            code = _run(disk, config, "--set", _WIDE)
            yield _go_on(what, disk, straight, code, True)


@contextmanager
def _small_disk(place: Path, pages: int) -> Iterator[bool]:
    """Mount a small file system, if that is allowed."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={pages * _PAGE}", "dlcli-test", str(place)]
    mounted = not subprocess.run(command, capture_output=True, check=False).returncode
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", str(place)], check=True)


def _go_on(what: str, place: Path, straight: Path, code: int, injected: bool) -> Run:
    """Look at what a failed run left, then do as its message says."""
    folder, screen = RunFolder(place), _screen(place).read_text()
    files = {path.name: _wrong_with(path) for path in place.iterdir()} if place.exists() else {}
    position: list[int] = []
    if files.get(folder.last.name) == "":
        state = load_checkpoint(folder.last).state
        assert state is not None, "it is the last"
        position = [state.numbers.epoch, state.numbers.num_steps]
    command = re.search(r"resume from it with: dlcli (.*)", screen)
    resumed, differing = None, []
    if command is not None:
        if place.is_mount():
            enlarge = ["mount", "-o", f"remount,size={1000 * _PAGE}", str(place)]
            subprocess.run(enlarge, check=True)
        resumed = forked.start(shlex.split(command[1]), _screen(place)).wait()
        differing = differences(straight, place) if resumed == 0 else [_screen(place).read_text()]
    return Run(what, injected, code, screen, files, position, resumed, differing)


def _train(place: Path, config: Path, override: str) -> None:
    code = _run(place, config, "--set", override)
    assert code == 0, _screen(place).read_text()


def _train_traced(place: Path, config: Path, *options: str) -> int:
    _wait_for_strace()
    return _run(place, config, *options)


def _run(place: Path, config: Path, *options: str) -> int:
    """Train, saving every step, and return the exit code."""
    arguments = ["train", str(config), "--set", "checkpoint.every_steps=1", *options]
    return forked.start([*arguments, "--run-dir", str(place)], _screen(place)).wait()


def _screen(place: Path) -> Path:
    return place.with_name(f"{place.name}.txt")


# strace


def _trace(work: Callable[[], int], screen: Path, log: Path, trace: str, rules: list[str]) -> int:
    """Let a fork do some work, with the calls of it traced and faults injected by rules.

    Returns its exit code, which is what the work returns or that of a DlcliError.
    """
    if shutil.which("strace") is None:
        raise NoTracingError("no strace here")
    pid = os.fork()
    if not pid:
        _work(work, screen)
    status = os.waitpid(pid, os.WUNTRACED)[1]
    if not os.WIFSTOPPED(status):
        return os.waitstatus_to_exitcode(status)
    options = ["-f", "-y", "-s", "0", "-o", str(log), "-p", str(pid), "-e", f"trace={trace}"]
    options += [word for rule in rules for word in ("-e", f"inject={rule}")]
    with subprocess.Popen(["strace", *options], stderr=subprocess.PIPE, text=True) as strace:
        assert strace.stderr is not None, "it is a pipe"
        said = strace.stderr.readline()
        attached = "attached" in said and "Could not" not in said
        os.kill(pid, signal.SIGCONT if attached else signal.SIGKILL)
        status = os.waitpid(pid, 0)[1]
    if not attached:
        raise NoTracingError(said.strip())
    return os.waitstatus_to_exitcode(status)


def _work(work: Callable[[], int], screen: Path) -> None:
    """Work, and leave with an exit code."""
    code = 1
    try:
        descriptor = os.open(screen, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        code = work()
    except DlcliError as error:
        os.pwrite(1, f"dlcli: {error}".encode(), 0)  # another call than the one that may fail
        code = error.exit_code
    except BaseException:
        os.pwrite(1, traceback.format_exc().encode(), 0)
    finally:
        os._exit(code)


def _wait_for_strace() -> None:
    """Stop until strace looks on; it may, even where a process may see its children only."""
    ctypes.CDLL(None).prctl(_PR_SET_PTRACER, ctypes.c_ulong(-1))
    os.kill(os.getpid(), signal.SIGSTOP)


def _calls(log: Path) -> Iterator[tuple[str, Call]]:
    """Yield what strace saw: each call and the thread that made it."""
    counts: Counter[tuple[str, str]] = Counter()
    for line in log.read_text().splitlines():
        if match := re.match(r"(\d+) +((\w+)\(.*)", line):
            thread, text, name = match.groups()
            counts[thread, name] += 1
            text = re.sub(r"[0-9a-f]{32}", "*", re.split(r" += | <unf", text)[0]).rstrip(" )")
            yield thread, Call(name, counts[thread, name], text)


def _calls_on(place: Path, log: Path) -> list[tuple[str, Call]]:
    """Return the calls on a folder and on what is in it, with their threads."""
    inside = str(place)
    return [
        (thread, Call(call.name, call.nth, call.text.replace(f"{inside}/", "")))
        for thread, call in _calls(log)
        if inside in call.text
    ]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
