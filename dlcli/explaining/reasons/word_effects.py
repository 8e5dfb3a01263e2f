"""Which words speak for which class: what predictions lose where a word is left out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from dlcli.columns.ragged import RaggedColumn
from dlcli.data.fields import lengths_of
from dlcli.explaining.explained_model import ExplainedModel
from dlcli.explaining.reasons.left_out_words import CutText, cut_texts, encode_texts
from dlcli.explaining.reasons.sampling import (
    SampledRows,
    choose_rows,
    sample_rows,
    work_per_row,
)
from dlcli.explaining.unavailable import Unavailable

MAX_WORDS = 60  # of a text that are left out in turn
_MAX_ROWS, _MIN_ROWS = 500, 20
_PRODUCTS = 3e9  # multiplications per second, of layers that compute step by step, too
_BLOCK_TEXTS = 512
_LEAST_TEXTS = 3  # that a word is in, if any is
_MAX_CLASSES, _NUM_WORDS = 6, 10
_TINY = 1e-300


@dataclass(frozen=True)
class WordEffect:
    """What leaving a word out takes from a prediction."""

    word: str
    effect: float  # the mean over the texts that have it
    num_texts: int


@dataclass(frozen=True)
class WordList:
    """The words that speak most for a class, or for a higher or a lower number."""

    name: str
    words: tuple[WordEffect, ...]  # the one with the largest effect first


@dataclass(frozen=True)
class ShadedText:
    """A text, and what each of its words does for its prediction."""

    position: str  # of its row, as in "line 17"
    truth: str | float
    prediction: str | float
    probability: float | None
    text: CutText
    effects: tuple[float, ...]  # of each word; 0 for those that were not left out


@dataclass(frozen=True)
class WordEffects:
    """What the words of a column do."""

    column: str
    sample: SampledRows
    is_number: bool  # effects are in the target's units rather than log-odds
    least_texts: int  # that a listed word is in
    lists: tuple[WordList, ...]
    num_classes: int
    texts: tuple[ShadedText, ...]
    has_more_words: bool  # whether a text has more than `MAX_WORDS` different words


def measure_word_effects(
    model: ExplainedModel, column: RaggedColumn, *, seconds: float
) -> WordEffects | Unavailable:
    """Leave each word of some texts out, wherever it stands there, in about so many seconds.

    Li, Monroe and Jurafsky (2016), "Understanding neural networks through representation erasure",
    arXiv:1612.08220: the effect of a word is the log-odds of a class, or the number, as predicted
    with it, less that without it.
    """
    sample = _affordable(model, column, seconds)
    predictions = model.predict(sample.rows.encoded.inputs)
    texts = cut_texts(column, sample.rows.table, model.fitted.missing_values)
    places = [(row, word) for row, text in enumerate(texts) for word in text.distinct(MAX_WORDS)]
    if all(len(set(text.words)) < 2 for text in texts):
        return Unavailable("no sampled text has several words")
    without = np.concatenate(list(_predictions_without(model, column, sample, texts, places)))
    if not np.isfinite(without).all() or not np.isfinite(predictions).all():
        return Unavailable("its predictions are not finite")
    rows = np.array([row for row, _ in places])
    effects = _scores(model, predictions)[rows] - _scores(model, without)
    names = model.target.score_names
    counts = _Counts.of([word for _, word in places], effects)
    return WordEffects(
        column=column.name,
        sample=sample,
        is_number=not names,
        least_texts=counts.least,
        lists=_lists(model, counts),
        num_classes=len(names),
        texts=_shaded(model, sample, predictions, texts, places, effects),
        has_more_words=any(len(set(text.words)) > MAX_WORDS for text in texts),
    )


def _affordable(model: ExplainedModel, column: RaggedColumn, seconds: float) -> SampledRows:
    """Return as many rows as their words can be left out of in so many seconds."""
    sample = sample_rows(model, "words", _MAX_ROWS)
    texts = cut_texts(column, sample.rows.table, model.fitted.missing_values)
    passes = 1 + sum(len(text.distinct(MAX_WORDS)) for text in texts) / len(texts)
    max_rows = seconds * _PRODUCTS / work_per_row(model.plan) / passes
    return sample_rows(model, "words", int(min(_MAX_ROWS, max(_MIN_ROWS, max_rows))))


def _predictions_without(
    model: ExplainedModel,
    column: RaggedColumn,
    sample: SampledRows,
    texts: Sequence[CutText],
    places: Sequence[tuple[int, str]],
) -> Iterator[np.ndarray]:
    """Yield the predictions for texts without one word each, block by block."""
    encoded = sample.rows.encoded
    for start in range(0, len(places), _BLOCK_TEXTS):
        block = places[start : start + _BLOCK_TEXTS]
        rows = torch.tensor([row for row, _ in block], device=encoded.device)
        inputs = {name: tensor[rows] for name, tensor in encoded.inputs.items()}
        codes, lengths = encode_texts(column, [texts[row].without(word) for row, word in block])
        for name, values in ((column.field, codes), (lengths_of(column.field), lengths)):
            like = inputs[name]
            inputs[name] = torch.from_numpy(values).to(like.device, like.dtype)
        yield model.predict(inputs)


def _scores(model: ExplainedModel, predictions: np.ndarray) -> np.ndarray:
    """Return log-odds of classes or labels, [rows, classes], or numbers, [rows, 1]."""
    if not model.target.score_names:
        return predictions.reshape(len(predictions), -1)
    if model.target.has_labels:
        others = 1 - predictions
    else:  # summed, as 1 less what is nearly 1 is not exact
        is_same = np.eye(predictions.shape[1], dtype=bool)
        others = np.where(is_same, 0.0, predictions[:, np.newaxis]).sum(axis=2)
    scores: np.ndarray = np.log(predictions.clip(min=_TINY)) - np.log(others.clip(min=_TINY))
    return scores


@dataclass(frozen=True)
class _Counts:
    """Each word's mean effects, and the number of texts that it is in."""

    words: list[str]
    effects: np.ndarray  # [words, scores]
    counts: np.ndarray  # int64 [words]
    least: int

    @classmethod
    def of(cls, words: Sequence[str], effects: np.ndarray) -> "_Counts":
        distinct = list(dict.fromkeys(words))
        number = {word: index for index, word in enumerate(distinct)}
        indices = np.array([number[word] for word in words])
        counts = np.bincount(indices)
        sums = np.stack([np.bincount(indices, column) for column in effects.T], axis=1)
        least = min(_LEAST_TEXTS, int(counts.max()))
        return cls(distinct, sums / counts[:, None], counts, least)

    def largest(self, name: str, effects: np.ndarray) -> WordList:
        """Return the words with the largest effects [words] that are above 0."""
        order = np.lexsort((-self.counts, -effects))
        chosen = [i for i in order.tolist() if self.counts[i] >= self.least and effects[i] > 0]
        return WordList(
            name,
            tuple(
                WordEffect(self.words[i], float(effects[i]), int(self.counts[i]))
                for i in chosen[:_NUM_WORDS]
            ),
        )


def _lists(model: ExplainedModel, counts: _Counts) -> tuple[WordList, ...]:
    names = model.target.score_names
    if not names:
        effects = counts.effects[:, 0]
        return counts.largest("higher", effects), counts.largest("lower", -effects)
    totals = np.array(model.target.score_totals)
    shown = np.sort(np.argsort(-totals, kind="stable")[:_MAX_CLASSES]).tolist()
    return tuple(counts.largest(names[index], counts.effects[:, index]) for index in shown)


def _shaded(
    model: ExplainedModel,
    sample: SampledRows,
    predictions: np.ndarray,
    texts: Sequence[CutText],
    places: Sequence[tuple[int, str]],
    effects: np.ndarray,
) -> tuple[ShadedText, ...]:
    """Return the texts that it is surest of and right, and those that it gets most wrong."""
    if model.target.has_labels:  # none stands for the prediction of a text
        return ()
    truth, found = model.truth(sample.rows.encoded), []
    for row in choose_rows(model, sample, predictions):
        score = int(predictions[row].argmax()) if model.target.class_names else 0
        of_row = {
            word: float(effects[index, score])
            for index, (place, word) in enumerate(places)
            if place == row
        }
        judged = model.target.judge(truth[row], predictions[row])
        found.append(
            ShadedText(
                position=sample.rows.table.position(row),
                truth=judged.truth,
                prediction=judged.prediction,
                probability=judged.probability,
                text=texts[row],
                effects=tuple(of_row.get(word, 0.0) for word in texts[row].words),
            )
        )
    return tuple(found)
