"""What texts are cut into, and what is fitted to them."""

import sys

import numpy as np
import polars as pl
import pytest

from dlcli.errors import ConfigError
from dlcli.texts import counts
from dlcli.texts.counts import TextStatistics
from dlcli.texts.family import TOKENIZERS, FittedTokenizer
from dlcli.texts.settings import TextSettings, TokenSettings
from dlcli.texts.splitting import normalise, split_characters, split_spaced_words, split_words

TEXTS = ["the cat sat", "The cat, the hat!", None, "", "a cat's life\nin 2024", "naïve 👍🏽 the"]
NAMES = [kind.model_fields["type"].default for kind in TOKENIZERS]


def statistics(texts: list[str | None], of: TokenSettings, first: int = 0) -> TextStatistics:
    numbers = np.arange(first, first + len(texts))
    return of.statistics(pl.Series(texts, dtype=pl.String), numbers, None)


def fitted(name: str, **settings: object) -> tuple[TokenSettings, FittedTokenizer]:
    of = TextSettings.model_validate({"tokens": name, **settings}).of("x")
    return of, of.fit(statistics(TEXTS, of))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don't stop—l’été, 3.50£!!", "Don't stop — l’été , 3 . 5 0 £ ! !"),
        ("foo_bar x-y", "foo_bar x - y"),
        ("漢字とカタカナーです。abc漢", "漢 字 と カタカナー で す 。 abc 漢"),
        ("สวัสดี", "ส วั ส ดี"),
        ("می\u200cخواهم हिन्दी में", "می\u200cخواهم हिन्दी में"),
        ("👩\u200d👩\u200d👧👍🏽🇩🇪🇫🇷1️⃣", "👩\u200d👩\u200d👧 👍🏽 🇩🇪 🇫🇷 1️⃣"),
        (" \t ", ""),
    ],
)
def test_words_are_what_readers_of_a_script_take_for_words(text: str, words: str) -> None:
    assert split_words(pl.Series([text])).to_list() == [words.split()]


def test_no_character_is_lost_where_spaces_count() -> None:
    texts = pl.Series(["a  b\n\tc ", " 👩\u200d👩 漢 d'e"])
    for split in (split_characters, split_spaced_words):
        assert split(texts).list.join("").to_list() == texts.to_list()


def test_a_letter_is_the_same_however_it_was_typed() -> None:
    typed = pl.Series(["Cafe\u0301", "CAFÉ"])
    assert normalise(typed, lowercase=True).to_list() == ["café", "café"]
    assert normalise(typed, lowercase=False).to_list() == ["Café", "CAFÉ"]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_fitted_adds_up_over_blocks(name: str) -> None:
    of, whole = fitted(name)
    blocks = [statistics(TEXTS[at : at + 1], of, at) for at in range(len(TEXTS))]
    added = blocks[0]
    for block in blocks[1:]:
        added += block
    assert of.fit(added) == whole
    every = statistics(TEXTS, of)
    assert added.lengths.rows.tolist() == every.lengths.rows.tolist()
    assert (added.first, added.last) == (every.first, every.last)
    assert whole.unknown(added) == whole.unknown(every)


@pytest.mark.parametrize("name", NAMES)
def test_texts_are_coded_alike_at_once_and_one_by_one(name: str) -> None:
    of, tokenizer = fitted(name)
    texts = of.normalise(pl.Series(TEXTS))
    whole = tokenizer.encode(texts)
    single = [tokenizer.encode(texts[at : at + 1]) for at in range(len(texts))]
    assert whole.codes.tobytes() == np.concatenate([one.codes for one in single]).tobytes()
    assert whole.lengths.tolist() == [int(one.lengths[0]) for one in single]
    assert whole.codes.dtype == np.int32
    assert whole.codes.min() >= 1
    assert whole.codes.max() < tokenizer.num_codes
    assert whole.lengths.tolist()[2:4] == [0, 0]


@pytest.mark.parametrize("name", NAMES)
def test_unknown_tokens_are_counted_as_they_are_coded(name: str) -> None:
    of, tokenizer = fitted(name)
    other = ["zzz the ∑∑", "cat"]
    coded = tokenizer.encode(of.normalise(pl.Series(other)))
    unknown = tokenizer.unknown(statistics([*other], of, 5))
    assert (unknown.count > 0) == bool((coded.codes == 1).any()) == (name != "bytes")
    if name in ("words", "characters"):
        assert unknown.count == (coded.codes == 1).sum()
        assert unknown.number == 5


def test_the_vocabulary_is_of_the_most_frequent_tokens() -> None:
    _, words = fitted("words", vocabulary=2)
    assert words.vocabulary == ("the", "2")
    _, words = fitted("words", min_count=1)
    assert {"naïve", "👍🏽", "cat's", "2"} < {*words.vocabulary}
    weights = np.array([1.0, 1, 1, 1, 9, 1])
    of = TextSettings().of("x")
    weighted = of.statistics(pl.Series(TEXTS), np.arange(6), weights)
    assert of.fit(weighted).vocabulary[0] == "2"  # of the row that counts nine times, twice


def test_counts_are_bounded_and_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "MAX_COUNTED", 4)
    monkeypatch.setattr(counts, "_NUM_KEPT", 2)
    of = TextSettings(min_count=1).of("x")
    found = statistics(["a b c a b"], of) + statistics(["d e a"], of, 1)
    assert found.tokens.are_pruned
    assert len(found.tokens.table) <= 4
    assert of.fit(found).vocabulary[0] == "a"


def test_settings_of_one_column_override_those_of_all() -> None:
    settings = TextSettings.model_validate(
        {"tokens": "words", "max_length": 9, "columns": {"name": {"tokens": "characters"}}}
    )
    assert settings.of("name").tokens == "characters"
    assert settings.of("name").max_length == 9
    assert settings.of("other").tokens == "words"


def test_settings_that_do_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="`vocabulary` does nothing for bytes"):
        TextSettings.model_validate({"tokens": "bytes", "vocabulary": 9})


def test_without_the_library_bpe_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(ConfigError, match=r"pip install 'dlcli\[bpe\]'"):
        fitted("bpe")
