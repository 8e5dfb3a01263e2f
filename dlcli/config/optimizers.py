"""The config's `optimizer` and `schedule`. Names and defaults are torch.optim's."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from dlcli.section import (
    Fraction,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
    Section,
)

Betas = Annotated[tuple[Fraction, Fraction], Field(strict=False)]


def _lr(default: float) -> float:
    return Field(default, gt=0, description="learning rate")


def _weight_decay(default: float = 0.0) -> float:
    return Field(default, ge=0, description="pull of every parameter towards zero")


def _betas() -> tuple[float, float]:
    return Field((0.9, 0.999), description="decay of the gradient's and its square's running mean")


def _eps(default: float) -> float:
    return Field(default, gt=0, description="added to the denominator")


class Sgd(Section):
    """Gradient descent: the gradient times the learning rate."""

    type: Literal["sgd"]
    lr: float = _lr(1e-3)
    momentum: Fraction = Field(0.0, description="share of the last step that goes into this one")
    dampening: Fraction = Field(0.0, description="share of the gradient left out of the momentum")
    weight_decay: float = _weight_decay()
    nesterov: bool = Field(False, description="look ahead along the momentum")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.nesterov and (not self.momentum or self.dampening):
            raise ValueError("`nesterov` needs `momentum` above 0 and `dampening` 0")
        if self.dampening and not self.momentum:
            raise ValueError("`dampening` does nothing without `momentum`")
        return self


class Adam(Section):
    """Steps scaled by running means of the gradient and its square."""

    type: Literal["adam"]
    lr: float = _lr(1e-3)
    betas: Betas = _betas()
    eps: float = _eps(1e-8)
    weight_decay: float = _weight_decay()
    amsgrad: bool = Field(False, description="keep the largest mean square seen")


class AdamW(Section):
    """Adam with weight decay apart from the gradient."""

    type: Literal["adamw"]
    lr: float = _lr(1e-3)
    betas: Betas = _betas()
    eps: float = _eps(1e-8)
    weight_decay: float = _weight_decay(1e-2)
    amsgrad: bool = Field(False, description="keep the largest mean square seen")


class Adadelta(Section):
    """Steps scaled by the running size of past steps and gradients."""

    type: Literal["adadelta"]
    lr: float = _lr(1.0)
    rho: Fraction = Field(0.9, description="decay of the running means")
    eps: float = _eps(1e-6)
    weight_decay: float = _weight_decay()


class Adagrad(Section):
    """Steps scaled by the sum of all squared gradients so far."""

    type: Literal["adagrad"]
    lr: float = _lr(1e-2)
    lr_decay: NonNegativeFloat = Field(0.0, description="lr / (1 + step × lr_decay)")
    weight_decay: float = _weight_decay()
    initial_accumulator_value: NonNegativeFloat = Field(0.0, description="the sum to start from")
    eps: float = _eps(1e-10)


class RmsProp(Section):
    """Steps scaled by the running mean of the squared gradient."""

    type: Literal["rmsprop"]
    lr: float = _lr(1e-2)
    alpha: Fraction = Field(0.99, description="decay of the running mean")
    eps: float = _eps(1e-8)
    weight_decay: float = _weight_decay()
    momentum: Fraction = Field(0.0, description="share of the last step that goes into this one")
    centered: bool = Field(False, description="divide by the variance, not the mean square")


class NAdam(Section):
    """Adam with Nesterov momentum."""

    type: Literal["nadam"]
    lr: float = _lr(2e-3)
    betas: Betas = _betas()
    eps: float = _eps(1e-8)
    weight_decay: float = _weight_decay()
    momentum_decay: NonNegativeFloat = Field(4e-3, description="how fast the momentum warms up")


class RAdam(Section):
    """Adam that takes plain steps until its second moment can be trusted."""

    type: Literal["radam"]
    lr: float = _lr(1e-3)
    betas: Betas = _betas()
    eps: float = _eps(1e-8)
    weight_decay: float = _weight_decay()


class Adamax(Section):
    """Adam with the largest gradient in place of the mean square."""

    type: Literal["adamax"]
    lr: float = _lr(2e-3)
    betas: Betas = _betas()
    eps: float = _eps(1e-8)
    weight_decay: float = _weight_decay()


Optimizer = Annotated[
    Sgd | Adam | AdamW | Adadelta | Adagrad | RmsProp | NAdam | RAdam | Adamax,
    Field(discriminator="type"),
]


class _Schedule(Section):
    warmup_epochs: NonNegativeFloat = Field(
        0.0, description="epochs, in fractions too, over which the rate first rises from near 0"
    )


class Constant(_Schedule):
    """The learning rate as it is."""

    type: Literal["constant"]


class StepSchedule(_Schedule):
    """The learning rate times `gamma` every `step_size` epochs."""

    type: Literal["step"]
    step_size: PositiveInt = Field(description="epochs from one fall to the next")
    gamma: float = Field(0.1, gt=0, le=1, description="the factor")


class Exponential(_Schedule):
    """The learning rate times `gamma` every epoch."""

    type: Literal["exponential"]
    gamma: float = Field(gt=0, le=1, description="the factor")


class Cosine(_Schedule):
    """Half a cosine from the learning rate down to `eta_min`, step by step, over all epochs."""

    type: Literal["cosine"]
    eta_min: NonNegativeFloat = Field(0.0, description="the learning rate at the end")


class OneCycle(_Schedule):
    """Up from lr / `div_factor` to lr, then down, by cosines, step by step, over all epochs."""

    type: Literal["one_cycle"]
    pct_start: float = Field(0.3, gt=0, lt=1, description="share of the steps that go up")
    div_factor: float = Field(25.0, ge=1, description="lr over the first learning rate")
    final_div_factor: float = Field(1e4, ge=1, description="the first learning rate over the last")


class ReduceOnPlateau(_Schedule):
    """The learning rate times `factor` when the validation loss has stopped falling."""

    type: Literal["reduce_on_plateau"]
    factor: float = Field(0.1, gt=0, lt=1, description="the factor")
    patience: NonNegativeInt = Field(10, description="epochs without a better loss to wait")
    threshold: NonNegativeFloat = Field(1e-4, description="relative fall that counts as better")
    cooldown: NonNegativeInt = Field(0, description="epochs after a fall that count for nothing")
    min_lr: NonNegativeFloat = Field(0.0, description="the learning rate to stop at")


Schedule = Annotated[
    Constant | StepSchedule | Exponential | Cosine | OneCycle | ReduceOnPlateau,
    Field(discriminator="type"),
]
