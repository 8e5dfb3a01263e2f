"""The tokens that texts are cut into: what is fitted to training texts, and codes of tokens."""

from abc import ABC, abstractmethod
from functools import lru_cache
from typing import Annotated, ClassVar, Literal, NamedTuple, Self, final

import numpy as np
import polars as pl
from pydantic import Field

from dlcli.section import Section
from dlcli.texts.counts import Found, TextStatistics, TokenCounts
from dlcli.texts.splitting import split_characters, split_words

PADDING, UNKNOWN, NUM_SPECIAL = 0, 1, 2  # codes; those of the vocabulary follow


class CodedTexts(NamedTuple):
    """The tokens of some texts, those of the first text first."""

    codes: np.ndarray  # int32 [tokens]
    lengths: np.ndarray  # int64 [texts], 0 for a missing one


class Tokenizer(Section, ABC):
    """A way to cut texts, and the vocabulary that is fitted to training texts.

    Code 0 pads rows, code 1 is any token that is not in the vocabulary.
    """

    noun: ClassVar[str]  # for a token: "word"
    settings: ClassVar[tuple[str, ...]]  # of `data.text` that make a difference
    has_exact_lengths: ClassVar[bool] = True  # whether `lengths` tells how many there are

    type: str

    @classmethod
    @abstractmethod
    def split(cls, texts: pl.Series) -> pl.Series | None:
        """Return what is counted of each text, List(String); None: nothing is fitted."""

    @classmethod
    def words(cls, texts: pl.Series) -> pl.Series:
        """Return the words of each text that a reader sees, by default what is between blanks."""
        return texts.str.extract_all(r"\S+")

    @classmethod
    @abstractmethod
    def lengths(cls, texts: pl.Series) -> pl.Series:
        """Return the number of tokens of each text, or at most how many, null where it is null."""

    @classmethod
    @abstractmethod
    def fit(cls, counts: TokenCounts, *, size: int, min_count: int) -> Self:
        """Fit to training texts: at most `size` tokens, of at least `min_count` occurrences each.

        Raises ConfigError where a library is needed that is not there.
        """

    @property
    @abstractmethod
    def vocabulary(self) -> tuple[str, ...]:
        """The tokens with the codes from 2 on."""

    @abstractmethod
    def encode(self, texts: pl.Series) -> CodedTexts:
        """Return the codes of texts, null where missing."""

    @abstractmethod
    def unknown(self, statistics: TextStatistics) -> Found:
        """Return the tokens of some texts that are not in the vocabulary."""

    @property
    def num_codes(self) -> int:
        """Codes, with those of padding and of unknown tokens."""
        return NUM_SPECIAL + len(self.vocabulary)


class _Listed(Tokenizer):
    """Tokenizer that are looked up in a list of the most frequent ones."""

    settings: ClassVar[tuple[str, ...]] = ("vocabulary", "min_count")

    tokens: Annotated[tuple[str, ...], Field(strict=False)]

    @classmethod
    def lengths(cls, texts: pl.Series) -> pl.Series:
        """Return the number of tokens of each text."""
        split = cls.split(texts)
        assert split is not None, "there is a list"
        return split.list.len()

    @classmethod
    def fit(cls, counts: TokenCounts, *, size: int, min_count: int) -> Self:
        """Take the most frequent ones."""
        return cls.model_validate({"tokens": counts.most_frequent(size, min_count=min_count)})

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """The list."""
        return self.tokens

    def encode(self, texts: pl.Series) -> CodedTexts:
        """Look tokens up."""
        split = self.split(texts)
        assert split is not None, "there is a list"
        lengths = split.list.len().fill_null(0)
        known, codes = _lookup(self.tokens)
        found = split.filter(lengths > 0).explode()
        if not len(found):
            return CodedTexts(np.zeros(0, np.int32), lengths.to_numpy().astype(np.int64))
        coded = found.replace_strict(known, codes, default=UNKNOWN, return_dtype=pl.Int32)
        return CodedTexts(coded.to_numpy(), lengths.to_numpy().astype(np.int64))

    def unknown(self, statistics: TextStatistics) -> Found:
        """Return the tokens that are not in the list."""
        return statistics.tokens.other_than(_lookup(self.tokens)[0])


@final
class WordTokenizer(_Listed):
    """Words, punctuation marks and emoji."""

    noun: ClassVar[str] = "word"

    type: Literal["words"] = "words"

    @classmethod
    def split(cls, texts: pl.Series) -> pl.Series:
        """Return words."""
        return split_words(texts)

    @classmethod
    def words(cls, texts: pl.Series) -> pl.Series:
        """Return its tokens."""
        return split_words(texts)


@final
class CharacterTokenizer(_Listed):
    """Unicode characters, spaces among them."""

    noun: ClassVar[str] = "character"

    type: Literal["characters"] = "characters"

    @classmethod
    def split(cls, texts: pl.Series) -> pl.Series:
        """Return characters."""
        return split_characters(texts)

    @classmethod
    def lengths(cls, texts: pl.Series) -> pl.Series:
        """Return the number of characters."""
        return texts.str.len_chars()


@final
class ByteTokenizer(Tokenizer):
    """The bytes of UTF-8: nothing is fitted, and none is unknown."""

    noun: ClassVar[str] = "byte"
    settings: ClassVar[tuple[str, ...]] = ()

    type: Literal["bytes"] = "bytes"

    @classmethod
    def split(cls, texts: pl.Series) -> None:
        """Count nothing."""
        del texts

    @classmethod
    def lengths(cls, texts: pl.Series) -> pl.Series:
        """Return the number of bytes."""
        return texts.str.len_bytes()

    @classmethod
    def fit(cls, counts: TokenCounts, *, size: int, min_count: int) -> Self:
        """Fit nothing."""
        del counts, size, min_count
        return cls()

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """All bytes; what is no ASCII character by its number."""
        return tuple(chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}" for byte in range(256))

    def encode(self, texts: pl.Series) -> CodedTexts:
        """Return each byte, plus two."""
        lengths = texts.str.len_bytes().fill_null(0).to_numpy().astype(np.int64)
        text = "".join(texts.drop_nulls().to_list()).encode()
        return CodedTexts(np.frombuffer(text, np.uint8).astype(np.int32) + NUM_SPECIAL, lengths)

    def unknown(self, statistics: TextStatistics) -> Found:
        """None are."""
        del statistics
        return Found()


@lru_cache(maxsize=16)
def _lookup(tokens: tuple[str, ...]) -> tuple[pl.Series, pl.Series]:
    """Return tokens and their codes, as polars replaces them."""
    codes = pl.Series(range(NUM_SPECIAL, NUM_SPECIAL + len(tokens)), dtype=pl.Int32)
    return pl.Series(tokens, dtype=pl.String), codes
