"""The folder that a run leaves: names, making it, reading it back."""

import json
import os
import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dlcli.config import Config, LoadedConfig, dump_config, load_config
from dlcli.config.sections.data import DataConfig
from dlcli.errors import CheckpointError, StorageError
from dlcli.files import atomic_file

RUNS = Path("runs")


@dataclass(frozen=True)
class RunFolder:
    """A run's files."""

    path: Path

    @property
    def config(self) -> Path:
        """The resolved config."""
        return self.path / "config.yaml"

    @property
    def metrics(self) -> Path:
        """One JSON object a line, one line an epoch."""
        return self.path / "metrics.jsonl"

    @property
    def best(self) -> Path:
        """The checkpoint of the best epoch: the network alone."""
        return self.path / "best.safetensors"

    @property
    def last(self) -> Path:
        """The last checkpoint: the network and the state of the run."""
        return self.path / "last.safetensors"

    @property
    def previous(self) -> Path:
        """The one before the last."""
        return self.path / "previous.safetensors"

    @property
    def damaged(self) -> Path:
        """A last checkpoint that could not be used, put aside."""
        return self.path / "damaged.safetensors"

    @property
    def runs(self) -> Path:
        """The finished runs of a comparison: one JSON object a line, one line a run."""
        return self.path / "runs.jsonl"

    @property
    def comparison(self) -> Path:
        """What a comparison came to, as JSON."""
        return self.path / "comparison.json"

    @property
    def curves(self) -> Path:
        """The losses of every epoch of every run of a comparison."""
        return self.path / "curves.parquet"

    @property
    def recommended(self) -> Path:
        """A config for `dlcli train` with the optimizer that a comparison recommends."""
        return self.path / "recommended.yaml"

    @property
    def found_rate(self) -> Path:
        """What a learning-rate range test came to, as JSON."""
        return self.path / "find_lr.json"

    @property
    def rates(self) -> Path:
        """The losses of every step of a learning-rate range test."""
        return self.path / "find_lr.parquet"

    @property
    def inside(self) -> Path:
        """What was seen inside of the network while it trained, a line for each look."""
        return self.path / "inside.jsonl"

    @property
    def snapshots(self) -> Path:
        """The weights after some epochs, as EPOCH/PARAMETER."""
        return self.path / "snapshots.safetensors"

    @property
    def report(self) -> Path:
        """The page about the run."""
        return self.path / "report.html"

    @property
    def lock(self) -> Path:
        """The file that says who is at work here."""
        return self.path / ".lock"

    @property
    def holds_work(self) -> bool:
        """Whether something was saved here that a run could go on from, or that others can use."""
        return any(path.exists() for path in (self.last, self.best, self.runs, self.found_rate))

    @property
    def is_empty(self) -> bool:
        """Whether no run has left anything here."""
        return all(path == self.lock for path in self.path.iterdir())

    @property
    def summary(self) -> Path:
        """The figures, as JSON."""
        return self.path / "summary.json"


def make_run_folder(wanted: Path | None, name: str) -> RunFolder:
    """Make the folder asked for, if it isn't there, or the next free `runs/NAME/001`.

    Raises StorageError where none can be made.
    """
    try:
        if wanted is not None:
            wanted.mkdir(parents=True, exist_ok=True)
            return RunFolder(wanted)
        parent = RUNS / name
        parent.mkdir(parents=True, exist_ok=True)
        taken = [int(path.name) for path in parent.iterdir() if path.name.isdecimal()]
        number = max(taken, default=0) + 1
        while True:
            try:
                (parent / f"{number:03}").mkdir()
            except FileExistsError:  # another run was quicker
                number += 1
            else:
                return RunFolder(parent / f"{number:03}")
    except OSError as error:
        place = wanted or RUNS / name
        raise StorageError(f"{place}: cannot make this folder: {error.strerror}") from None


def resume_command(folder: RunFolder) -> str:
    """Return the command that goes on with a folder's run."""
    config, path = shlex.quote(str(folder.config)), shlex.quote(str(folder.path))
    return f"dlcli train {config} --run-dir {path} --resume"


def as_begun(loaded: LoadedConfig, run: Path) -> LoadedConfig:
    """Return a config that streams its rows, or holds them, as the folder's run does.

    What `data.streaming: auto` chose is the run's, whatever the memory of this machine.
    """
    config, data = RunFolder(run).config, loaded.config.data
    if data.streaming != "auto" or not config.is_file():
        return loaded
    is_streamed = load_config(config).config.data.streaming is True
    data = data.model_copy(update={"streaming": is_streamed})
    return replace(loaded, config=loaded.config.model_copy(update={"data": data}))


def find_checkpoint(run: Path) -> Path:
    """Return the checkpoint that RUN means: a file as it is, a run folder's best one."""
    if run.suffix in (".yaml", ".yml"):
        raise CheckpointError(
            f"{run}: a config, not a run; train it first, or ask its untrained network: --untrained"
        )
    if run.is_file():
        return run
    folder = RunFolder(run)
    if folder.best.is_file():
        return folder.best
    if folder.last.is_file():
        raise CheckpointError(
            f"{run}: no epoch of this run is done yet; go on with it, or name {folder.last}"
        )
    if run.is_dir():
        inside = sorted(path.parent for path in run.glob(f"*/{folder.best.name}"))
        hint = f"; did you mean {inside[-1]}?" if inside else ""
        raise CheckpointError(f"{run}: no run folder: it has no {folder.best.name}{hint}")
    raise CheckpointError(f"{run}: there is no such run folder or checkpoint")


def write_config(folder: RunFolder, config: Config, config_folder: Path) -> None:
    """Write the resolved config, its data paths as seen from the run folder."""
    moved = move_paths(config.data, config_folder, folder.path)
    with atomic_file(folder.config) as file:
        file.write(dump_config(config.model_copy(update={"data": moved})).encode())


def write_summary(folder: RunFolder, summary: dict[str, Any]) -> None:
    """Write the figures."""
    with atomic_file(folder.summary) as file:
        file.write(json.dumps(summary, indent=2, allow_nan=False).encode() + b"\n")


def move_paths(data: DataConfig, source: Path, destination: Path) -> DataConfig:
    """Return the same data, its relative paths starting from another folder."""
    moved = {
        key: os.path.relpath(source.resolve() / path, destination.resolve())
        for key in ("path", "validation_path", "test_path")
        if (path := getattr(data, key)) is not None and not Path(path).is_absolute()
    }
    return data.model_copy(update=moved)
