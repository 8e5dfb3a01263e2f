"""`dlcli evaluate`: metrics with a run's best weights, on its held-out rows or on a file."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.columns.bad_cells import CellError
from dlcli.columns.unseen import UnseenCells, refuse_mostly_unseen, unseen_by_both
from dlcli.config import LoadedConfig, load_config
from dlcli.config.sections.data import DataConfig
from dlcli.data.dataset import (
    encode_rows,
    judged_rows,
    load_tables,
    load_windows,
    open_stream,
)
from dlcli.data.encoding import encode_blocks
from dlcli.data.fitting import check_stream
from dlcli.data.image_checksums import images_checksum, images_key, table_key
from dlcli.data.memory_estimate import exceeds_memory
from dlcli.data.splits import PARTS
from dlcli.data.stream import Stream, drain
from dlcli.data.text_files import recognition_notes
from dlcli.data.windows.baselines import simple_baselines
from dlcli.data.windows.fitting import all_windows
from dlcli.errors import CheckpointError, ConfigError, DataError
from dlcli.explaining.forecasts.scores import score, score_baselines
from dlcli.runs.folder.run_folder import RunFolder, find_checkpoint
from dlcli.runs.folds.ensemble_file import Ensemble, read_ensemble
from dlcli.runs.folds.predicted_rows import PredictedRows, rows_to_judge
from dlcli.runs.restore import Restored, restore
from dlcli.runs.unused_settings import refuse_unused_options
from dlcli.tables.reading import checksum, read_table
from dlcli.tables.sources import DataPath, Source, find_source
from dlcli.tables.text.text_format import TextFormat
from dlcli.training.evaluation import compute_predictions, evaluate
from dlcli.training.objective import build_objective
from dlcli.training.rows.batches import Rows, to_rows
from dlcli.training.rows.parts import in_order, rows_on

AnyRows = Rows | Iterator[Rows]  # all at once, or block by block


@dataclass(frozen=True)
class EvaluatedRows:
    """Rows with their target, by part of the data."""

    parts: dict[str, AnyRows]
    notes: list[str]
    unseen: list[UnseenCells]
    baselines: dict[str, dict[str, Any]] = field(default_factory=dict)  # of forecasts, by part


@dataclass(frozen=True)
class Evaluation:
    """Metrics by part of the data, notes on its rows, and cells that training had not seen."""

    figures: dict[str, Any]
    notes: list[str]
    unseen: list[UnseenCells]


def evaluate_run(
    run: Path,
    data: DataPath | None = None,
    *,
    said: DataConfig,
    is_strict: bool = False,
) -> Evaluation:
    """Return metrics by part of the data.

    Without `data`, the parts are the run's `validation` and `test` rows; with it, `data` are all
    rows that it names. `said` holds how they are written, what is read of them in place of what
    training read, and a column that weighs rows in place of the run's, or none; nothing of the
    run's own rows, which are split as they were: by their weights, too. Raises CheckpointError,
    ConfigError, DataError, StorageError; DataError also, if it `is_strict`, for a column that holds
    almost nothing that training saw.
    """
    if data is None and (keys := sorted(said.model_fields_set - {"path", "target"})):
        raise ConfigError(
            f"--set data.{keys[0]}: says how DATA is read, and the run's own rows are read and "
            "weighted as in training; name the file to evaluate on"
        )
    ensemble = read_ensemble(run)
    if ensemble is not None:
        return _evaluate_ensemble(run, ensemble, data, said, is_strict=is_strict)
    path = find_checkpoint(run)
    restored = restore(path)
    trained = restored.fitted.weight
    if is_strict and restored.fitted.window is not None:
        raise ConfigError("--strict: no cells of forecasts count as unseen; leave it out")
    if "weight" in said.model_fields_set:
        restored = _reweighted(restored, said.weight)
    if data is None:
        rows = _held_out_rows(path, restored, is_strict=is_strict)
        if not rows.parts:
            raise DataError(
                f"{run}: this run has no validation or test rows; name a file to evaluate on"
            )
    else:
        selection = said.selection.over(restored.checkpoint.config.data.selection)
        source = restored.fitted.as_named_in_training(find_source(data, selection=selection))
        refuse_unused_options(said, source)
        try:
            rows = _rows_of_source(restored, source, said.text_format)
        except CellError as error:  # its repairs for training are none here
            raise DataError(f"{error.what}; {error.new_file}") from None
    if is_strict:
        refuse_mostly_unseen(rows.unseen)
    target, placement = restored.fitted.target, restored.placement
    objective = build_objective(restored.loss, target, placement.device)
    temperature = restored.temperature
    figures = {
        name: evaluate(
            restored.network,
            objective,
            part,
            target=target,
            placement=placement,
            temperature=None if name == "validation" else temperature,  # it was found on these
        )
        for name, part in rows.parts.items()
    }
    for name, found in rows.baselines.items():
        figures[name]["baselines"] = found
    notes = [*_weight_notes(restored.fitted.weight, trained), *rows.notes]
    if temperature is not None:
        without = ", but for the validation rows that it was found on" if data is None else ""
        notes.append(f"figures are with the run's temperature, {temperature:.3g}{without}")
    return Evaluation(figures, notes, rows.unseen)


def _evaluate_ensemble(
    run: Path, ensemble: Ensemble, data: DataPath | None, said: DataConfig, *, is_strict: bool
) -> Evaluation:
    """Do what `evaluate_run` does with the mean of an ensemble's predictions.

    Without `data`, the part "validation" is the rows that folds held out, as the run predicted
    them; "test" is predicted anew.
    """
    members = [(restore(path), weight) for path, weight in ensemble.members]
    first, trained = members[0][0], members[0][0].fitted.weight
    if "weight" in said.model_fields_set:
        first = _reweighted(first, said.weight)
    if first.fitted.window is not None:
        return _evaluate_forecasts(run, members, data, said)
    figures: dict[str, Any] = {}
    notes: list[str] = []
    if data is None:
        loaded = config_of_run(RunFolder(run).best, first)
        tables = load_tables(loaded)
        summary = json.loads(RunFolder(run).summary.read_text("utf-8"))
        figures["validation"] = summary["validation"]
        parts = {"test": tables["test"]} if "test" in tables else {}
    else:
        selection = said.selection.over(first.checkpoint.config.data.selection)
        source = first.fitted.as_named_in_training(find_source(data, selection=selection))
        refuse_unused_options(said, source)
        config = first.checkpoint.config.data
        try:
            rows, notes = judged_rows(first.fitted, source, config, said.text_format)
        except CellError as error:
            raise DataError(f"{error.what}; {error.new_file}") from None
        parts = {"data": rows}
    unseen: list[UnseenCells] = []
    for name, rows in parts.items():
        predictions: list[np.ndarray] = []
        each_unseen: list[list[UnseenCells]] = []
        for member, weight in members:
            try:
                inputs, cells = member.fitted.encode_inputs(rows)
            except CellError as error:
                raise DataError(f"{error.what}; {error.new_file}") from None
            target = member.fitted.target
            of_member = compute_predictions(
                member.network, inputs, member.placement, member.loss, target
            )
            predictions.append(weight * of_member)
            each_unseen.append(cells)
        fitted = first.fitted.model_copy(update={"target": ensemble.target})
        judged = rows_to_judge(rows, fitted, first.loss, None)
        figures[name] = judged.figures(sum(predictions[1:], predictions[0]))
        of_all = each_unseen[0]
        for cells in each_unseen[1:]:
            of_all = unseen_by_both(of_all, cells)
        unseen += of_all
    if is_strict:
        refuse_mostly_unseen(unseen)
    return Evaluation(figures, [*_weight_notes(first.fitted.weight, trained), *notes], unseen)


def _evaluate_forecasts(
    run: Path,
    members: Sequence[tuple[Restored, float]],
    data: DataPath | None,
    said: DataConfig,
) -> Evaluation:
    """Do what `_evaluate_ensemble` does with forecasts."""
    first, total = members[0][0], None
    figures: dict[str, Any] = {}
    notes: list[str] = []
    if data is None:
        loaded = config_of_run(RunFolder(run).best, first)
        figures["validation"] = json.loads(RunFolder(run).summary.read_text("utf-8"))["validation"]
        if not loaded.config.data.split.test:
            return Evaluation(figures, notes, [])
    else:
        config = first.checkpoint.config.data
        source = find_source(data, selection=said.selection.over(config.selection))
        refuse_unused_options(said, source)
        table = read_table(source, first.fitted.text_format(said.text_format))
        notes += recognition_notes([table])
    for member, weight in members:
        fitted = member.fitted
        if data is None:
            windows = load_windows(loaded, fitted)["test"]
        else:
            windows = all_windows(fitted, table, config)[0]
        found = weight * compute_predictions(
            member.network, windows.inputs, member.placement, member.loss, fitted.target
        )
        total = found if total is None else total + found
    assert total is not None, "an ensemble has members"
    encoded = windows.targets[fitted.target.field]
    judged = PredictedRows(first.loss, fitted.target, encoded)
    figures["test" if data is None else "data"] = judged.figures(total)
    return Evaluation(figures, notes, [])


def _reweighted(restored: Restored, weight: str | None) -> Restored:
    """Return a network whose rows count as much as another column says; None: once each."""
    fitted, checkpoint = restored.fitted, restored.checkpoint
    if weight in (fitted.target.name, *(column.name for column in fitted.columns)):
        what = "target" if weight == fitted.target.name else "feature"
        raise ConfigError(
            f"--set data.weight={weight}: '{weight}' is a {what} of this run; name a column that "
            "says how much each row counts, or null"
        )
    data = checkpoint.config.data.model_copy(update={"weight": weight})
    config = checkpoint.config.model_copy(update={"data": data})
    return replace(
        restored,
        fitted=fitted.model_copy(update={"weight": weight}),
        checkpoint=replace(checkpoint, config=config),
    )


def _weight_notes(weight: str | None, trained: str | None) -> Iterator[str]:
    """Say which column weighs rows, if one does now or did in training."""
    if weight is not None:
        yield f"rows count as much as '{weight}' says (data.weight)"
    elif trained is not None:
        yield f"each row counts once; in training, it counted as '{trained}' says (data.weight)"


def _rows_of_source(restored: Restored, source: Source, said: TextFormat) -> EvaluatedRows:
    """Return a source's rows, encoded at once, or block by block if memory is short."""
    fitted, config = restored.fitted, restored.checkpoint.config.data
    if fitted.window is not None:
        table = read_table(source, fitted.text_format(said))
        windows, notes = all_windows(fitted, table, config)
        all_rows = in_order(rows_on(windows, restored.placement.device))
        simple = simple_baselines(fitted, windows.series)
        scores = {"data": score(simple, fitted.target, windows)}
        notes = [*recognition_notes([table]), *notes]
        return EvaluatedRows({"data": all_rows}, notes, [], scores)
    reason = exceeds_memory([source], config)
    if reason is None:
        part, notes, unseen = encode_rows(fitted, source, config, said)
        return EvaluatedRows({"data": to_rows(part, restored.placement.device)}, notes, unseen)
    form = fitted.text_format(said)
    stream = Stream(config, {"test_path": source}, seed=0, form=form)
    notes, unseen = drain(check_stream(fitted, stream))
    notes.insert(0, f"metrics are accumulated block by block: {reason}")
    return EvaluatedRows({"data": _blocks(restored, stream, "test")}, notes, unseen)


def _held_out_rows(path: Path, restored: Restored, *, is_strict: bool) -> EvaluatedRows:
    """Return a run's validation and test rows, of each part that is not empty.

    Of streamed rows, what is unseen takes a pass over the files, which is made if it `is_strict`.
    """
    loaded = config_of_run(path, restored)
    device = restored.placement.device
    if restored.fitted.window is not None:
        parts = load_windows(loaded, restored.fitted)
        held_out = {name: part for name, part in parts.items() if name != "train"}
        windows: dict[str, AnyRows] = {}
        for name, part in held_out.items():
            windows[name] = in_order(rows_on(part, device))
        scores = score_baselines(restored.fitted, parts, [*held_out])
        return EvaluatedRows(windows, [], [], scores)
    if loaded.config.data.streaming is not True:
        held: dict[str, AnyRows] = {}
        unseen: list[UnseenCells] = []
        for name, rows in load_tables(loaded).items():
            if name != "train":
                examples, more = restored.fitted.encode(rows)
                held[name] = to_rows(examples, device)
                unseen += more
        return EvaluatedRows(held, [], unseen)
    stream = open_stream(loaded)
    unseen = drain(check_stream(restored.fitted, stream))[1] if is_strict else []
    blocks = {name: _blocks(restored, stream, name) for name in PARTS if name != "train"}
    firsts = {name: next(some, None) for name, some in blocks.items()}
    streamed = {
        name: chain([first], blocks[name]) for name, first in firsts.items() if first is not None
    }
    return EvaluatedRows({**streamed}, [], unseen)


def _blocks(restored: Restored, stream: Stream, part: str) -> Iterator[Rows]:
    """Yield the rows of one part, encoded on demand."""
    for block in encode_blocks(restored.fitted, stream, [part]):
        yield to_rows(block.examples, restored.placement.device)


def config_of_run(path: Path, restored: Restored) -> LoadedConfig:
    """Return the config that a run was trained with, its data files where config.yaml has them.

    All else is the checkpoint's: edits of the file change no rows. Raises DataError if the data
    has changed since training.
    """
    config = RunFolder(path.parent).config
    if not config.is_file():
        raise CheckpointError(f"{path}: there is no {config.name} beside it, which names the data")
    loaded, trained = load_config(config), restored.checkpoint.config
    checksums = restored.checkpoint.checksums
    files = {key: getattr(loaded.config.data, key) for key in map(table_key, checksums)}
    for key in files:
        source = find_source(files[key], loaded.folder, trained.data.selection)
        if checksum(source) != checksums[key]:
            raise DataError(
                f"{source}: changed since the run was trained, so its held-out rows are unknown; "
                "name a file to evaluate on"
            )
        expected = checksums.get(images_key(key))  # none of a version that looked at tables alone
        if expected is None:
            continue
        if images_checksum(restored.fitted, source, trained.data.text_format) != expected:
            raise DataError(
                f"{source}: images that it names changed since the run was trained; name a file "
                "to evaluate on"
            )
    data = trained.data.model_copy(update=files)
    if data.streaming == "auto":  # a run of a version that could not stream
        data = data.model_copy(update={"streaming": False})
    return replace(loaded, config=trained.model_copy(update={"data": data}))
