"""`dlcli predict`: adds predictions to the rows of a table, block by block."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
from torch import nn

from dlcli.columns.base import UnseenCells
from dlcli.data.fitted import FittedData
from dlcli.errors import ConfigError, DataError, DivergedError
from dlcli.losses import Loss
from dlcli.network.builder import build_network
from dlcli.runs.folder.run_folder import find_checkpoint
from dlcli.runs.preparation import Prepared
from dlcli.runs.restore import restore
from dlcli.tables.reading import read_blocks
from dlcli.tables.table import Table
from dlcli.tables.writing import write_blocks
from dlcli.training.device import Placement, choose_placement, configure_torch, memory_explained
from dlcli.training.evaluation import compute_predictions


@dataclass(frozen=True)
class Predictor:
    """A network, trained or not, and how its inputs are encoded and its outputs decoded."""

    network: nn.Module
    fitted: FittedData
    loss: Loss
    placement: Placement

    def predict(self, rows: Table) -> tuple[pl.DataFrame, list[UnseenCells]]:
        """Return the rows with the prediction's columns; DataError for rows that don't fit."""
        inputs, unseen = self.fitted.encode_inputs(rows)
        predictions = compute_predictions(
            self.network, inputs, self.placement, self.loss, self.fitted.target
        )
        is_finite = np.isfinite(predictions).all(axis=tuple(range(1, predictions.ndim)))
        if not is_finite.all():
            raise DivergedError(
                f"{rows.place(int(is_finite.argmin()))}: the network's prediction is not finite: "
                "its weights are too large, or the row is far from the training rows"
            )
        added = self.fitted.target.prediction_columns(predictions)
        taken = [column.name for column in added if column.name in rows.frame.columns]
        if taken:
            raise DataError(
                f"{rows.source}: it has a column '{taken[0]}' already; rename it, or predict on "
                "the file without it"
            )
        return rows.frame.with_columns(added), unseen


@dataclass
class PredictionSummary:
    """The number of predicted rows, and the cells that training had not seen, by column."""

    num_rows: int = 0
    unseen: dict[tuple[str, str], UnseenCells] = field(default_factory=dict)

    def add(self, num_rows: int, unseen: list[UnseenCells]) -> None:
        """Add one block."""
        self.num_rows += num_rows
        for cells in unseen:
            before = self.unseen.get((cells.column, cells.what))
            self.unseen[cells.column, cells.what] = (
                cells
                if before is None
                else UnseenCells(cells.column, cells.what, before.count + cells.count, before.first)
            )


def trained_predictor(run: Path) -> Predictor:
    """Build from a run folder's best checkpoint, or from a checkpoint; CheckpointError."""
    restored = restore(find_checkpoint(run))
    return Predictor(restored.network, restored.fitted, restored.loss, restored.placement)


def untrained_predictor(prepared: Prepared) -> Predictor:
    """Build the untrained network, with the data encoding of training."""
    training = prepared.config.training
    placement = choose_placement(training.device, training.precision)
    configure_torch(placement)
    what = f"{prepared.plan.num_parameters:,} parameters"
    with memory_explained(placement.device, what, "try smaller layers"):
        network = build_network(prepared.plan, seed=prepared.config.seed).to(placement.device)
    return Predictor(network, prepared.dataset.fitted, prepared.loss, placement)


def predict(predictor: Predictor, data: Path, out: Path) -> PredictionSummary:
    """Read, predict and write block by block, in constant memory.

    `-` is standard input or output. An output file is written whole or not at all. Raises
    DataError, StorageError.
    """
    summary = PredictionSummary()
    if out.exists() and data.exists() and out.samefile(data):
        raise ConfigError(f"-o {out}: this is the file to predict on; name another")

    def predicted() -> Iterator[pl.DataFrame]:
        for rows in read_blocks(data, separator=predictor.fitted.separator):
            frame, unseen = predictor.predict(rows)
            summary.add(len(rows), unseen)
            yield frame

    write_blocks(predicted(), out, separator=predictor.fitted.separator)
    return summary
