"""`dlcli predict`: adds predictions to the rows of a table, block by block."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from torch import nn

from dlcli.columns.bad_cells import BadCells, BadRows, CellError
from dlcli.columns.unseen import UnseenCells, refuse_mostly_unseen, unseen_by_both
from dlcli.data.fitted import FittedData
from dlcli.data.text_files import recognition_notes
from dlcli.errors import ConfigError, DataError, DivergedError
from dlcli.losses import Loss
from dlcli.runs.folds.ensemble_file import find_members
from dlcli.runs.forecasting.predict import forecast
from dlcli.runs.preparation import Prepared
from dlcli.runs.restore import restore
from dlcli.runs.untrained import untrained_network
from dlcli.tables.reading import read_blocks
from dlcli.tables.regrouping import regroup
from dlcli.tables.sources import Selection, Source
from dlcli.tables.table import MisreadError, Table
from dlcli.tables.text.text_format import PLAIN_TEXT, TextFormat
from dlcli.tables.writing import write_blocks
from dlcli.training.device import Placement, choose_placement, configure_torch, memory_explained
from dlcli.training.evaluation import compute_predictions

_SKIPPED = "--bad-rows skip, which leaves the predictions of their rows empty"
_WAY_ON = f"predict with --bad-rows missing, which treats such cells as missing, or {_SKIPPED}"
# The last bits of a prediction can depend on the number of rows that are computed with it.
_MAX_ROWS, _MAX_CELLS = 2**16, 2**22
_MAX_DECODED_BYTES = 2**25
_NOT_FINITE = "without a finite prediction"


@dataclass(frozen=True)
class BadCount:
    """How many cells of a column, or rows, can't be used for one reason, and the first of them."""

    column: str | None  # None: the row as a whole
    reason: str
    count: int
    first: str  # its place
    treatment: str  # what was done about them

    def __str__(self) -> str:
        column = "" if self.column is None else f"column '{self.column}': "
        what = "row" if self.column is None else "cell"
        are = " is" if self.count == 1 else "s are"
        return (
            f"{column}{self.count:,} {what}{are} {self.reason}, {self.treatment}; "
            f"first at {self.first}"
        )


@dataclass(frozen=True)
class PredictedBlock:
    """Rows with the prediction's columns, and what was unusual about them."""

    frame: pl.DataFrame
    unseen: list[UnseenCells]
    bad: list[BadCount]
    num_empty: int  # rows without a prediction
    num_cells: dict[tuple[str, str], int]  # by column and unit, as `UnseenCells` counts them


@dataclass(frozen=True)
class Predictor:
    """A network, trained or not, and how its inputs are encoded and its outputs decoded."""

    network: nn.Module
    fitted: FittedData
    loss: Loss
    placement: Placement
    selection: Selection  # what training read of a database or a workbook
    temperature: float | None = None  # that calibrates probabilities
    share: float = 1.0  # of the predictions, in an ensemble
    others: tuple["Predictor", ...] = ()  # of an ensemble, each with its own encoding

    def predict(self, rows: Table, *, bad_rows: BadRows = "refuse") -> PredictedBlock:
        """Return the rows with the prediction's columns; DataError for rows that don't fit."""
        encoded, filled, inputs, unseen, bad = self._encode(rows, bad_rows)
        has_prediction = np.ones(len(rows), dtype=bool)
        if bad_rows == "skip":
            has_prediction = _without_bad(rows, bad)
        elif bad:
            has_prediction = _without_bad(rows, [cells for cells in bad if cells.is_needed])
        num_cells = self.fitted.count_cells(encoded, inputs)
        predictions = self._compute(inputs)
        for other in self.others:
            inputs, seen_otherwise = other.fitted.encode_inputs(filled, fills=True)
            if encoded is not filled:
                seen_otherwise = other.fitted.encode_inputs(encoded, decodes=False)[1]
            unseen = unseen_by_both(unseen, seen_otherwise)
            predictions = predictions + other._compute(inputs)
        is_finite = np.isfinite(predictions).all(axis=tuple(range(1, predictions.ndim)))
        not_finite = has_prediction & ~is_finite
        if not_finite.any():
            if bad_rows == "refuse":
                raise DivergedError(
                    f"{rows.place(int(not_finite.argmax()))}: the network's prediction is not "
                    "finite: its weights are too large, or the row is far from the training rows; "
                    "--bad-rows skip leaves the predictions of such rows empty"
                )
            has_prediction &= is_finite
            bad = [*bad, BadCells(None, _NOT_FINITE, not_finite)]
        counts = [_count(cells, rows, bad_rows) for cells in bad]
        frame = self._with_predictions(rows, predictions[has_prediction], has_prediction)
        return PredictedBlock(frame, unseen, counts, int((~has_prediction).sum()), num_cells)

    def _compute(self, inputs: dict[str, np.ndarray]) -> np.ndarray:
        """Return the network's share of the predictions, [rows, …]."""
        found = compute_predictions(
            self.network,
            inputs,
            self.placement,
            self.loss,
            self.fitted.target,
            self.temperature,
        )
        return found if self.share == 1.0 else found * self.share

    def _encode(
        self, rows: Table, bad_rows: BadRows
    ) -> tuple[Table, Table, dict[str, np.ndarray], list[UnseenCells], list[BadCells]]:
        """Return the rows that count, all rows as encoded, and their input fields.

        Beside them, what is unseen, and what is bad.

        Cells that can't be encoded are encoded as missing ones, so that the other rows' predictions
        are the same, to the bit, whatever `bad_rows` says; to `skip` them, their rows don't count.
        """
        cleaned = self.fitted.clean(rows)
        try:
            return (cleaned, cleaned, *self.fitted.encode_inputs(cleaned), [])
        except CellError as error:
            if bad_rows == "refuse":
                way_on = f"predict with {_SKIPPED}" if error.is_needed else _WAY_ON
                raise DataError(f"{error.what}; {error.new_file}, or {way_on}") from None
        except MisreadError as error:
            if bad_rows == "refuse":
                is_single = rows.without_misread()[1]
                raise DataError(f"{error}, or {_WAY_ON}" if is_single else str(error)) from None
        rows, misread = rows.without_misread()
        rows = self.fitted.clean(rows)
        features = {column.name for column in self.fitted.columns}
        bad = [
            BadCells(name, "not written as the file's other numbers", cells)
            for name, cells in misread.items()
            if name in features
        ]
        bad += self.fitted.find_bad(rows)
        filled = self.fitted.without(rows, bad)
        inputs, unseen = self.fitted.encode_inputs(filled, fills=True)
        if bad_rows == "missing":
            return filled, filled, inputs, unseen, bad
        counted = rows.take(np.flatnonzero(_without_bad(rows, bad)))
        unseen = self.fitted.encode_inputs(counted, decodes=False)[1]
        return counted, filled, inputs, unseen, bad

    def _with_predictions(
        self, rows: Table, predictions: np.ndarray, has_prediction: np.ndarray
    ) -> pl.DataFrame:
        """Return the rows with the prediction's columns, null where there is no prediction."""
        added = self.fitted.target.prediction_columns(predictions)
        taken = [column.name for column in added if column.name in rows.frame.columns]
        if taken:
            raise DataError(
                f"{rows.source}: it has a column '{taken[0]}' already; rename it, or predict on "
                "the file without it"
            )
        if not has_prediction.all():
            number = pl.Series(has_prediction.cumsum() - 1).set(pl.Series(~has_prediction), None)
            added = [column.gather(number) for column in added]
        return rows.with_written_names(rows.frame.with_columns(added))


def _without_bad(rows: Table, bad: list[BadCells]) -> np.ndarray:
    """Say of each row whether none of its cells is bad, bool [rows]."""
    is_bad = np.zeros(len(rows), dtype=bool)
    for cells in bad:
        is_bad |= cells.rows
    return ~is_bad


def _count(cells: BadCells, rows: Table, bad_rows: BadRows) -> BadCount:
    as_missing = bad_rows == "missing" and cells.column is not None and not cells.is_needed
    return BadCount(
        cells.column,
        cells.reason,
        int(cells.rows.sum()),
        rows.place(int(cells.rows.argmax())),
        "treated as missing" if as_missing else "prediction left empty",
    )


@dataclass
class PredictionSummary:
    """The number of rows, and by column the cells that were bad or not seen in training."""

    num_rows: int = 0
    num_empty: int = 0  # rows without a prediction
    notes: list[str] = field(default_factory=list)  # on how the file is written
    unseen: dict[tuple[str, str], UnseenCells] = field(default_factory=dict)
    num_cells: Counter[tuple[str, str]] = field(default_factory=Counter)
    bad: dict[tuple[str | None, str], BadCount] = field(default_factory=dict)

    def add(self, block: PredictedBlock) -> None:
        """Add one block."""
        self.num_rows += len(block.frame)
        self.num_empty += block.num_empty
        self.num_cells.update(block.num_cells)
        for cells in block.unseen:
            before = self.unseen.setdefault((cells.column, cells.what), replace(cells, count=0))
            self.unseen[cells.column, cells.what] = replace(
                before, count=before.count + cells.count
            )
        for key, cells in self.unseen.items():
            self.unseen[key] = replace(cells, num_cells=self.num_cells[cells.column, cells.unit])
        for bad in block.bad:
            known = self.bad.get((bad.column, bad.reason))
            self.bad[bad.column, bad.reason] = (
                bad if known is None else replace(known, count=known.count + bad.count)
            )

    @property
    def warnings(self) -> list[UnseenCells]:
        """Columns of which most cells are unseen, or can't be used, whatever was done about them.

        A column is named once, by what is unseen before what is bad.
        """
        found = [cells for cells in self.unseen.values() if cells.are_most]
        columns = {cells.column for cells in found}
        bad = (
            UnseenCells(bad.column, bad.reason, bad.count, bad.first, self.num_rows)
            for bad in self.bad.values()
            if bad.column is not None and bad.column not in columns
        )
        return [*found, *(cells for cells in bad if cells.are_most)]

    def as_document(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "rows": self.num_rows,
            "rows_without_prediction": self.num_empty,
            "bad": [asdict(bad) for bad in self.bad.values()],
            "unseen": [cells.as_json for cells in self.unseen.values()],
            "warnings": [cells.warning for cells in self.warnings],
        }


def trained_predictor(run: Path) -> Predictor:
    """Build from a run folder's best checkpoint or ensemble, or a checkpoint; CheckpointError."""
    members = []
    for path, share in find_members(run):
        restored = restore(path)
        members.append(
            Predictor(
                restored.network,
                restored.fitted,
                restored.loss,
                restored.placement,
                restored.checkpoint.config.data.selection,
                restored.temperature,
                share,
            )
        )
    return replace(members[0], others=tuple(members[1:]))


def untrained_predictor(prepared: Prepared) -> Predictor:
    """Build the untrained network, with the data encoding of training."""
    training = prepared.config.training
    placement = choose_placement(training.device, training.precision)
    configure_torch(placement)
    what = f"{prepared.plan.num_parameters:,} parameters"
    with memory_explained(placement.device, what, "try smaller layers"):
        network = untrained_network(prepared, placement.device)
    selection = prepared.config.data.selection
    return Predictor(network, prepared.dataset.fitted, prepared.loss, placement, selection)


def predict(
    predictor: Predictor,
    source: Source,
    out: Path,
    *,
    bad_rows: BadRows = "refuse",
    said: TextFormat = PLAIN_TEXT,
    is_strict: bool = False,
) -> PredictionSummary:
    """Read, predict and write block by block, in constant memory.

    `bad_rows`: whether cells that can't be encoded are refused, taken as missing, or leave the
    predictions of their rows empty. `said`: how a text file is written; what isn't said is
    recognised, and predictions are separated as its cells are. `-` is standard input or output. An
    output file is written whole or not at all. If it `is_strict`, a column that holds almost
    nothing that training saw is refused, and nothing is written. Raises DataError, StorageError.
    """
    summary = PredictionSummary()
    files = [part.file for part in source.parts if part.file.exists()]
    if out.exists() and any(map(out.samefile, files)):
        raise ConfigError(f"-o {out}: this is the file to predict on; name another")

    if predictor.fitted.window is not None:
        if is_strict:
            raise ConfigError("--strict: no cells of forecasts count as unseen; leave it out")
        members = (predictor, *predictor.others)
        found = forecast(members, source, bad_rows=bad_rows, said=said)
        summary.notes += found.notes
        summary.num_rows = len(found.frame)
        write_blocks(iter([found.frame]), out, separator=found.separator, is_whole=True)
        return summary
    source = predictor.fitted.as_named_in_training(source)
    blocks = read_blocks(source, predictor.fitted.text_format(said))
    first = next(blocks)
    summary.notes += recognition_notes([first])
    if predictor.temperature is not None:
        summary.notes.append(
            f"probabilities are calibrated with the run's temperature, {predictor.temperature:.3g}"
        )

    max_rows = _MAX_ROWS
    if predictor.fitted.file_columns:  # whose rows become much more than they are
        row_bytes = sum(field.num_bytes for field in predictor.fitted.input_fields)
        max_rows = max(1, min(_MAX_ROWS, _MAX_DECODED_BYTES // row_bytes))

    def noted() -> Iterator[Table]:
        for rows in chain([first], blocks):
            summary.notes += [note for note in rows.notes if note not in summary.notes]
            yield rows

    def predicted() -> Iterator[pl.DataFrame]:
        rows_as_read = noted()
        for rows in regroup(rows_as_read, max_rows=max_rows, max_cells=_MAX_CELLS):
            block = predictor.predict(rows, bad_rows=bad_rows)
            summary.add(block)
            yield block.frame
        if is_strict:
            refuse_mostly_unseen(summary.warnings)

    separator = "," if first.dialect is None else first.dialect.separator
    write_blocks(predicted(), out, separator=separator, is_whole=is_strict)
    return summary
