"""What every optimizer says about itself: its settings and its update rule."""

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from dlcli.optimizers.update_state import UpdateState
from dlcli.schedules import only_warm_up
from dlcli.schedules.base import ScheduleConfig
from dlcli.schedules.scheduled_number import NumberOrSchedule, highest
from dlcli.section import Fraction, Section

if TYPE_CHECKING:
    from torch import Tensor

LearningRate = Annotated[float, Field(gt=0, description="learning rate")]
WeightDecay = Annotated[
    NumberOrSchedule,
    Field(description="weight decay coefficient, or how it changes over the steps"),
]
Betas = Annotated[
    tuple[Fraction, Fraction],
    Field(strict=False, description="decay rates of the means of the gradient and of its square"),
]
Epsilon = Annotated[
    float, Field(gt=0, description="added to the denominator for numerical stability")
]
Momentum = Annotated[Fraction, Field(description="momentum factor")]


class OptimizerConfig(Section):
    """An optimizer: a section of the config with torch.optim's names, defaults and update rule."""

    type: str
    lr: LearningRate
    weight_decay: WeightDecay = 0.0

    has_decoupled_weight_decay: ClassVar[bool] = False  # apart from the gradient
    follows_lr: ClassVar[bool] = True  # at every step, not only at the first
    replaces_schedule: ClassVar[bool] = False  # by an average of the weights
    averages_weights: ClassVar[bool] = False  # and the average is judged and predicted with
    # Numbers kept for all parameters that differ with the learning rate: one for each run.
    scalars_of_lr: ClassVar[frozenset[str]] = frozenset()
    has_double_scalars: ClassVar[bool] = False  # in float64
    presets: ClassVar[dict[str, dict[str, Any]]] = {}  # settings that have a name of their own
    is_usual: ClassVar[bool] = False  # compared, with its presets, unless others are named

    @property
    @abstractmethod
    def high_lr(self) -> float:
        """The learning rate from which on it is unusually high."""

    @abstractmethod
    def initial_state(self) -> dict[str, float]:
        """Return torch.optim's key and the initial value of each number kept per parameter."""

    def state_shapes(self, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:  # noqa: ARG002
        """Return torch.optim's key and the shape of what is kept for a parameter of a shape.

        That is beside the initial state, and begins with zeros.
        """
        return {}

    @abstractmethod
    def update(self, run: UpdateState) -> None:
        """Change the parameters by their gradient, and the state with them."""

    def initial_scalars(self) -> dict[str, float]:
        """Return torch.optim's key and the initial value of each number kept for all parameters."""
        return {}

    def judged_values(self, run: UpdateState) -> "Tensor | None":  # noqa: ARG002
        """Return the parameters to judge and to predict with; None: those that are trained."""
        return None

    def num_kept(self, num_parameters: int, matrices: Sequence[tuple[int, ...]]) -> int:
        """Return how many numbers are kept for parameters, of which some have several axes."""
        alike = len(self.initial_state()) * num_parameters
        shaped = sum(
            math.prod(kept) for shape in matrices for kept in self.state_shapes(shape).values()
        )
        num_others = num_parameters - sum(map(math.prod, matrices))
        return alike + shaped + num_others * len(self.state_shapes((1,)))

    def schedule_that_acts(self, schedule: ScheduleConfig) -> ScheduleConfig:
        """Return what of a schedule this optimizer can use: all of it, its warm-up, or nothing."""
        if not self.follows_lr:
            return only_warm_up()
        if self.replaces_schedule:
            return only_warm_up(schedule.warmup_epochs)
        return schedule

    @property
    def highest_weight_decay(self) -> float:
        """The weight decay, or the highest where it changes."""
        return highest(self.weight_decay)

    @property
    def shrinks_weights_directly(self) -> bool:
        """Whether weight decay takes lr × weight_decay of each weight, whatever the gradient."""
        return self.has_decoupled_weight_decay

    @property
    def heavy_weight_decay(self) -> float:
        """The weight decay from which on a network can hardly learn."""
        return 1.0 if self.has_decoupled_weight_decay else 0.05

    def simplified(self) -> "OptimizerConfig":
        """Return the simplest optimizer that takes the same steps."""
        return self
