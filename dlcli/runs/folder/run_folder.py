"""The run folder: file names, creating it, finding checkpoints, writing config and summary."""

import json
import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dlcli.config import Config, LoadedConfig, dump_config, load_config
from dlcli.errors import CheckpointError, ConfigError, StorageError
from dlcli.files import atomic_file
from dlcli.tables.sources import moved

RUNS = Path("runs")


@dataclass(frozen=True)
class RunFolder:
    """The files of a run."""

    path: Path

    @property
    def config(self) -> Path:
        """The resolved config."""
        return self.path / "config.yaml"

    @property
    def metrics(self) -> Path:
        """One JSON object per epoch, one per line."""
        return self.path / "metrics.jsonl"

    @property
    def best(self) -> Path:
        """The checkpoint of the best epoch: only the network."""
        return self.path / "best.safetensors"

    @property
    def last(self) -> Path:
        """The last checkpoint: the network and the state of the run."""
        return self.path / "last.safetensors"

    @property
    def previous(self) -> Path:
        """The checkpoint before the last."""
        return self.path / "previous.safetensors"

    @property
    def damaged(self) -> Path:
        """A last checkpoint that was damaged, set aside."""
        return self.path / "damaged.safetensors"

    @property
    def runs(self) -> Path:
        """The finished runs of a comparison: one JSON object per line."""
        return self.path / "runs.jsonl"

    @property
    def stacks(self) -> Path:
        """Which of them were stacked with each other."""
        return self.path / "stacks.jsonl"

    @property
    def fold_trials(self) -> Path:
        """The finished trials of an ensemble's folds: one JSON object per line."""
        return self.path / "folds.jsonl"

    @property
    def members(self) -> Path:
        """The networks of an ensemble."""
        return self.path / "members"

    @property
    def ensemble(self) -> Path:
        """Which networks an ensemble has, and how much each counts, as JSON."""
        return self.path / "ensemble.json"

    @property
    def out_of_fold(self) -> Path:
        """The predictions of an ensemble for the rows that its folds hold out."""
        return self.path / "out_of_fold.parquet"

    @property
    def comparison(self) -> Path:
        """The results of a comparison, as JSON."""
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
    def rounds(self) -> Path:
        """The rounds of a search: one JSON object per line."""
        return self.path / "rounds.jsonl"

    @property
    def search(self) -> Path:
        """The results of a search, as JSON."""
        return self.path / "search.json"

    @property
    def trials(self) -> Path:
        """The settings that a search tried, a row each."""
        return self.path / "trials.csv"

    @property
    def best_config(self) -> Path:
        """A config for `dlcli train` with the best settings of a search."""
        return self.path / "best.yaml"

    @property
    def found_rate(self) -> Path:
        """The results of a learning-rate range test, as JSON."""
        return self.path / "find_lr.json"

    @property
    def rates(self) -> Path:
        """The losses of every step of a learning-rate range test."""
        return self.path / "find_lr.parquet"

    @property
    def inside(self) -> Path:
        """Activation and gradient statistics during training, one JSON object per line."""
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
        """The lock file, with the process that holds it."""
        return self.path / ".lock"

    @property
    def holds_work(self) -> bool:
        """Whether something was saved here that can be resumed or used."""
        return any(
            path.exists()
            for path in (self.last, self.best, self.runs, self.found_rate, self.fold_trials)
        )

    @property
    def is_empty(self) -> bool:
        """Whether no run has left anything here."""
        return all(path == self.lock for path in self.path.iterdir())

    @property
    def summary(self) -> Path:
        """The final metrics, as JSON."""
        return self.path / "summary.json"


def make_run_folder(requested: Path | None, name: str) -> RunFolder:
    """Create the requested folder if it doesn't exist, or the next free `runs/NAME/001`.

    Raises StorageError if that fails.
    """
    try:
        if requested is not None:
            requested.mkdir(parents=True, exist_ok=True)
            return RunFolder(requested)
        parent = RUNS / name
        parent.mkdir(parents=True, exist_ok=True)
        taken = [int(path.name) for path in parent.iterdir() if path.name.isdecimal()]
        number = max(taken, default=0) + 1
        while True:
            try:
                (parent / f"{number:03}").mkdir()
            except FileExistsError:  # another run has just created it
                number += 1
            else:
                return RunFolder(parent / f"{number:03}")
    except OSError as error:
        place = requested or RUNS / name
        raise StorageError(f"{place}: cannot create this folder: {error.strerror}") from None


def resume_command(folder: RunFolder) -> str:
    """Return the command that resumes a folder's run."""
    config, path = shlex.quote(str(folder.config)), shlex.quote(str(folder.path))
    return f"dlcli train {config} --run-dir {path} --resume"


def with_streaming_of_run(loaded: LoadedConfig, run: Path) -> LoadedConfig:
    """Return the config with the folder's choice for `data.streaming: auto`.

    A resumed run streams its rows, or keeps them in memory, whatever the memory of this machine.
    """
    config, data = RunFolder(run).config, loaded.config.data
    if data.streaming != "auto" or not config.is_file():
        return loaded
    is_streamed = load_config(config).config.data.streaming is True
    data = data.model_copy(update={"streaming": is_streamed})
    return replace(loaded, config=loaded.config.model_copy(update={"data": data}))


def with_shards(loaded: LoadedConfig, num_processes: int, run: Path | None) -> LoadedConfig:
    """Return the config with shards for so many processes, where it does not say how many.

    A resumed run, whose folder is given, has the shards that it had. Raises ConfigError where they
    can't be shared out among the processes.
    """
    training = loaded.config.training
    shards = training.shards
    is_resumed = run is not None and RunFolder(run).config.is_file()
    if "shards" not in training.model_fields_set:
        shards = num_processes
        if run is not None and is_resumed:
            shards = load_config(RunFolder(run).config).config.training.shards
    if shards % num_processes:
        fitting = [str(number) for number in range(1, shards + 1) if shards % number == 0]
        raise ConfigError(
            f"{num_processes} processes can't share training.shards: {shards} evenly; take "
            f"{' or '.join(fitting)}"
            + ("" if is_resumed else ", or set training.shards to a multiple of the processes")
        )
    training = training.model_copy(update={"shards": shards})
    return replace(loaded, config=loaded.config.model_copy(update={"training": training}))


def find_checkpoint(run: Path) -> Path:
    """Return the checkpoint that RUN names: the file itself, or the best one of a run folder."""
    if run.suffix in (".yaml", ".yml"):
        raise CheckpointError(
            f"{run}: a config, not a run; train it first, or predict with --untrained"
        )
    if run.is_file():
        return run
    folder = RunFolder(run)
    if folder.best.is_file():
        return folder.best
    if folder.fold_trials.is_file():
        raise CheckpointError(
            f"{run}: an ensemble, not a single network; name one of those in {folder.members}"
            if folder.ensemble.is_file()
            else f"{run}: not all of its folds are done; resume it: {resume_command(folder)}"
        )
    if folder.last.is_file():
        raise CheckpointError(
            f"{run}: no epoch of this run is done yet; resume it, or name {folder.last}"
        )
    if run.is_dir():
        inside = sorted(path.parent for path in run.glob(f"*/{folder.best.name}"))
        hint = f"; did you mean {inside[-1]}?" if inside else ""
        raise CheckpointError(f"{run}: not a run folder: it has no {folder.best.name}{hint}")
    raise CheckpointError(f"{run}: no such run folder or checkpoint")


def write_config(folder: RunFolder, config: Config, config_folder: Path) -> None:
    """Write the resolved config, with paths relative to the run folder."""
    with atomic_file(folder.config) as file:
        file.write(dump_config(move_paths(config, config_folder, folder.path)).encode())


def write_summary(folder: RunFolder, summary: dict[str, Any]) -> None:
    """Write the summary."""
    with atomic_file(folder.summary) as file:
        file.write(json.dumps(summary, indent=2, allow_nan=False).encode() + b"\n")


def move_paths(config: Config, source: Path, destination: Path) -> Config:
    """Return the same config, its paths relative to another folder."""
    paths = {
        key: moved(path, source, destination)
        for key in ("path", "validation_path", "test_path")
        if (path := getattr(config.data, key)) is not None
    }
    model = config.model
    if model.start_from is not None:
        start = moved(model.start_from, source, destination)
        model = model.model_copy(update={"start_from": start})
    model = model.with_moved_files(source, destination)
    return config.model_copy(update={"data": config.data.model_copy(update=paths), "model": model})
