"""Text in one Unicode form, cut into words or characters."""

import polars as pl

# Scripts that are written without spaces between words: each letter is a word.
_UNSPACED = r"\p{Han}\p{Hiragana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_LETTER = rf"[[\p{{L}}_]--[{_UNSPACED}]]"
_LATER = rf"[[\p{{L}}\p{{M}}_]--[{_UNSPACED}]]"
_JOINED = rf"[\x{{200C}}\x{{200D}}]\p{{L}}|['’][[\p{{L}}]--[{_UNSPACED}]]"  # as in don't
_EMOJI = (
    r"\p{Regional_Indicator}{2}|[0-9#*]\x{FE0F}?\x{20E3}"
    r"|\p{Extended_Pictographic}"
    r"(?:\p{Emoji_Modifier}|\x{FE0F}|\x{200D}\p{Extended_Pictographic})*"
)
_WORD = rf"{_EMOJI}|[{_UNSPACED}]\p{{M}}*|{_LETTER}(?:{_LATER}|{_JOINED})*|\S\p{{M}}*"
_SPACED_WORD = rf"\s?(?:{_WORD})|\s"


def normalise(texts: pl.Series, *, lowercase: bool) -> pl.Series:
    """Return texts in Unicode's form NFC, in which é is one character however it was typed."""
    return (texts.str.to_lowercase() if lowercase else texts).str.normalize("NFC")


def split_words(texts: pl.Series) -> pl.Series:
    """Return the words of each text, List(String), null where it is null.

    A word is letters and marks in a row, with apostrophes between letters. An emoji is one word,
    with all that it is joined of. So is any other character that is no space; a digit too, as most
    numbers are too rare to be known as a whole.
    """
    return texts.str.extract_all(_WORD)


def split_spaced_words(texts: pl.Series) -> pl.Series:
    """Return the same with the space in front of each word: together they are the text again."""
    return texts.str.extract_all(_SPACED_WORD)


def split_characters(texts: pl.Series) -> pl.Series:
    """Return the Unicode characters of each text, spaces among them, null where it is null."""
    return texts.str.extract_all(r"(?s).")
