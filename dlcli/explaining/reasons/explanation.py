"""All explanations of one network."""

from dataclasses import dataclass

import numpy as np

from dlcli.explaining.explained_model import ExplainedModel
from dlcli.explaining.reasons.attention_maps import AttentionMaps, find_attention
from dlcli.explaining.reasons.boundary import Boundary, compute_boundary
from dlcli.explaining.reasons.filters import Filters, find_filters
from dlcli.explaining.reasons.partial_dependence import (
    MAX_COLUMNS,
    PartialDependence,
    measure_partial_dependence,
)
from dlcli.explaining.reasons.permutation_importance import (
    SECONDS,
    PermutationImportance,
    measure_importance,
)
from dlcli.explaining.reasons.sampling import sample_rows
from dlcli.explaining.reasons.texts import TextReasons, examine_texts
from dlcli.explaining.reasons.units import HiddenUnits, UnitMaps, map_units, measure_units
from dlcli.explaining.unavailable import Unavailable
from dlcli.losses import Loss
from dlcli.targets.base import Target
from dlcli.training.engines.threads import using_threads


@dataclass(frozen=True)
class Explanation:
    """Each result, or the reason why it is unavailable."""

    target: Target
    loss: Loss
    importance: PermutationImportance | Unavailable
    dependence: PartialDependence | Unavailable  # on the most important columns
    boundary: Boundary | Unavailable
    unit_maps: UnitMaps | Unavailable  # of the first hidden layer
    units: HiddenUnits | Unavailable  # of the last hidden layer
    filters: Filters | Unavailable
    attention: tuple[AttentionMaps, ...] = ()  # of each input with attention
    texts: tuple[TextReasons, ...] = ()  # of each column of texts


def explain(model: ExplainedModel, *, seconds: float = SECONDS) -> Explanation:
    """Ask the network; it is as before afterwards. Importance takes about so many seconds.

    Texts take as many again.
    """
    # Many small questions: several threads would wait for each other longer than they work.
    with using_threads(1):
        sample = sample_rows(model, "why")
        if not np.isfinite(model.predict(sample.rows.encoded.inputs)).all():
            return _unavailable(model, "its predictions are not finite")
        importance = measure_importance(model, seconds=seconds)
        names = (
            [column.name for column in importance.columns[:MAX_COLUMNS]]
            if isinstance(importance, PermutationImportance) and importance.pixels is None
            else [column.name for column in model.fitted.columns[:MAX_COLUMNS]]
        )
        return Explanation(
            target=model.target,
            loss=model.loss,
            importance=importance,
            dependence=measure_partial_dependence(model, names),
            boundary=compute_boundary(model),
            unit_maps=map_units(model),
            units=measure_units(model),
            filters=find_filters(model),
            attention=find_attention(model),
            texts=examine_texts(model, seconds=seconds),
        )


def _unavailable(model: ExplainedModel, reason: str) -> Explanation:
    nothing = Unavailable(reason)
    return Explanation(model.target, model.loss, *6 * (nothing,))
