"""All that is fitted on the training rows: one value, which travels in the checkpoint."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Annotated, Any, Self

import numpy as np
import polars as pl
from pydantic import Field as Described
from pydantic import model_validator

from dlcli.columns.bad_cells import BadCells, CellError
from dlcli.columns.base import NumericInput, OrderedColumn
from dlcli.columns.cells import clean
from dlcli.columns.family import FittedColumn
from dlcli.columns.image import FileColumn
from dlcli.columns.ragged import RaggedColumn
from dlcli.columns.unseen import UnseenCells
from dlcli.config.sections.data import Shape
from dlcli.data.fields import Examples, Field, Slots, lengths_of, pad
from dlcli.data.series.fitted_window import FittedWindow
from dlcli.data.signature import NUMBERS, WEIGHT, Signature
from dlcli.data.weights import read_weights
from dlcli.errors import DataError
from dlcli.section import Section
from dlcli.tables.sources import Source
from dlcli.tables.table import Table
from dlcli.tables.text.text_format import PlacedColumns, TextFormat
from dlcli.targets.several_targets import AnyTarget


class FittedData(Section):
    """How a table is encoded as a network's input, and its output decoded as predictions."""

    columns: Annotated[tuple[FittedColumn, ...], Described(strict=False, min_length=1)]
    target: AnyTarget
    weight: str | None = None  # the column that says how much each row counts
    placed_columns: int | None = None  # of a training file whose columns are named by their place
    shape: Shape | None
    window: FittedWindow | None = None  # of forecasts: a row is a step of a series
    missing_values: Annotated[tuple[str, ...], Described(strict=False)]

    @model_validator(mode="before")
    @classmethod
    def _drop_separator(cls, data: Any) -> Any:  # noqa: ANN401 - whatever a checkpoint holds
        """Drop what older checkpoints say of the training file: others are read as they are."""
        if isinstance(data, dict) and data.get("separator") in (",", ";", "\t", "|"):
            return {key: value for key, value in data.items() if key != "separator"}
        return data

    @model_validator(mode="after")
    def _check(self) -> Self:
        width = self.signature().num_dense
        if self.shape is not None and math.prod(self.shape) != width:
            raise ValueError("its shape is not that of its columns")
        return self

    def text_format(self, said: TextFormat) -> TextFormat:
        """Return what is said of other files, and which of their cells are no numbers or dates."""
        labels = {column.name for column in self.columns if not isinstance(column, OrderedColumn)}
        for target in self.target.parts:
            if target.score_names:
                labels.update(target.columns)
        placed = None
        if self.placed_columns is not None:
            placed = PlacedColumns(self.placed_columns, self.target.columns)
        return replace(
            said,
            missing_values=self.missing_values,
            labels=frozenset(labels),
            placed=placed,
            said_by="option",
        )

    @property
    def input_fields(self) -> tuple[Field, ...]:
        """The fields that rows are encoded to, targets aside."""
        return self.signature().inputs

    @property
    def target_fields(self) -> tuple[Field, ...]:
        """The fields of what the loss is given: the target, and the weight if rows have one."""
        target = Field(self.target.field, self.target.dtype, self.target.shape)
        if self.weight is None:
            return (target,)
        return (target, Field(WEIGHT, np.dtype(np.float32), ()))

    def clean(self, rows: Table) -> Table:
        """Return rows with null for what is missing, columns of numbers as numbers."""
        other = [column.name for column in self.columns if not column.accepts_numbers]
        return clean(rows, self.missing_values, as_text=[*other, *self.target.columns])

    @property
    def file_columns(self) -> list[FileColumn]:
        """The columns whose cells name files, which are decoded."""
        return [column for column in self.columns if isinstance(column, FileColumn)]

    def as_named_in_training(self, source: Source) -> Source:
        """Return images without a table by the name that their column had, if there was one."""
        columns = self.file_columns
        return source.with_image_column(columns[0].name) if len(columns) == 1 else source

    def encode(self, rows: Table, *, decodes: bool = True) -> tuple[Examples, list[UnseenCells]]:
        """Encode rows that have a target and a weight, and return cells not seen in training.

        Unless it `decodes`, of files that cells name only the headers are looked at, and their
        fields are left out. Raises DataError for a column that is not there or a cell that is not
        of its kind.
        """
        if not decodes:
            for column in self.file_columns:
                column.check(rows, self.missing_values)
        inputs, lengths, unseen = self._encode_inputs(rows, decodes=decodes)
        return Examples(inputs, self.encode_targets(rows), len(rows), lengths), unseen

    def encode_inputs(
        self, rows: Table, *, decodes: bool = True, fills: bool = False
    ) -> tuple[dict[str, np.ndarray], list[UnseenCells]]:
        """Return the input fields, [rows, *shape], and cells not seen in training.

        Those of sequences are padded with zeros to the longest of these rows, their lengths beside
        them. Raises DataError for a column that is not there, CellError for a cell that is not of
        its kind, or that is missing and names a file; unless it `fills`, with zeros.
        """
        inputs, lengths, unseen = self._encode_inputs(rows, decodes=decodes, fills=fills)
        for name, of_rows in lengths.items():
            inputs[name] = pad(inputs[name], of_rows, int(of_rows.max(initial=1)))
            inputs[lengths_of(name)] = of_rows
        return inputs, unseen

    def _encode_inputs(
        self, rows: Table, *, decodes: bool = True, fills: bool = False
    ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], list[UnseenCells]]:
        """Do the same without padding: the lengths of ragged fields are in the second one."""
        rows = self.clean(rows)
        blocks: dict[str, np.ndarray] = {}
        inputs, lengths = {}, {}
        unseen = []
        for column in self.columns:
            if isinstance(column, RaggedColumn):
                values, found = column.encode_rows(rows, self.missing_values)
                inputs[column.field], lengths[column.field] = values
                unseen += found
                continue
            if isinstance(column, FileColumn):
                if decodes:
                    inputs[column.field] = column.read(rows, self.missing_values, fills=fills)
                continue
            blocks[column.name], cells = column.encode(rows, self.missing_values)
            if cells is not None:
                unseen.append(cells)
        for field in self.input_fields:
            filling = [
                blocks[column.name]
                for column in self.columns
                if column.field == field.name and column.name in blocks
            ]
            if not filling:
                continue
            with np.errstate(over="ignore"):  # infinite where a number is too large for float32
                inputs[field.name] = np.concatenate(
                    filling, axis=1, dtype=field.dtype, casting="same_kind"
                )
        if NUMBERS in inputs:
            refused = np.flatnonzero(~np.isfinite(inputs[NUMBERS]).all(axis=1))
            if len(refused):
                raise CellError(
                    f"{rows.place(int(refused[0]))}: a number is too large for float32",
                    "correct it, or leave its column out of data.features",
                )
        return inputs, lengths, unseen

    def count_cells(
        self, rows: Table, inputs: Mapping[str, np.ndarray]
    ) -> dict[tuple[str, str], int]:
        """Return how many cells each column has, and elements in them, by column and unit.

        They are counted as `UnseenCells.num_cells` is; `inputs` is what the rows are encoded to.
        """
        rows, found = self.clean(rows), {}
        for column in self.columns:
            num_missing = column.saw_missing * rows.column(column.name).null_count()
            found[column.name, "cell"] = len(rows) - num_missing
            if isinstance(column, RaggedColumn):
                found[column.name, column.cell] = len(rows)
                found[column.name, column.element] = int(inputs[lengths_of(column.field)].sum())
        return found

    def find_bad(self, rows: Table) -> list[BadCells]:
        """Return the cells for which `encode_inputs` raises CellError."""
        rows = self.clean(rows)
        found = (column.find_bad(rows, self.missing_values) for column in self.columns)
        return [bad for some in found for bad in some]

    def without(self, rows: Table, bad: Iterable[BadCells]) -> Table:
        """Return rows, cleaned, with null for some cells."""
        rows = self.clean(rows)
        frame = rows.frame
        for cells in bad:
            assert cells.column is not None, "it was found in a column"
            column = frame.get_column(cells.column)
            frame = frame.with_columns(column.set(pl.Series(cells.rows), None))
        return replace(rows, frame=frame)

    def encode_targets(self, rows: Table) -> dict[str, np.ndarray]:
        """Return the target fields, [rows, *shape]; DataError as it must."""
        values = self.target.encode(rows, self.missing_values)
        with np.errstate(over="ignore"):  # infinite where a number is too large for float32
            values = values.astype(self.target.dtype, copy=False)
        is_refused = np.isinf(values).reshape(len(values), -1).any(axis=1)
        refused = np.flatnonzero(is_refused)
        if len(refused):
            raise DataError(f"{rows.place(int(refused[0]))}: the target is too large for float32")
        if self.weight is None:
            return {self.target.field: values}
        weights = read_weights(rows, self.weight, self.missing_values).astype(np.float32)
        return {self.target.field: values, WEIGHT: weights}

    def slots(self) -> dict[str, Slots]:
        """Return where each column is encoded to, by its name."""
        filled: Counter[str] = Counter()
        slots = {}
        for column in self.columns:
            first = filled[column.field]
            filled[column.field] += column.num_slots
            slots[column.name] = Slots(column.field, tuple(range(first, filled[column.field])))
        return slots

    def signature(self) -> Signature:
        """Return the inputs and outputs of a network for this data."""
        if self.window is not None:
            return self._signature_of_windows(self.window)
        embeddings = (column.embedding for column in self.columns)
        dense = [column for column in self.columns if column.field == "numbers"]
        widths = tuple(column.num_slots for column in dense)
        return Signature(
            num_dense=sum(widths),
            embeddings=tuple(embedding for embedding in embeddings if embedding is not None),
            shape=self.shape,
            num_classes=len(self.target.score_names) or None,
            dense_widths=widths,
            numeric=tuple(self._numeric_inputs()),
            dense_names=tuple(column.name for column in dense),
            pixels=tuple(column.pixels for column in self.file_columns),
            sequences=tuple(
                column.sequence for column in self.columns if isinstance(column, RaggedColumn)
            ),
        )

    def _signature_of_windows(self, window: FittedWindow) -> Signature:
        """Return the channels of series over the steps of the past, and all that is forecast."""
        channels = [*window.channels(self.columns)]
        num_channels = sum(number for _, number in channels)
        return Signature(
            num_dense=num_channels * window.past,
            embeddings=(),
            shape=(num_channels, window.past),
            num_classes=None,
            dense_widths=tuple(number * window.past for _, number in channels),
            dense_names=tuple(name for name, _ in channels),
            num_values=math.prod(self.target.shape),
            has_several_targets=len(self.target.parts) > 1,
        )

    def _numeric_inputs(self) -> Iterator[NumericInput]:
        first = 0
        for column in self.columns:
            if column.field != NUMBERS:
                continue
            found = column.numeric_input
            if found is not None:
                yield replace(found, index=first + found.index)
            first += column.num_slots
