"""The config section `data.text`: what texts are cut into."""

from typing import Any, Self

import numpy as np
import polars as pl
from pydantic import Field, model_validator

from dlcli.section import PositiveInt, Section
from dlcli.texts.counts import LengthCounts, TextStatistics, TokenCounts
from dlcli.texts.family import TokenizerType, tokenizer_named
from dlcli.texts.splitting import normalise
from dlcli.texts.tokenizer import Tokenizer

MAX_LENGTH = 512


class TokenSettings(Section):
    """What the texts of a column are cut into."""

    tokens: TokenizerType = Field(
        "words",
        description="what texts are cut into: words, characters, bytes, or frequent parts of words "
        "(bpe, by the library tokenizers)",
    )
    vocabulary: PositiveInt = Field(
        20_000,
        le=1_000_000,
        description="maximum number of different tokens, the most frequent ones of the training "
        "rows; all others are one token, unknown",
    )
    min_count: PositiveInt = Field(
        2,
        description="occurrences in the training rows that a token needs; what is rarer is "
        "unknown, so that training sees unknown tokens too",
    )
    max_length: PositiveInt = Field(
        MAX_LENGTH,
        le=65_536,
        description="maximum number of tokens of a text; longer ones are cut off behind it",
    )
    lowercase: bool = Field(True, description="whether capital letters become small ones")

    @model_validator(mode="after")
    def _refuse_unused(self) -> Self:
        for key in ("vocabulary", "min_count"):
            default = TokenSettings.model_fields[key].default
            if key not in self.kind.settings and getattr(self, key) != default:
                raise ValueError(
                    f"`{key}` does nothing for {self.tokens}, of which none is unknown"
                )
        return self

    @property
    def kind(self) -> type[Tokenizer]:
        """The tokens."""
        return tokenizer_named(self.tokens)

    def normalise(self, texts: pl.Series) -> pl.Series:
        """Return texts as they are cut."""
        return normalise(texts, lowercase=self.lowercase)

    def statistics(
        self, texts: pl.Series, numbers: np.ndarray, weights: np.ndarray | None
    ) -> TextStatistics:
        """Return those of texts, null where missing, in rows numbered and weighted, [rows]."""
        texts = self.normalise(texts)
        split = self.kind.split(texts)
        counts = TokenCounts() if split is None else TokenCounts.of(split, numbers, weights)
        known = texts.is_not_null()
        lengths = self.kind.lengths(texts.filter(known)).to_numpy()
        of_rows = LengthCounts.of(lengths, numbers[known.to_numpy()], at_most=self.max_length)
        first, last = pl.Series([texts.min(), texts.max()], dtype=pl.String)
        return TextStatistics(counts, of_rows, first, last)

    def fit(self, statistics: TextStatistics) -> Tokenizer:
        """Fit to the training rows."""
        return self.kind.fit(statistics.tokens, size=self.vocabulary, min_count=self.min_count)


class _ColumnTokenSettings(Section):
    """The same for one column; what is not given is as for all."""

    tokens: TokenizerType | None = Field(None, description="what its texts are cut into")
    vocabulary: PositiveInt | None = Field(
        None, le=1_000_000, description="maximum number of different tokens"
    )
    min_count: PositiveInt | None = Field(None, description="occurrences that a token needs")
    max_length: PositiveInt | None = Field(
        None, le=65_536, description="maximum number of tokens of a text"
    )
    lowercase: bool | None = Field(None, description="whether capital letters become small ones")


class TextSettings(TokenSettings):
    """What texts become. Columns of the kind `text` use it."""

    columns: dict[str, _ColumnTokenSettings] = Field(
        {}, description="settings of single columns, by name; what is not given is as for all"
    )

    def of(self, column: str) -> TokenSettings:
        """Return the settings of a column."""
        given: dict[str, Any] = self.model_dump(exclude={"columns"})
        of_column = self.columns.get(column)
        if of_column is not None:
            given |= of_column.model_dump(exclude_none=True)
        return TokenSettings.model_validate(given)
