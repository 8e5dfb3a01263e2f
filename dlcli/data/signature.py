"""The inputs and outputs of a network for given data."""

import math
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dlcli.columns.base import Embedding, NumericInput, Series, Tokens
from dlcli.columns.image import Pixels
from dlcli.data.fields import Field
from dlcli.layers.base import FirstInput

NUMBERS, CODES = "numbers", "codes"  # the input fields of a table
WEIGHT = "weight"  # the field beside the target that says how much each row counts
SEED = "row_seed"  # the one for the draws of a row in one epoch, where rows are augmented
KEPT_SHARE = "kept_share"  # the one for how much of a row's target is left where it is mixed


def partner_of(name: str) -> str:
    """Return the name of the field that holds another row's values, to be mixed with a field's."""
    return f"{name}.partner"


@dataclass(frozen=True)
class ColumnsInput:
    """Some columns as one input: their dense numbers, and behind them their embedded vectors."""

    names: tuple[str, ...]  # of the columns
    numbers: tuple[int, ...]  # places in the field of numbers
    embedded: tuple[int, ...]  # places among the embedded columns
    width: int
    numeric: tuple[NumericInput, ...]  # the numbers of this input that are numeric columns
    columns: tuple[int, ...]  # the column, from 0, of each number of this input
    pixels: int | None = None  # the place among the image columns of the one that it is
    sequence: int | None = None  # the place among the columns of sequences of the one that it is
    single_shape: tuple[int, ...] | None = None  # of that one
    num_codes: int | None = None  # of that one, where it is tokens

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the input, without the batch; of its longest row."""
        return self.single_shape or (self.width,)

    @property
    def given(self) -> FirstInput:
        """What its first layer gets."""
        return FirstInput(self.shape, self.numeric, self.num_codes, self.sequence is not None)


@dataclass(frozen=True)
class Signature:
    """Dense numbers, in the order of their columns, and codes, one for each embedded column."""

    num_dense: int
    embeddings: tuple[Embedding, ...]
    shape: tuple[int, ...] | None  # the dense features as one array, where the config says so
    num_classes: int | None  # or labels; None for a regression
    dense_widths: tuple[int, ...] = ()  # dense numbers of each column; none: one each
    numeric: tuple[NumericInput, ...] = ()  # the dense numbers that are numeric columns
    dense_names: tuple[str, ...] = ()  # of the columns that are dense numbers
    pixels: tuple[Pixels, ...] = ()  # columns of images, each an input of its own
    sequences: tuple[Tokens | Series, ...] = ()  # columns whose rows differ in length, the same
    num_values: int = 1  # numbers of a target, where it is no class
    has_several_targets: bool = False

    @property
    def inputs(self) -> tuple[Field, ...]:
        """The fields that the network is given: those that are not empty."""
        fields = (
            Field(NUMBERS, np.dtype(np.float32), (self.num_dense,)),
            Field(CODES, np.dtype(np.int32), (len(self.embeddings),)),
            *(Field(image.field, np.dtype(np.uint8), image.shape) for image in self.pixels),
            *map(_field_of, self.sequences),
        )
        return tuple(field for field in fields if field.size)

    @property
    def num_inputs(self) -> int:
        """Numbers in a row of all input fields."""
        return sum(field.size for field in self.inputs)

    @property
    def has_table(self) -> bool:
        """Whether there are columns beside images and sequences."""
        return self.num_dense > 0 or bool(self.embeddings)

    @property
    def names_of_inputs(self) -> tuple[str, ...]:
        """What can only reach layers of its own: each image or sequence, and the rest together."""
        return (*(one.column for one in self._single), *["table"] * self.has_table)

    @property
    def simple_inputs(self) -> dict[str, Any]:
        """An input for each of these, as in `model.inputs`: a few layers that make features."""
        inputs = {
            one.column: {"layers": [dict(layer) for layer in one.simple_layers]}
            for one in self._single
        }
        return {**inputs, **({"table": {}} if self.has_table else {})}

    @property
    def _single(self) -> tuple[Pixels | Tokens | Series, ...]:
        """The columns that are an input of their own each."""
        return (*self.pixels, *self.sequences)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape, without the batch, that the first layer gets: of one input."""
        if self._single:
            return self._single[0].shape
        width = self.num_dense + sum(embedding.dim for embedding in self.embeddings)
        return self.shape or (width,)

    @property
    def given(self) -> FirstInput:
        """What the first layer gets, of one input."""
        if self._single:
            return self.input_of({self._single[0].column}).given
        return FirstInput(self.input_shape, self.numeric)

    @property
    def columns_of_inputs(self) -> tuple[int, ...]:
        """The column, from 0, of each number that the first layer gets."""
        if self._single:
            return (0,) * math.prod(self.input_shape)
        return self._columns_of_table

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns: dense numbers, embedded ones, images, sequences."""
        embedded = (embedding.name for embedding in self.embeddings)
        return (*self.dense_names, *embedded, *(one.column for one in self._single))

    def input_of(self, columns: Collection[str]) -> ColumnsInput:
        """Return some columns as an input of their own: an image, a sequence, or others."""
        for place, one in enumerate(self._single):
            if one.column in columns:
                number, width = self.columns.index(one.column), math.prod(one.shape)
                is_image = isinstance(one, Pixels)
                return ColumnsInput(
                    names=(one.column,),
                    numbers=(),
                    embedded=(),
                    width=width,
                    numeric=(),
                    columns=(number,) * width,
                    pixels=place if is_image else None,
                    sequence=None if is_image else place - len(self.pixels),
                    single_shape=one.shape,
                    num_codes=one.num_codes if isinstance(one, Tokens) else None,
                )
        chosen = [place for place, name in enumerate(self.columns) if name in columns]
        of_columns = self._columns_of_table
        places = [place for place, column in enumerate(of_columns) if column in chosen]
        numbers = tuple(place for place in places if place < self.num_dense)
        num_before = len(self.dense_names)
        return ColumnsInput(
            names=tuple(self.columns[place] for place in chosen),
            numbers=numbers,
            embedded=tuple(place - num_before for place in chosen if place >= num_before),
            width=len(places),
            numeric=tuple(
                replace(number, index=numbers.index(number.index))
                for number in self.numeric
                if number.index in numbers
            ),
            columns=tuple(of_columns[place] for place in places),
        )

    @property
    def _columns_of_table(self) -> tuple[int, ...]:
        """The column, from 0, of each number, dense and then embedded."""
        return tuple(column for column, width in enumerate(self._widths) for _ in range(width))

    @property
    def _widths(self) -> tuple[int, ...]:
        """Numbers that each column is, dense and then embedded ones."""
        embedded = (embedding.dim for embedding in self.embeddings)
        return (*(self.dense_widths or (1,) * self.num_dense), *embedded)


def _field_of(sequence: Tokens | Series) -> Field:
    """Return the field of a column whose rows differ in length."""
    if isinstance(sequence, Tokens):
        return Field(sequence.field, np.dtype(np.int32), (), is_ragged=True)
    return Field(sequence.field, np.dtype(np.float32), (sequence.channels,), is_ragged=True)
