"""All that is fitted on the training rows: one value, which travels in the checkpoint."""

import math
from typing import Annotated, Self

import numpy as np
from pydantic import Field, model_validator

from dlcli.columns.base import UnseenCells
from dlcli.columns.cells import clean
from dlcli.columns.family import FittedColumn
from dlcli.config.sections.data import Separator, Shape
from dlcli.data.signature import Signature
from dlcli.data.target import ClassTarget, FittedTarget, encode_target
from dlcli.errors import DataError
from dlcli.section import Section
from dlcli.tables.table import Table


class FittedData(Section):
    """How a table becomes the network's input, and the network's output an answer."""

    columns: Annotated[tuple[FittedColumn, ...], Field(strict=False, min_length=1)]
    target: FittedTarget
    shape: Shape | None
    missing_values: Annotated[tuple[str, ...], Field(strict=False)]
    separator: Separator

    @model_validator(mode="after")
    def _check(self) -> Self:
        width = self.signature().num_dense
        if self.shape is not None and math.prod(self.shape) != width:
            raise ValueError("its shape is not that of its columns")
        return self

    def clean(self, rows: Table) -> Table:
        """Return rows with null for what is missing, columns of numbers as numbers."""
        other = [column.name for column in self.columns if not column.accepts_numbers]
        return clean(rows, self.missing_values, as_text=[*other, self.target.name])

    def encode_features(self, rows: Table) -> tuple[np.ndarray, list[UnseenCells]]:
        """Return float32 [rows, num_inputs], dense columns in order and then codes, and oddities.

        Raises DataError for a column that is not there or a cell that is not of its kind.
        """
        rows = self.clean(rows)
        dense: list[np.ndarray] = []
        codes: list[np.ndarray] = []
        oddities = []
        for column in self.columns:
            block, odd = column.encode(rows, self.missing_values)
            (dense if column.field == "numbers" else codes).append(block)
            if odd is not None:
                oddities.append(odd)
        blocks = dense + codes
        ends = np.cumsum([block.shape[1] for block in blocks])
        features = np.empty((len(rows), ends[-1]), np.float32)
        with np.errstate(over="ignore"):  # infinite where float32 has no room
            for block, end in zip(blocks, ends, strict=True):
                features[:, end - block.shape[1] : end] = block
        endless = np.flatnonzero(~np.isfinite(features).all(axis=1))
        if len(endless):
            raise DataError(
                f"{rows.place(int(endless[0]))}: a number is too large for float32; mend it or "
                "leave its column out of data.features"
            )
        return features, oddities

    def encode_target(self, rows: Table) -> np.ndarray:
        """Return int64 class indices or float32 scaled numbers, [rows]; DataError as it must."""
        values = encode_target(self.target, rows, self.missing_values)
        if values.dtype == np.int64:
            return values
        numbers = _to_float32(values)
        endless = np.flatnonzero(~np.isfinite(numbers))
        if len(endless):
            raise DataError(f"{rows.place(int(endless[0]))}: the target is too large for float32")
        return numbers

    def signature(self) -> Signature:
        """Return what a network for this data is given and must answer with."""
        embeddings = (column.embedding for column in self.columns)
        return Signature(
            num_dense=sum(column.num_slots for column in self.columns if column.field == "numbers"),
            embeddings=tuple(embedding for embedding in embeddings if embedding is not None),
            shape=self.shape,
            num_classes=len(self.target.classes) if isinstance(self.target, ClassTarget) else None,
        )


def _to_float32(values: np.ndarray) -> np.ndarray:
    """Return float32, infinite where that has no room for a number."""
    with np.errstate(over="ignore"):
        return values.astype(np.float32)
