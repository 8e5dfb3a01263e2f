"""Why a network answers as it does: what it looks at, and what is inside of it."""

from dataclasses import dataclass

import numpy as np

from dlcli.config.objectives import Loss
from dlcli.data.target import ClassTarget, NumberTarget
from dlcli.explaining.absent import Absent
from dlcli.explaining.reasons.asked import asked_rows
from dlcli.explaining.reasons.boundary import Boundary, draw_boundary
from dlcli.explaining.reasons.dependence import MOST_COLUMNS, Dependences, measure_dependence
from dlcli.explaining.reasons.filters import Filters, look_at_filters
from dlcli.explaining.reasons.importance import Importances, measure_importance
from dlcli.explaining.reasons.units import UnitMaps, Units, map_units, measure_units
from dlcli.explaining.subject import Subject
from dlcli.training.threads import Threads


@dataclass(frozen=True)
class Why:
    """Each answer, or the reason why there is none."""

    target: ClassTarget | NumberTarget
    loss: Loss
    importance: Importances | Absent
    dependence: Dependences | Absent  # of the columns that matter most
    boundary: Boundary | Absent
    unit_maps: UnitMaps | Absent  # of the first hidden layer
    units: Units | Absent  # of the last one
    filters: Filters | Absent


def explain(subject: Subject) -> Why:
    """Ask the network; it is as before afterwards. A function of the subject alone."""
    # Many small questions: several threads would wait for each other longer than they work.
    with Threads(1, "questions are small").used():
        asked = asked_rows(subject, "why")
        if not np.isfinite(subject.answers(asked.rows.encoded)).all():
            return _nothing(subject, "its answers are not finite numbers")
        importance = measure_importance(subject)
        names = (
            [own.name for own in importance.columns[:MOST_COLUMNS]]
            if isinstance(importance, Importances) and importance.pixels is None
            else [column.name for column in subject.fitted.columns[:MOST_COLUMNS]]
        )
        return Why(
            target=subject.target,
            loss=subject.loss,
            importance=importance,
            dependence=measure_dependence(subject, names),
            boundary=draw_boundary(subject),
            unit_maps=map_units(subject),
            units=measure_units(subject),
            filters=look_at_filters(subject),
        )


def _nothing(subject: Subject, reason: str) -> Why:
    absent = Absent(reason)
    return Why(subject.target, subject.loss, absent, absent, absent, absent, absent, absent)
