"""The inputs and outputs of a network for given data."""

from dataclasses import dataclass

import numpy as np

from dlcli.columns.base import Embedding, NumericInput
from dlcli.data.fields import Field

NUMBERS, CODES = "numbers", "codes"  # the input fields of a table
WEIGHT = "weight"  # the field beside the target that says how much each row counts


@dataclass(frozen=True)
class Signature:
    """Dense numbers, in the order of their columns, and codes, one for each embedded column."""

    num_dense: int
    embeddings: tuple[Embedding, ...]
    shape: tuple[int, ...] | None  # the dense features as one array, where the config says so
    num_classes: int | None  # None for a regression
    dense_widths: tuple[int, ...] = ()  # dense numbers of each column; none: one each
    numeric: tuple[NumericInput, ...] = ()  # the dense numbers that are numeric columns

    @property
    def inputs(self) -> tuple[Field, ...]:
        """The fields that the network is given: those that are not empty."""
        fields = (
            Field(NUMBERS, np.dtype(np.float32), (self.num_dense,)),
            Field(CODES, np.dtype(np.int32), (len(self.embeddings),)),
        )
        return tuple(field for field in fields if field.size)

    @property
    def num_inputs(self) -> int:
        """Numbers in a row of all input fields."""
        return sum(field.size for field in self.inputs)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape, without the batch, that the first layer gets."""
        width = self.num_dense + sum(embedding.dim for embedding in self.embeddings)
        return self.shape or (width,)

    @property
    def columns_of_inputs(self) -> tuple[int, ...]:
        """The column, from 0, of each number that the first layer gets."""
        embedded = (embedding.dim for embedding in self.embeddings)
        widths = (*(self.dense_widths or (1,) * self.num_dense), *embedded)
        return tuple(column for column, width in enumerate(widths) for _ in range(width))
