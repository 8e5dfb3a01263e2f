"""The optimizers: a class for each, with its settings and its update rule."""

from typing import TYPE_CHECKING, Annotated, Any, Union

from dlcli.optimizers.adadelta import Adadelta
from dlcli.optimizers.adagrad import Adagrad
from dlcli.optimizers.adam import Adam, AdamW
from dlcli.optimizers.adamax import Adamax
from dlcli.optimizers.averaged.asgd import Asgd
from dlcli.optimizers.averaged.schedule_free_adamw import ScheduleFreeAdamW
from dlcli.optimizers.base import OptimizerConfig
from dlcli.optimizers.matrices.adafactor import Adafactor
from dlcli.optimizers.matrices.muon import Muon
from dlcli.optimizers.nadam import NAdam
from dlcli.optimizers.radam import RAdam
from dlcli.optimizers.rmsprop import RmsProp
from dlcli.optimizers.rprop import Rprop
from dlcli.optimizers.sgd import Sgd
from dlcli.section import ByType, type_of

OPTIMIZERS: tuple[type[OptimizerConfig], ...] = (
    Sgd,
    Adam,
    AdamW,
    RmsProp,
    Adagrad,
    Adadelta,
    NAdam,
    RAdam,
    Adamax,
    Muon,
    Adafactor,
    Asgd,
    Rprop,
    ScheduleFreeAdamW,
)

if TYPE_CHECKING:
    AnyOptimizer = OptimizerConfig
else:
    AnyOptimizer = Annotated[Union[OPTIMIZERS], ByType()]  # noqa: UP007 - of a tuple

DEFAULT_OPTIMIZER: Any = {"type": type_of(Adam)}  # as a config would say it

# Names for optimizers with some of their settings; every optimizer's type is such a name too.
PRESETS: dict[str, dict[str, Any]] = {
    name: {"type": type_of(optimizer), **settings}
    for optimizer in OPTIMIZERS
    for name, settings in {type_of(optimizer): {}, **optimizer.presets}.items()
}
USUAL_PRESETS = tuple(
    name
    for optimizer in OPTIMIZERS
    if optimizer.is_usual
    for name in (type_of(optimizer), *optimizer.presets)
)
