"""What columns share whose cells hold sequences: of codes, or of numbers."""

from abc import abstractmethod
from typing import ClassVar, NamedTuple

import numpy as np

from dlcli.columns.base import Column, Embedding, Series, Tokens
from dlcli.columns.unseen import UnseenCells
from dlcli.tables.table import Table
from dlcli.texts.tokenizer import Tokenizer


class RaggedValues(NamedTuple):
    """The elements of some rows, those of the first row first, and how many each row has."""

    elements: np.ndarray  # int32 [elements] codes, or float32 [elements, channels]
    lengths: np.ndarray  # int64 [rows]


class TextReading(NamedTuple):
    """How the cells of a column are read as texts."""

    tokenizer: Tokenizer
    lowercase: bool


class RaggedColumn(Column):
    """A kind of which a row has as many elements as its cell holds: an input of its own."""

    is_scalar: ClassVar[bool] = False
    cell: ClassVar[str]  # what a cell holds: "text"

    @property
    def element(self) -> str:
        """What a cell holds several of: "word"."""
        return "element"

    @property
    def reading(self) -> TextReading | None:
        """How its cells are read as texts; None: they are none."""
        return None

    @property
    @abstractmethod
    def sequence(self) -> Tokens | Series:
        """What the network is given."""

    @abstractmethod
    def encode_rows(
        self, rows: Table, missing_values: tuple[str, ...]
    ) -> tuple[RaggedValues, list[UnseenCells]]:
        """Return the rows' elements, none of a missing cell, and what is unseen in training.

        No row has more elements than `sequence.longest`.
        Raises CellError where a cell is not of this kind.
        """

    def token_names(self, codes: np.ndarray) -> tuple[str, ...]:
        """Return what some codes stand for, by default their numbers."""
        return tuple(map(str, codes.tolist()))

    def encode(
        self, rows: Table, missing_values: tuple[str, ...]
    ) -> tuple[np.ndarray, UnseenCells | None]:
        """Return the values with zeros behind each row's end, [rows, longest, *element]."""
        (elements, lengths), _ = self.encode_rows(rows, missing_values)
        padded = np.zeros((len(rows), self.sequence.longest, *elements.shape[1:]), elements.dtype)
        padded[np.arange(self.sequence.longest) < lengths[:, None]] = elements
        return padded, None

    @property
    def field(self) -> str:
        """A field of its own."""
        return self.sequence.field

    @property
    def num_slots(self) -> int:
        """Numbers of an element: its channels, or its code."""
        return self.sequence.channels if isinstance(self.sequence, Series) else 1

    @property
    def embedding(self) -> Embedding | None:
        """None: its codes are looked up by a layer."""
        return None

    @property
    def indicates_missing(self) -> bool:
        """No: a missing sequence has no elements."""
        return False
