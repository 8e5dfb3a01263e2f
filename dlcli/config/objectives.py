"""The config's `loss`: what training makes small."""

from typing import Annotated, Literal

from pydantic import Field

from dlcli.section import PositiveFloat, Section

ClassWeights = Literal["balanced"] | Annotated[dict[str, PositiveFloat], Field(min_length=1)]


class _Classification(Section):
    class_weights: ClassWeights | None = Field(
        None,
        description="a factor for each class's loss, 1 where not named; `balanced`: rows / "
        "(classes × rows of the class)",
    )
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="the share of the truth that is spread evenly over all classes"
    )


class BinaryCrossEntropy(_Classification):
    """For two classes: one output, a logit."""

    type: Literal["binary_cross_entropy"]


class CrossEntropy(_Classification):
    """For two classes or more: one logit a class, softmax inside."""

    type: Literal["cross_entropy"]


class MeanSquaredError(Section):
    """The mean of the squared errors."""

    type: Literal["mse"]


class MeanAbsoluteError(Section):
    """The mean of the absolute errors."""

    type: Literal["mae"]


class Huber(Section):
    """Squared for small errors, absolute for large ones."""

    type: Literal["huber"]
    delta: PositiveFloat = Field(
        1.0,
        description="where small ends, in the unit that the network sees: with `target_scale: "
        "standard`, the target's standard deviation",
    )


Loss = Annotated[
    BinaryCrossEntropy | CrossEntropy | MeanSquaredError | MeanAbsoluteError | Huber,
    Field(discriminator="type"),
]
