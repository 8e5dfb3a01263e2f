"""The learning-rate schedules: a class for each, with its settings and its rates."""

from typing import TYPE_CHECKING, Annotated, Any, Union

from dlcli.schedules.base import ScheduleConfig
from dlcli.schedules.constant import Constant
from dlcli.schedules.cosine import Cosine
from dlcli.schedules.coslog import Coslog
from dlcli.schedules.exponential import Exponential
from dlcli.schedules.flat_cosine import FlatCosine
from dlcli.schedules.one_cycle import OneCycle
from dlcli.schedules.reduce_on_plateau import ReduceOnPlateau
from dlcli.schedules.step import StepSchedule
from dlcli.section import ByType, type_of

SCHEDULES: tuple[type[ScheduleConfig], ...] = (
    Constant,
    StepSchedule,
    Exponential,
    Cosine,
    FlatCosine,
    OneCycle,
    Coslog,
    ReduceOnPlateau,
)

if TYPE_CHECKING:
    AnySchedule = ScheduleConfig
else:
    AnySchedule = Annotated[Union[SCHEDULES], ByType()]  # noqa: UP007 - of a tuple

DEFAULT_SCHEDULE: Any = {"type": type_of(Constant)}  # as a config would say it


def only_warm_up(epochs: float = 0.0) -> ScheduleConfig:
    """Return the schedule that does nothing after its warm-up, without one by default."""
    return Constant(type="constant", warmup_epochs=epochs)
