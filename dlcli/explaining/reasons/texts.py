"""What a network makes of each column of texts: the effects of words, and errors by length."""

from dataclasses import dataclass

from dlcli.columns.ragged import RaggedColumn
from dlcli.explaining.explained_model import ExplainedModel
from dlcli.explaining.reasons.errors_by_length import ErrorsByLength, errors_by_length
from dlcli.explaining.reasons.word_effects import WordEffects, measure_word_effects
from dlcli.explaining.unavailable import Unavailable

_FOR_LENGTHS = 0.2  # of the time; the words have the rest


@dataclass(frozen=True)
class TextReasons:
    """What is known of one column of texts."""

    column: str
    words: WordEffects | Unavailable
    lengths: ErrorsByLength


def examine_texts(model: ExplainedModel, *, seconds: float) -> tuple[TextReasons, ...]:
    """Ask about each column of texts that the network sees, in about so many seconds."""
    inputs = model.parts[model.judged_part].encoded.inputs
    columns = [
        column
        for column in model.fitted.columns
        if isinstance(column, RaggedColumn) and column.reading and column.field in inputs
    ]
    share = seconds / max(1, len(columns))
    return tuple(
        TextReasons(
            column.name,
            measure_word_effects(model, column, seconds=(1 - _FOR_LENGTHS) * share),
            errors_by_length(model, column, seconds=_FOR_LENGTHS * share),
        )
        for column in columns
    )
