"""Effects of words and errors by length, where they are planted."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from dlcli.columns.ragged import RaggedColumn
from dlcli.explaining.explained_model import ExplainedModel
from dlcli.explaining.reasons.left_out_words import CutText
from dlcli.explaining.reasons.texts import TextReasons, examine_texts
from dlcli.explaining.reasons.word_effects import WordEffects
from dlcli.explaining.unavailable import Unavailable
from dlcli.report.explanation.texts import text_sections
from tests.explaining.made import make_model

TEXTS = ["Good day,all", "a bad day it was", "well then, the day", "bad old day", "day good", "it"]
CLASSES = ["yes", "no", "yes", "no", "yes", "yes"]
OWN: list[dict[str, Any]] = [{"type": "embedding", "dim": 1}, {"type": "pool_time", "pool": "max"}]
DENSE: dict[str, Any] = {"type": "dense"}
RAISE = 3.0
BESIDE = {"text": {"layers": OWN}, "table": {"layers": [{"type": "dense", "units": 1}]}}


def deciding(target: Sequence[object], token: str = "good", **options: Any) -> ExplainedModel:
    """Return a network whose last output is larger where a token is in the text."""
    columns: dict[str, list[object]] = {"text": [*TEXTS] * 8, "y": [*target] * 8}
    if "inputs" in options:
        columns["number"] = [*range(48)]
    given: dict[str, Any] = {"kinds": {"text": "text"}, **options}
    model = make_model(columns, "y", [DENSE] if "inputs" in options else [*OWN, DENSE], **given)
    [column] = [one for one in model.fitted.columns if isinstance(one, RaggedColumn)]
    assert column.reading is not None
    code = column.reading.tokenizer.vocabulary.index(token) + 2
    with torch.no_grad():
        for name, parameter in model.network.named_parameters():
            parameter.zero_()
            if "embedding" in name:
                parameter[code] = RAISE
            elif name.endswith("weight") and "table" not in name:
                parameter[-1] = 1.0
    return model


def only(model: ExplainedModel) -> tuple[TextReasons, WordEffects]:
    [reasons] = examine_texts(model, seconds=1.0)
    assert isinstance(reasons.words, WordEffects)
    return reasons, reasons.words


@pytest.mark.parametrize(
    ("token", "options"),
    [
        ("good", {}),
        ("g", {"text": {"tokens": "characters"}}),
        ("good", {"inputs": BESIDE}),
    ],
)
def test_the_word_that_decides_a_class_comes_first(token: str, options: dict[str, Any]) -> None:
    model = deciding(CLASSES, token, **options)
    reasons, words = only(model)
    [no, yes] = words.lists
    assert (no.name, no.words) == ("no", ())
    [good] = yes.words
    kept = model.parts["test"].table.frame["text"]
    assert (good.word, good.num_texts) == ("good", kept.str.contains("(?i)good").sum())
    assert good.effect == pytest.approx(RAISE, abs=1e-4)
    shaded = next(one for one in words.texts if one.prediction == one.truth == "yes")
    effects = dict(zip(shaded.text.words, shaded.effects, strict=True))
    assert effects.pop("good") == pytest.approx(RAISE, abs=1e-4)
    assert not any(effects.values())
    wrong = [one for one in words.texts if one.prediction != one.truth]
    assert {one.truth for one in wrong} == {"yes"}
    section, _ = text_sections((reasons,), model.target)
    assert f">good ({good.num_texts})<" in section.pictures[0].svg
    assert f"{shaded.position}: yes" in section.pictures[1].svg


def test_words_raise_and_lower_numbers_in_their_units() -> None:
    model = deciding([20.0, -20.0, 0.0, -20.0, 20.0, 0.0], task="regression")
    _, words = only(model)
    higher, lower = words.lists
    assert ([one.word for one in higher.words], lower.words) == (["good"], ())
    assert higher.words[0].effect == pytest.approx(RAISE * model.target.unit, rel=1e-4)


def test_each_label_has_its_words_and_no_text_is_shaded() -> None:
    model = deciding(["a;b", "a", "b", "a", "b", "b"], task="multilabel")
    reasons, words = only(model)
    found = {one.name: [word.word for word in one.words] for one in words.lists}
    assert found == {"a": [], "b": ["good"]}
    assert words.texts == ()
    section, _ = text_sections((reasons,), model.target)
    assert "no single label stands for" in section.paragraphs[-1]


def test_errors_are_those_of_texts_of_each_length() -> None:
    model = deciding(CLASSES)
    reasons, _ = only(model)
    rows = model.parts["test"].table.frame
    lengths = np.array(
        [
            {"Good day,all": 4, "well then, the day": 5}.get(text) or len(text.split())
            for text in rows["text"]
        ]
    )
    right = np.array([("good" in text.lower()) == (y == "yes") for text, y in rows.iter_rows()])
    bins = reasons.lengths.bins
    assert sum(one.num_rows for one in bins) == len(rows)
    for one in bins:
        inside = (lengths >= one.shortest) & (lengths <= one.longest)
        assert one.num_rows == inside.sum()
        assert one.mean == pytest.approx(right[inside].mean())
        assert one.low < one.mean <= one.high or one.mean == 0
    [_, section] = text_sections((reasons,), model.target)
    assert f"{bins[0].shortest}–{bins[0].longest} ({bins[0].num_rows})" in section.pictures[0].svg


def test_a_word_is_left_out_wherever_it_stands_and_its_neighbours_stay_apart() -> None:
    text = CutText(("yes", ",", "no", ",", "well"), ("", "", "", "", " "))
    assert text.without(None) == "yes,no, well"
    assert text.without(",") == "yes no well"
    assert text.without("yes") == ",no, well"
    assert text.distinct(3) == ["yes", ",", "no"]


def test_networks_without_texts_have_none() -> None:
    model = make_model({"x": [*range(48)], "y": CLASSES * 8}, "y", [DENSE])
    assert examine_texts(model, seconds=1.0) == ()


def test_of_texts_of_single_words_none_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.explaining.test_texts.TEXTS", ["good", "bad", "it"] * 2)
    model = deciding(CLASSES)
    [reasons] = examine_texts(model, seconds=1.0)
    assert reasons.words == Unavailable("no sampled text has several words")
    section, lengths = text_sections((reasons,), model.target)
    assert section.paragraphs == ("Not shown: no sampled text has several words.",)
    assert len(lengths.pictures) == 1


def test_texts_without_words_are_shown_as_such() -> None:
    reasons, words = only(deciding(CLASSES))
    empty = replace(words.texts[0], text=CutText((), ()), effects=())
    reasons = replace(reasons, words=replace(words, texts=(empty,)))
    section, _ = text_sections((reasons,), deciding(CLASSES).target)
    assert ">(no words)<" in section.pictures[1].svg
