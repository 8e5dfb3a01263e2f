"""Resuming: a run folder → the state of its run, if config and data are compatible."""

import math
import platform
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from dlcli import __version__
from dlcli.config import Config
from dlcli.data.image_checksums import table_key
from dlcli.errors import CheckpointError, ConfigError, DataError
from dlcli.runs.folder.run_folder import RunFolder
from dlcli.runs.preparation import Prepared
from dlcli.runs.rates import scheduled_numbers
from dlcli.runs.starting import ENCODING_KEYS
from dlcli.tables.text.text_format import TEXT_KEYS
from dlcli.training.device import Placement
from dlcli.training.early_stopping import Watch
from dlcli.training.loop import Trainer
from dlcli.training.saving.checkpoint import Checkpoint, OtherFormatError, RunSoFar, load_checkpoint
from dlcli.training.saving.state import StateError, restore_state

_DATA_PATHS = ("data.path", "data.validation_path", "data.test_path")  # their content is compared
_START = "model.start_from"  # a resumed run goes on from weights of its own
# What fits any layers, whatever weights they begin with.
_FREEZE = "model.freeze"
_FITTING = (_FREEZE, "model.start_lr_factor")
# What weights are made for: a run with others can't begin with them, or not by every change.
_WEIGHTS_DEPEND_ON = ("model.", *(f"data.{key}" for key in ENCODING_KEYS))
_HARMLESS = (
    *("name", "training.device", "training.engine", "training.threads", "training.max_seconds"),
    *("calibration", "checkpoint.", "compare.", "tune.", "report", "trackers"),
    *(f"data.{key}" for key in TEXT_KEYS),  # data and what is fitted to them are compared
)
_ABSENT = "nothing"


@dataclass(frozen=True)
class Resumed:
    """Where a run resumes, and what its user should know."""

    epoch: int
    num_steps: int  # taken in it
    notes: tuple[str, ...]
    run: RunSoFar


def restore_trainer(
    folder: RunFolder, prepared: Prepared, trainer: Trainer, go_on: str | None = None
) -> Resumed | None:
    """Restore the state of the folder's run in a new trainer; None if nothing was saved yet.

    `go_on` is the command for a new run that begins with the weights of this one.
    Raises CheckpointError if no checkpoint can be used, ConfigError and DataError if the config or
    the data differ from the run's.
    """
    if folder.runs.exists():
        is_search = folder.rounds.exists()
        what = (
            "search; resume it with `dlcli tune"
            if is_search
            else ("comparison; resume it with `dlcli compare-optimizers")
        )
        raise CheckpointError(
            f"{folder.path}: the folder of a {what} --resume`, or name another --run-dir"
        )
    if folder.fold_trials.exists():
        raise CheckpointError(
            f"{folder.path}: the folder of an ensemble; resume it with its own config, "
            f"{folder.config}, or name another --run-dir"
        )
    notes: list[str] = []
    path, checkpoint = _load_newest(folder, notes)
    if checkpoint is None:
        return None
    state, run = checkpoint.state, checkpoint.run
    if state is None or run is None:
        raise CheckpointError(f"{path}: a network without the state of its run: nothing to resume")
    epochs_done = state.numbers.epoch - (state.numbers.num_steps == 0)
    notes += compare_with_saved(
        folder,
        checkpoint.config,
        checkpoint.checksums,
        prepared,
        lambda key: _why_incompatible(key, checkpoint.config, prepared.config, epochs_done),
        go_on,
    )
    _refuse_other_encoding(folder, checkpoint, prepared)
    notes += _surroundings_notes(run.surroundings, surroundings(trainer.placement))
    try:
        restore_state(trainer, state)
    except StateError as error:
        raise CheckpointError(f"{path}: damaged: {error}") from None
    return Resumed(state.numbers.epoch, state.numbers.num_steps, tuple(notes), run)


def surroundings(placement: Placement) -> dict[str, str]:
    """Return what the exact bits of the result depend on, besides config and data."""
    return {
        "dlcli": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.node()} ({platform.machine()})",
        "device": str(placement.device),
        "threads": str(torch.get_num_threads()),
    }


def _load_newest(folder: RunFolder, notes: list[str]) -> tuple[Path, Checkpoint | None]:
    """Return the last checkpoint, or the previous one if the last can't be used."""
    reasons = []
    for path in (folder.last, folder.previous):
        if not path.exists():
            continue
        try:
            checkpoint = load_checkpoint(path)
        except OtherFormatError:
            raise
        except CheckpointError as error:
            reasons.append(str(error))
            continue
        if path == folder.previous and folder.last.exists():
            # It must not replace the intact one when the next is saved.
            folder.last.replace(folder.damaged)
            notes.append(
                f"{reasons[0]}; it was renamed to {folder.damaged.name}, and the run resumes from "
                "the previous checkpoint"
            )
        return path, checkpoint
    if reasons:
        raise CheckpointError("; ".join([*reasons, "start a new run in another --run-dir"]))
    if folder.best.exists():
        raise CheckpointError(
            f"{folder.path}: it has {folder.best.name} but no {folder.last.name} to resume from; "
            "start a new run in another --run-dir"
        )
    return folder.last, None


def compare_with_saved(
    folder: RunFolder,
    was: Config,
    old_checksums: Mapping[str, str],
    prepared: Prepared,
    why_incompatible: Callable[[str], str | None],
    go_on: str | None = None,
) -> Iterator[str]:
    """Yield a note for each compatible change; raise the others, all at once.

    `why_incompatible` returns the reason for a key, possibly empty, and None if the change is
    compatible. `go_on` is the command for a new run with the same changes that begins with the
    weights of this one. Raises ConfigError and DataError.
    """
    now = prepared.config
    config, data = [], []
    for key, (before, after) in differences(
        was.model_dump(mode="json"), now.model_dump(mode="json")
    ):
        if key in _DATA_PATHS or (_says_start(key) and None not in (before, after)):
            continue
        change = f"{key}: {_text(before)} then, {_text(after)} now"
        reason = None if key.startswith(_HARMLESS) else why_incompatible(key)
        if reason is None:
            yield f"changed: {change}"
        else:
            config.append(f"  {change}{reason}")
            fits = key in _FITTING or not key.startswith(_WEIGHTS_DEPEND_ON)
            go_on = go_on if fits else None
    new_checksums = prepared.checksums
    for key in sorted({*old_checksums, *new_checksums}):
        table = table_key(key)
        if key not in old_checksums and table in old_checksums:
            continue  # a run of a version that looked at tables alone
        if old_checksums.get(key) != new_checksums.get(key):
            digests = [_text(sums.get(key, _ABSENT), 12) for sums in (old_checksums, new_checksums)]
            section = "model" if key == "start_from" else "data"
            file = getattr(getattr(now, section), table)
            what = file if key == table else f"the images that {file} names"
            data.append(f"  {section}.{table}: {what}: SHA-256 {digests[0]} then, {digests[1]} now")
    if config or data:
        what = " and ".join(["config"] * bool(config) + ["data"] * bool(data))
        error = ConfigError if config else DataError
        raise error(
            f"{folder.path}: the {what} differs from the run's; resume with the same (its config "
            f"is {folder.config}), or start a new run in another --run-dir:\n"
            + "\n".join([*config, *data])
            + (f"\nto go on from its weights as a new run: {go_on}" if go_on else "")
        )


def _says_start(key: str) -> bool:
    """Say whether a key names weights to begin with, which a resumed run doesn't read again."""
    return key == _START or (key.startswith("model.") and key.endswith("].weights"))


def is_harmless(key: str) -> bool:
    """Say whether a key of the config has no say in what a run computes."""
    return key.startswith(_HARMLESS)


def _refuse_other_encoding(folder: RunFolder, checkpoint: Checkpoint, prepared: Prepared) -> None:
    if checkpoint.fitted != prepared.dataset.fitted:
        raise CheckpointError(
            f"{folder.path}: this version of dlcli, {__version__}, encodes the data differently; "
            "resume with the version that started the run"
        )


def _why_incompatible(key: str, was: Config, now: Config, epochs_done: int) -> str | None:
    """Return why a change would have affected the steps so far; None if it would not."""
    if key == "data.streaming" and was.data.streaming == "auto":
        # A run of a version that could not stream.
        return "" if now.data.streaming else None
    if key == "training.epochs":
        if now.schedule.spreads_over_epochs:
            return f"; schedule {now.schedule.type} depends on the number of epochs"
        changing = [key for key, _ in scheduled_numbers(now)]
        if changing:
            return f"; {changing[0]} depends on the number of epochs"
        if now.training.epochs < epochs_done:
            return f"; {epochs_done} are done already"
        return None
    if key.startswith("training.early_stopping"):
        before = Watch.of(was.training.early_stopping)
        after = Watch.of(now.training.early_stopping)
        if after.metric != before.metric:
            return "; another epoch might be the best so far"
        if _patience(after) < _patience(before) or (
            after.patience is not None
            and (
                after.min_delta != before.min_delta
                or after.patience_factor < before.patience_factor
            )
        ):
            return "; the run might have stopped earlier"
        return None
    return ""


def _patience(watch: Watch) -> float:
    return math.inf if watch.patience is None else watch.patience


def _surroundings_notes(before: dict[str, str], after: dict[str, str]) -> Iterator[str]:
    changed = [
        f"{name} {before.get(name, _ABSENT)} then, {value} now"
        for name, value in after.items()
        if before.get(name) != value
    ]
    if changed:
        yield f"the same bits are no longer promised: {'; '.join(changed)}"


def differences(before: Any, after: Any, key: str = "") -> Iterator[tuple[str, tuple[Any, Any]]]:  # noqa: ANN401
    """Yield the keys of plain data whose values differ, with both."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in dict.fromkeys([*before, *after]):
            inner = f"{key}.{name}" if key else name
            pair = before.get(name), after.get(name)
            yield from differences(*pair, inner)
    elif key == _FREEZE:
        if before != after:
            yield key, (before, after)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, pair in enumerate(zip(before, after, strict=True)):
            yield from differences(*pair, f"{key}[{index}]")
    elif isinstance(before, list) and isinstance(after, list):
        yield key, (f"{len(before)} of them", f"{len(after)} of them")
    elif before != after:
        yield key, (before, after)


def _text(value: Any, length: int = 60) -> str:  # noqa: ANN401
    text = _ABSENT if value is None else str(value)
    return text if len(text) <= length else f"{text[:length]}…"
