"""Power that fails while a run saves: what is on the disk then, by the rules that hold for disks.

The file operations of one save are recorded. A power failure may come after any of them. Of those
before it, what was written to a file is certain once the file was synced, and what was done to a
name once its folder was; each of the others may have reached the disk or not, in any combination.
"""

import io
import itertools
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from dlcli.config import load_config
from dlcli.config.sections.checkpoint import CheckpointConfig
from dlcli.errors import CheckpointError
from dlcli.runs.folder.epoch_line import epoch_line
from dlcli.runs.folder.lines_file import LinesFile
from dlcli.runs.folder.run_folder import RunFolder
from dlcli.runs.preparation import prepare
from dlcli.runs.training.saver import Saver
from dlcli.runs.training.train import train
from dlcli.training.loop import EpochResult
from dlcli.training.saving.checkpoint import load_checkpoint
from tests.reliability.configs import write_config

LINE = EpochResult(2, 0.5, None, 0.01, 1.0, 0.1, 206, is_best=True, best_epoch=2)


@dataclass(frozen=True)
class Write:
    """Bytes that went to a file; certain when it is synced."""

    file: int  # its inode
    offset: int
    data: bytes


@dataclass(frozen=True)
class Name:
    """A name that was given to a file, or taken; certain when the folder is synced."""

    name: str
    file: int | None


@dataclass(frozen=True)
class Sync:
    """A file, or with None the folder, was synced."""

    file: int | None


Operation = Write | Name | Sync
Content = dict[str, bytes]  # of a folder


@dataclass
class Recorder:
    """A folder, and what is done in it."""

    folder: Path
    operations: list[Operation] = field(default_factory=list)

    def record(self, monkeypatch: pytest.MonkeyPatch, *, hard_links: bool) -> None:
        """Look over the shoulder of every function by which dlcli changes files."""
        real = {name: getattr(os, name) for name in ("link", "replace", "unlink", "fsync")}
        real_open, recorder = io.open, self

        class Recorded(io.FileIO):
            def write(self, data: Any, /) -> int:
                offset = os.fstat(self.fileno()).st_size if "a" in self.mode else self.tell()
                length = super().write(data)
                recorder.operations.append(Write(_inode(self), offset, bytes(data)[:length]))
                return length

        def open_recorded(path: Any, mode: str = "r", *rest: Any, **more: Any) -> Any:
            if not (isinstance(path, Path) and path.parent == self.folder and mode[0] in "xwa"):
                return real_open(path, mode, *rest, **more)
            raw = Recorded(path, mode.replace("b", ""))
            if "a" not in mode:
                self.operations.append(Name(path.name, _inode(raw)))
            return io.BufferedWriter(raw)

        def link(source: Path, target: Path) -> None:
            if not hard_links:
                raise PermissionError
            real["link"](source, target)
            self.operations.append(Name(Path(target).name, Path(target).stat().st_ino))

        def replace(source: Path, target: Path) -> None:
            real["replace"](source, target)
            self.operations.append(Name(Path(target).name, Path(target).stat().st_ino))
            self.operations.append(Name(Path(source).name, None))

        def unlink(path: Path) -> None:
            real["unlink"](path)
            self.operations.append(Name(Path(path).name, None))

        def fsync(descriptor: int) -> None:
            real["fsync"](descriptor)
            status = os.fstat(descriptor)
            self.operations.append(Sync(None if stat.S_ISDIR(status.st_mode) else status.st_ino))

        monkeypatch.setattr(io, "open", open_recorded)
        for name, function in {
            "link": link, "replace": replace, "unlink": unlink, "fsync": fsync
        }.items():  # fmt: skip
            monkeypatch.setattr(os, name, function)


def _inode(file: io.FileIO) -> int:
    return os.fstat(file.fileno()).st_ino


@dataclass(frozen=True)
class Disk:
    """What a folder holds for certain."""

    names: dict[str, int]
    files: dict[int, bytes]  # by inode

    @classmethod
    def of(cls, folder: Path) -> "Disk":
        paths = {path: path.stat().st_ino for path in folder.iterdir()}
        return cls(
            names={path.name: inode for path, inode in paths.items()},
            files={inode: path.read_bytes() for path, inode in paths.items()},
        )

    @property
    def content(self) -> Content:
        return {name: self.files.get(file, b"") for name, file in self.names.items()}

    def after(self, operations: Iterable[Operation]) -> "Disk":
        names, files = dict(self.names), dict(self.files)
        for operation in operations:
            if isinstance(operation, Write):
                before = files.get(operation.file, b"").ljust(operation.offset, b"\0")
                after = before[operation.offset + len(operation.data) :]
                files[operation.file] = before[: operation.offset] + operation.data + after
            elif isinstance(operation, Name) and operation.file is not None:
                names[operation.name] = operation.file
            elif isinstance(operation, Name):
                names.pop(operation.name, None)
        return Disk(names, files)


def after_power_loss(before: Disk, done: list[Operation]) -> Iterator[Content]:
    """Yield what may be there after these operations and no shutdown."""
    is_certain = [
        isinstance(operation, Sync) or any(_makes_certain(sync, operation) for sync in done[i:])
        for i, operation in enumerate(done)
    ]
    for kept in itertools.product([True, False], repeat=is_certain.count(False)):
        choice = iter(kept)
        chosen = [operation for i, operation in enumerate(done) if is_certain[i] or next(choice)]
        yield before.after(chosen).content


def _makes_certain(sync: Operation, operation: Operation) -> bool:
    written = operation.file if isinstance(operation, Write) else None
    return isinstance(sync, Sync) and sync.file == written


@dataclass(frozen=True)
class Saved:
    """A save: what it did, to what."""

    before: Disk
    operations: list[Operation]

    def states(self) -> Iterator[Content]:
        """Yield every content that may be there after a power failure at any moment."""
        seen = set[tuple[tuple[str, bytes], ...]]()
        for length in range(len(self.operations) + 1):
            for content in after_power_loss(self.before, self.operations[:length]):
                key = tuple(sorted(content.items()))
                if key not in seen:
                    seen.add(key)
                    yield content

    @property
    def after(self) -> Content:
        return self.before.after(self.operations).content


@dataclass(frozen=True)
class Runs:
    """Two runs alike, of one epoch and of two."""

    first: RunFolder
    second: RunFolder


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    place = tmp_path_factory.mktemp("runs")
    config = write_config(place / "c.yaml", "adam", "constant")
    folders = [RunFolder(place / str(epochs)) for epochs in (1, 2)]
    for folder in folders:
        prepared = prepare(load_config(config, [f"training.epochs={folder.path.name}"]))
        for _ in train(prepared, run_dir=folder.path):
            pass
    return Runs(*folders)


def save(
    runs: Runs, folder: Path, monkeypatch: pytest.MonkeyPatch, *, hard_links: bool = True
) -> Saved:
    """Add a line of metrics and save the second run's state in a copy of the first's folder."""
    captured = load_checkpoint(runs.second.last), load_checkpoint(runs.second.best)
    path = folder / "metrics.jsonl"
    metrics = LinesFile(path, path.stat().st_size)
    shutil.copytree(folder, folder.with_name("held"), copy_function=os.link)  # no inode comes again
    recorder = Recorder(folder)
    before = Disk.of(folder)
    with monkeypatch.context() as patch:
        recorder.record(patch, hard_links=hard_links)
        metrics.append(epoch_line(LINE))
        with closing(Saver(RunFolder(folder), metrics, CheckpointConfig())) as saver:
            saver.save(lambda: captured)
            saver.wait()
    saved = Saved(before, recorder.operations)
    assert saved.after == Disk.of(folder).content, "an operation was missed"
    return saved


@pytest.fixture
def folder(runs: Runs, tmp_path: Path) -> Path:
    """A folder in which the first run has saved twice."""
    folder = tmp_path / "r"
    shutil.copytree(runs.first.path, folder)
    shutil.copy(folder / "best.safetensors", folder / "previous.safetensors")
    return folder


class Judge:
    """Which checkpoints are whole."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._epochs: dict[bytes | None, int | None] = {None: None}

    def epoch(self, content: Content, name: str) -> int | None:
        """Return the epoch that a checkpoint is of; None where it is missing or not whole."""
        raw = content.get(f"{name}.safetensors")
        if raw not in self._epochs:
            assert raw is not None
            self._place.write_bytes(raw)
            try:
                self._epochs[raw] = load_checkpoint(self._place).epoch
            except CheckpointError:
                self._epochs[raw] = None
        return self._epochs[raw]


@pytest.fixture
def judge(tmp_path: Path) -> Judge:
    return Judge(tmp_path / "judged.safetensors")


def test_what_is_recorded_is_a_whole_save(
    runs: Runs, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = save(runs, folder, monkeypatch)
    assert {type(operation) for operation in saved.operations} == {Write, Name, Sync}
    states = list(saved.states())
    assert len(states) > 20  # that differ
    assert saved.before.content in states
    assert saved.after in states


def test_last_and_best_are_whole_whenever_the_power_fails(
    runs: Runs, folder: Path, monkeypatch: pytest.MonkeyPatch, judge: Judge
) -> None:
    for content in save(runs, folder, monkeypatch).states():
        last, best = judge.epoch(content, "last"), judge.epoch(content, "best")
        assert last in (1, 2)
        assert best in (1, last)  # to go on from last is to have its best


def test_the_one_before_the_last_is_whole_too(
    runs: Runs, folder: Path, monkeypatch: pytest.MonkeyPatch, judge: Judge
) -> None:
    for content in save(runs, folder, monkeypatch).states():
        assert judge.epoch(content, "previous") == 1


def test_a_saved_state_has_its_lines_of_metrics(
    runs: Runs, folder: Path, monkeypatch: pytest.MonkeyPatch, judge: Judge
) -> None:
    saved = save(runs, folder, monkeypatch)
    for content in saved.states():
        if judge.epoch(content, "last") == 2:
            assert content["metrics.jsonl"] == saved.after["metrics.jsonl"]


def test_what_was_waited_for_is_on_the_disk(
    runs: Runs, folder: Path, monkeypatch: pytest.MonkeyPatch, judge: Judge
) -> None:
    saved = save(runs, folder, monkeypatch)
    for content in after_power_loss(saved.before, saved.operations):
        assert [judge.epoch(content, name) for name in ("last", "best")] == [2, 2]


def test_a_first_save_is_there_whole_or_not_at_all(
    runs: Runs, folder: Path, monkeypatch: pytest.MonkeyPatch, judge: Judge
) -> None:
    for name in ("last", "best", "previous"):
        (folder / f"{name}.safetensors").unlink()
    for content in save(runs, folder, monkeypatch).states():
        for name in ("last", "best"):
            if f"{name}.safetensors" in content:
                assert judge.epoch(content, name) == 2


def test_without_hard_links_the_last_or_the_one_before_is_whole(
    runs: Runs, folder: Path, monkeypatch: pytest.MonkeyPatch, judge: Judge
) -> None:
    saved = save(runs, folder, monkeypatch, hard_links=False)
    for content in saved.states():
        assert {judge.epoch(content, "last"), judge.epoch(content, "previous")} & {1, 2}
