"""Rprop (Riedmiller and Braun 1993, *A direct adaptive method for faster backpropagation*)."""

from typing import Annotated, ClassVar, Literal, Self, final

from pydantic import Field, model_validator

from dlcli.optimizers.base import LearningRate, OptimizerConfig
from dlcli.optimizers.update_state import UpdateState
from dlcli.section import PositiveFloat

_Factors = tuple[Annotated[float, Field(gt=0, lt=1)], Annotated[float, Field(gt=1)]]
_Lengths = tuple[PositiveFloat, PositiveFloat]


@final
class Rprop(OptimizerConfig):
    """Steps along the gradient's sign, longer while it stays; for full batches."""

    type: Literal["rprop"]
    lr: LearningRate = 1e-2
    etas: _Factors = Field(
        (0.5, 1.2),
        strict=False,
        description="factors of a step's length where the sign turned, and where not",
    )
    step_sizes: _Lengths = Field(
        (1e-6, 50.0), strict=False, description="shortest and longest step"
    )

    high_lr: ClassVar[float] = 1.0
    follows_lr: ClassVar[bool] = False

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.step_sizes[0] >= self.step_sizes[1]:
            raise ValueError("`step_sizes`: the shortest step must be shorter than the longest")
        return self

    def initial_state(self) -> dict[str, float]:
        """Keep the gradient before, and the length of the step."""
        return {"prev": 0.0, "step_size": 0.0}

    def update(self, run: UpdateState) -> None:
        """Lengthen steps whose sign stays, shorten the others and leave them out once."""
        gradient = run.decayed_gradient(run.weight_decay)
        previous, step_size = run.state["prev"], run.state["step_size"]
        if run.num_steps == 1:
            step_size.zero_().add_(run.lr)
        turn = (gradient * previous).sign_()
        is_back = turn < 0
        factor = turn.masked_fill(turn > 0, self.etas[1]).masked_fill_(is_back, self.etas[0])
        factor.masked_fill_(turn == 0, 1)
        step_size.mul_(factor).clamp_(*self.step_sizes)
        previous.copy_(gradient).masked_fill_(is_back, 0)
        run.values.addcmul_(previous.sign(), step_size, value=-1)
