"""The inputs and outputs of a network for given data."""

import math
from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np

from dlcli.columns.base import Embedding, NumericInput
from dlcli.columns.image import Pixels
from dlcli.data.fields import Field

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
    image_shape: tuple[int, ...] | None = None  # of that one

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the input, without the batch."""
        return self.image_shape or (self.width,)


@dataclass(frozen=True)
class Signature:
    """Dense numbers, in the order of their columns, and codes, one for each embedded column."""

    num_dense: int
    embeddings: tuple[Embedding, ...]
    shape: tuple[int, ...] | None  # the dense features as one array, where the config says so
    num_classes: int | None  # None for a regression
    dense_widths: tuple[int, ...] = ()  # dense numbers of each column; none: one each
    numeric: tuple[NumericInput, ...] = ()  # the dense numbers that are numeric columns
    dense_names: tuple[str, ...] = ()  # of the columns that are dense numbers
    pixels: tuple[Pixels, ...] = ()  # columns of images, each an input of its own

    @property
    def inputs(self) -> tuple[Field, ...]:
        """The fields that the network is given: those that are not empty."""
        fields = (
            Field(NUMBERS, np.dtype(np.float32), (self.num_dense,)),
            Field(CODES, np.dtype(np.int32), (len(self.embeddings),)),
            *(Field(image.field, np.dtype(np.uint8), image.shape) for image in self.pixels),
        )
        return tuple(field for field in fields if field.size)

    @property
    def num_inputs(self) -> int:
        """Numbers in a row of all input fields."""
        return sum(field.size for field in self.inputs)

    @property
    def has_table(self) -> bool:
        """Whether there are columns beside images."""
        return self.num_dense > 0 or bool(self.embeddings)

    @property
    def names_of_inputs(self) -> tuple[str, ...]:
        """What can only reach layers of its own: each image column, and the rest together."""
        return (*(image.column for image in self.pixels), *["table"] * self.has_table)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape, without the batch, that the first layer gets: of one input."""
        if self.pixels:
            return self.pixels[0].shape
        width = self.num_dense + sum(embedding.dim for embedding in self.embeddings)
        return self.shape or (width,)

    @property
    def columns_of_inputs(self) -> tuple[int, ...]:
        """The column, from 0, of each number that the first layer gets."""
        if self.pixels:
            return (0,) * math.prod(self.input_shape)
        return self._columns_of_table

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns: of dense numbers, then embedded ones, then images."""
        embedded = (embedding.name for embedding in self.embeddings)
        return (*self.dense_names, *embedded, *(image.column for image in self.pixels))

    def input_of(self, columns: Collection[str]) -> ColumnsInput:
        """Return some columns as an input of their own: an image column, or others."""
        for place, image in enumerate(self.pixels):
            if image.column in columns:
                number, width = self.columns.index(image.column), math.prod(image.shape)
                names = (image.column,)
                return ColumnsInput(names, (), (), width, (), (number,) * width, place, image.shape)
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
