"""Columns of text: fitting, codes, and what is said of unknown words and long texts."""

import numpy as np
import pytest
from pydantic import TypeAdapter

from dlcli.columns.base import Tokens
from dlcli.columns.column_statistics import ColumnStatistics
from dlcli.columns.family import (
    FittedColumn,
    column_statistics,
    infer_from,
    kind_named,
    unused_settings,
)
from dlcli.columns.ragged import RaggedColumn
from tests.columns.test_family import MISSING, config, statistics, table

KIND = kind_named("text")
CELLS = ["the cat sat", "The cat sat, sat", "NA", "", "the the"]


def fit(cells: list[str], **text: object) -> RaggedColumn:
    settings = config(text=text)
    column = KIND.fit(of_texts(cells, **text), settings)
    assert isinstance(column, RaggedColumn)
    return column


def of_texts(cells: list[str], **text: object) -> ColumnStatistics:
    return column_statistics(table(cells), "x", MISSING, kind="text", text=config(text=text).text)


@pytest.mark.parametrize("tokens", ["words", "characters", "bytes", "bpe"])
def test_it_comes_back_equal_from_a_checkpoint(tokens: str) -> None:
    column = fit(CELLS, tokens=tokens)
    again = TypeAdapter(FittedColumn).validate_json(column.model_dump_json())
    assert again == column
    (codes, lengths), _ = column.encode_rows(table(CELLS), MISSING)
    (same, ends), _ = again.encode_rows(table(CELLS), MISSING)
    assert (codes.tolist(), lengths.tolist()) == (same.tolist(), ends.tolist())
    assert column.sequence.longest >= lengths.max()
    assert isinstance(column.sequence, Tokens)
    assert column.sequence.num_codes > codes.max()


def test_rows_are_as_long_as_their_texts_and_padded_with_zeros() -> None:
    column = fit(CELLS)
    (codes, lengths), unseen = column.encode_rows(table(CELLS), MISSING)
    assert lengths.tolist() == [3, 5, 0, 0, 2]
    assert codes.tolist() == [2, 4, 3, 2, 4, 3, 1, 3, 2, 2]
    assert len(unseen) == 1  # the comma occurs once only
    padded, _ = column.encode(table(CELLS), MISSING)
    assert padded[0].tolist() == [2, 4, 3, 0, 0]


def test_unknown_words_and_cut_texts_are_said_alike_by_encoding_and_by_statistics() -> None:
    column = fit(CELLS)
    cells = [*CELLS, "the dog and the cat and the dog"]
    encoded, unseen = column.encode_rows(table(cells), MISSING)
    assert encoded.lengths.max() == 5
    said = [str(one) for one in unseen]
    assert said[0].startswith("column 'x': 5 of 18 words unseen in training")
    assert said[0].endswith("first at f.csv, line 3")
    assert said[1].startswith("column 'x': 1 of 6 texts longer than")
    assert said[1].endswith("first at f.csv, line 7")
    assert column.find_unseen(of_texts(cells)) == unseen
    assert not any(one.are_most for one in unseen)


def test_a_column_of_other_words_is_warned_about() -> None:
    _, unseen = fit(CELLS).encode_rows(table(["völlig andere Wörter", "the"]), MISSING)
    assert unseen[0].are_most
    assert "holds almost nothing that training saw: 3 of 4 words are unseen" in unseen[0].warning


def test_training_texts_that_are_cut_are_said() -> None:
    column = fit(CELLS, max_length=2)
    [note] = column.notes(of_texts(CELLS, max_length=2))
    assert note == "'x': 2 training texts cut off behind 2 words (data.text.max_length)"
    (_, lengths), _ = column.encode_rows(table(CELLS), MISSING)
    assert lengths.tolist() == [2, 2, 0, 0, 2]


def test_it_is_constant_where_all_texts_are_the_same() -> None:
    for cells, is_constant in (
        (["a b", "a b"], True),
        (["a b", "a c"], False),
        (["a b", "NA"], False),
        (["NA", "NA"], True),
    ):
        found = of_texts(cells)
        assert KIND.fit(found, config()).is_constant(found) == is_constant


def test_numbers_can_be_texts_too() -> None:
    column = fit(["10", "20", "10"], tokens="characters")
    (_, lengths), unseen = column.encode_rows(table(["10", "20", "10"]), MISSING)
    assert lengths.tolist() == [2, 2, 2]
    assert [one.count for one in unseen] == [1]  # the 2


def test_sentences_that_are_no_feature_are_told_how_they_would_be() -> None:
    cells = [f"row {number} of the table" for number in range(200)]
    inference = infer_from(statistics(table(cells), kind_named("categorical")))
    assert inference.kind is None
    assert inference.reason.endswith("to read its words, set data.kinds: {x: text}")


def test_its_setting_is_unused_without_a_text() -> None:
    assert dict(unused_settings([], {"text"})) == {"text": KIND.settings["text"]}
    assert not [*unused_settings([fit(CELLS)], {"text"})]


def test_its_encoding_is_told_in_words() -> None:
    column = fit(CELLS)
    assert column.encoding_in_short(config()) == "3 different words, lower case, at most 5 a row"
    assert column.continued(fit(["other words"])) == fit(["other words"])
    assert np.isin(column.parts, ["token"]).all()
