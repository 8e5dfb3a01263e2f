"""Byte-pair encoding: parts of words, by Hugging Face's `tokenizers`, which is imported here."""

import json
from functools import lru_cache
from itertools import repeat
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, final

import numpy as np
import polars as pl

from dlcli.errors import ConfigError
from dlcli.texts.counts import Found, TextStatistics, TokenCounts
from dlcli.texts.splitting import split_spaced_words, split_words
from dlcli.texts.tokenizer import NUM_SPECIAL, CodedTexts, Tokenizer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokenizers import Tokenizer as Trained

_SPECIAL = ["[padding]", "[unknown]"]  # codes 0 and 1
_AT_ONCE = 1000


@final
class BpeTokenizer(Tokenizer):
    """Parts of words: pairs that are frequent in training texts are joined again and again."""

    noun: ClassVar[str] = "word part"
    settings: ClassVar[tuple[str, ...]] = ("vocabulary", "min_count")
    has_exact_lengths: ClassVar[bool] = False

    type: Literal["bpe"] = "bpe"
    model: str  # as the library writes it

    @classmethod
    def split(cls, texts: pl.Series) -> pl.Series:
        """Return words, each with the space in front of it."""
        return split_spaced_words(texts)

    @classmethod
    def words(cls, texts: pl.Series) -> pl.Series:
        """Return words and punctuation marks."""
        return split_words(texts)

    @classmethod
    def lengths(cls, texts: pl.Series) -> pl.Series:
        """Return the number of characters: there are no more parts."""
        return texts.str.len_chars()

    @classmethod
    def fit(cls, counts: TokenCounts, *, size: int, min_count: int) -> Self:
        """Train on words, as often as they occur."""
        require_library()
        from tokenizers import Tokenizer as Trained
        from tokenizers import models, trainers

        tokenizer = Trained(models.BPE(unk_token=_SPECIAL[1]))
        trainer = trainers.BpeTrainer(
            vocab_size=NUM_SPECIAL + size,
            min_frequency=min_count,
            special_tokens=_SPECIAL,
            show_progress=False,
        )
        tokenizer.train_from_iterator(_words(counts), trainer)
        return cls(model=tokenizer.to_str())

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """The parts, by their codes."""
        return _vocabulary(self.model)

    def encode(self, texts: pl.Series) -> CodedTexts:
        """Encode each different word once."""
        split = split_spaced_words(texts)
        lengths = split.list.len().fill_null(0)
        words = split.filter(lengths > 0).explode().rename("word")
        num_words = lengths.to_numpy().astype(np.int64)
        if not num_words.any():
            return CodedTexts(np.zeros(0, np.int32), num_words)
        different = words.unique(maintain_order=True)
        found = load_tokenizer(self.model).encode_batch(
            different.to_list(), add_special_tokens=False
        )
        codes = pl.Series([one.ids for one in found], dtype=pl.List(pl.Int32))
        places = words.replace_strict(different, pl.Series(range(len(different))))
        coded = codes.gather(places)
        of_words = coded.list.len().to_numpy().astype(np.int64)
        ends = np.concatenate([[0], np.cumsum(of_words)])[np.cumsum(num_words)]
        return CodedTexts(coded.explode().to_numpy(), np.diff(ends, prepend=0))

    def unknown(self, statistics: TextStatistics) -> Found:
        """Return the words with a character that is not in the vocabulary."""
        table = statistics.tokens.table
        characters = {part for part in self.vocabulary if len(part) == 1}
        has_other = [not characters.issuperset(word) for word in table["token"].to_list()]
        other = table.filter(pl.Series(has_other, dtype=pl.Boolean))
        return Found.of(other)


def _words(counts: TokenCounts) -> "Iterator[list[str]]":
    """Yield words as often as they occur, in an order that does not depend on blocks."""
    table = counts.table.sort("token")
    for word, count in table.select("token", "count").iter_rows():
        for first in range(0, count, _AT_ONCE):
            yield list(repeat(word, min(_AT_ONCE, count - first)))


@lru_cache(maxsize=8)
def load_tokenizer(model: str) -> "Trained":
    """Return a trained tokenizer; ConfigError where the library is not there."""
    require_library()
    from tokenizers import Tokenizer as Trained

    return Trained.from_str(model)


def require_library() -> None:
    """Raise ConfigError where the library is not there."""
    try:
        import tokenizers  # noqa: F401
    except ImportError:
        raise ConfigError(
            "data.text.tokens: bpe needs the library tokenizers: pip install 'dlcli[bpe]'"
        ) from None


@lru_cache(maxsize=8)
def _vocabulary(model: str) -> tuple[str, ...]:
    stored: dict[str, Any] = json.loads(model)
    codes: dict[str, int] = stored["model"]["vocab"]
    return tuple(sorted(codes, key=codes.__getitem__)[NUM_SPECIAL:])
