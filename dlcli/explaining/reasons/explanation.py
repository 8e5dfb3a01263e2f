"""Why a network answers as it does: what it looks at, and what is inside of it."""

from dataclasses import dataclass

import numpy as np

from dlcli.data.target import ClassTarget, NumberTarget
from dlcli.explaining.explained_model import ExplainedModel
from dlcli.explaining.reasons.boundary import Boundary, draw_boundary
from dlcli.explaining.reasons.filters import Filters, look_at_filters
from dlcli.explaining.reasons.partial_dependence import MAX_COLUMNS, Dependences, measure_dependence
from dlcli.explaining.reasons.permutation_importance import Importances, measure_importance
from dlcli.explaining.reasons.sampling import asked_rows
from dlcli.explaining.reasons.units import UnitMaps, Units, map_units, measure_units
from dlcli.explaining.unavailable import Unavailable
from dlcli.losses import Loss
from dlcli.training.engines.threads import Threads


@dataclass(frozen=True)
class Explanation:
    """Each answer, or the reason why there is none."""

    target: ClassTarget | NumberTarget
    loss: Loss
    importance: Importances | Unavailable
    dependence: Dependences | Unavailable  # of the columns that matter most
    boundary: Boundary | Unavailable
    unit_maps: UnitMaps | Unavailable  # of the first hidden layer
    units: Units | Unavailable  # of the last one
    filters: Filters | Unavailable


def explain(subject: ExplainedModel) -> Explanation:
    """Ask the network; it is as before afterwards. A function of the subject alone."""
    # Many small questions: several threads would wait for each other longer than they work.
    with Threads(1, "questions are small").used():
        asked = asked_rows(subject, "why")
        if not np.isfinite(subject.answers(asked.rows.encoded.inputs)).all():
            return _nothing(subject, "its answers are not finite numbers")
        importance = measure_importance(subject)
        names = (
            [own.name for own in importance.columns[:MAX_COLUMNS]]
            if isinstance(importance, Importances) and importance.pixels is None
            else [column.name for column in subject.fitted.columns[:MAX_COLUMNS]]
        )
        return Explanation(
            target=subject.target,
            loss=subject.loss,
            importance=importance,
            dependence=measure_dependence(subject, names),
            boundary=draw_boundary(subject),
            unit_maps=map_units(subject),
            units=measure_units(subject),
            filters=look_at_filters(subject),
        )


def _nothing(subject: ExplainedModel, reason: str) -> Explanation:
    absent = Unavailable(reason)
    return Explanation(subject.target, subject.loss, absent, absent, absent, absent, absent, absent)
