"""The config section `tune`: which settings a search tries, how many, and how they are judged."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, WithJsonSchema, model_validator

from dlcli.config.sections.duration import Duration
from dlcli.metrics import MetricName
from dlcli.section import PositiveFloat, Section

SamplerName = Literal["sobol", "random", "tpe"]

_Value = Annotated[Any, WithJsonSchema({"description": "any value"})]
_Values = Annotated[tuple[_Value, ...], Field(min_length=2, strict=False)]
_Number = Annotated[float, Field(ge=-1e12, le=1e12)]
_Whole = Annotated[int, Field(ge=-1_000_000_000, le=1_000_000_000)]
_Numbers = Annotated[tuple[_Number, _Number], Field(strict=False)]
_Positive = Annotated[tuple[PositiveFloat, PositiveFloat], Field(strict=False)]
_Wholes = Annotated[tuple[_Whole, _Whole], Field(strict=False)]
_FORMS = "{log: [1e-4, 1e-1]}, {uniform: [0, 0.5]}, {int: [1, 8]} or {choice: [a, b]}"


class Spread(Section):
    """The values that a search tries for a key: one of these."""

    log: _Positive | None = Field(
        None, description="numbers between two bounds above 0, even on a logarithmic scale"
    )
    uniform: _Numbers | None = Field(None, description="numbers between two bounds")
    choice: _Values | None = Field(None, description="a list of values of any kind")
    int: _Wholes | None = Field(None, description="whole numbers from one to another, both taken")

    @model_validator(mode="after")
    def _check(self) -> Self:
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"needs exactly one of log, uniform, int and choice, as in {_FORMS}")
        if self.choice is not None:
            if any(value in self.choice[:index] for index, value in enumerate(self.choice)):
                raise ValueError("`choice` has duplicates")
            return self
        low, high = self.bounds
        if low == high:
            raise ValueError(f"`{given[0]}`: both bounds are {low}: set the key to that value")
        if low > high:
            raise ValueError(f"`{given[0]}`: the lower bound comes first: write [{high}, {low}]")
        return self

    @property
    def bounds(self) -> tuple[float, float]:
        """The lowest and the highest value of all but a choice."""
        bounds = self.log or self.uniform or self.int
        assert bounds is not None, "a choice has no bounds"
        return bounds


class HalvingConfig(Section):
    """Successive halving: short runs first, of which only the best get more epochs."""

    factor: Annotated[float, Field(ge=2, le=16)] = Field(
        3.0, description="one run in so many goes on, with so many times the epochs"
    )


class TuneConfig(Section):
    """The search of `dlcli tune`; other commands ignore it."""

    space: Annotated[dict[str, Spread], Field(min_length=1)] | None = Field(
        None,
        description="values to try by key, as --set names it: `optimizer.lr: {log: [1e-4, 0.1]}`; "
        "default: a space that fits the network",
    )
    trials: int = Field(64, ge=2, le=100_000, description="number of different settings to try")
    sampler: SamplerName = Field(
        "sobol",
        description="how settings are sampled: sobol (a scrambled Sobol sequence), random, or tpe "
        "(Optuna's; needs dlcli[optuna])",
    )
    folds: int | None = Field(
        None,
        ge=2,
        le=100,
        description="judge each setting on so many folds of all rows but the test rows, a trial "
        "each; default: on the validation rows",
    )
    halving: HalvingConfig | None = Field(
        None, description="train most settings for a few epochs only; default: all for all epochs"
    )
    metric: MetricName = Field(
        "loss", description="metric on the validation rows that settings are judged by"
    )
    time: Duration | None = Field(
        None,
        description="longest time for the search, in seconds or as `10m`; no round of trials "
        "begins that would end later; default: no limit",
    )
