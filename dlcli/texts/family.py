"""The members of the family of tokens, and the one that a config names."""

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from dlcli.texts.bpe import BpeTokenizer
from dlcli.texts.tokenizer import ByteTokenizer, CharacterTokenizer, Tokenizer, WordTokenizer

TOKENIZERS: tuple[type[Tokenizer], ...] = (
    WordTokenizer,
    CharacterTokenizer,
    ByteTokenizer,
    BpeTokenizer,
)

if TYPE_CHECKING:
    TokenizerType = str
    FittedTokenizer = Tokenizer
else:
    TokenizerType = Literal[tuple(kind.model_fields["type"].default for kind in TOKENIZERS)]
    FittedTokenizer = Annotated[reduce(or_, TOKENIZERS), Field(discriminator="type")]


def tokenizer_named(name: TokenizerType) -> type[Tokenizer]:
    """Return the tokens that a config calls so."""
    return next(kind for kind in TOKENIZERS if kind.model_fields["type"].default == name)
