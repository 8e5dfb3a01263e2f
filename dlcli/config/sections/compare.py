"""The config section `compare`: which optimizers are compared, and on how many seeds."""

from typing import Annotated, Any, Self

from pydantic import Field, field_validator, model_serializer, model_validator

from dlcli.errors import suggest
from dlcli.optimizers import PRESETS, USUAL_PRESETS, AnyOptimizer
from dlcli.section import PositiveFloat, Section

MAX_TUNING_SEEDS = 100


class Candidate(Section):
    """A named optimizer; in a config, its settings are keys beside the name.

    A name alone is a preset. `lr` is the middle of its grid of learning rates.
    """

    name: str = Field(
        pattern=r"^[^\W_][\w .+-]*$",
        max_length=40,
        description="letters, digits, '-', '_', '+', '.' and blanks, beginning with a letter or "
        "digit; default: the type",
    )
    optimizer: AnyOptimizer = Field(description="settings")

    @model_validator(mode="before")
    @classmethod
    def _take_apart(cls, data: Any) -> Any:  # noqa: ANN401 - not checked yet
        if isinstance(data, str):
            if data not in PRESETS:
                raise ValueError(unknown_optimizer(data, PRESETS))
            return {"name": data, "optimizer": PRESETS[data]}
        if isinstance(data, dict) and "optimizer" not in data:
            settings = {key: value for key, value in data.items() if key != "name"}
            return {"name": data.get("name", data.get("type", "unnamed")), "optimizer": settings}
        return data

    @model_serializer
    def _put_together(self) -> dict[str, Any]:
        return {"name": self.name, **self.optimizer.model_dump(mode="json")}


class CompareConfig(Section):
    """The protocol of `dlcli compare-optimizers`; other commands ignore it."""

    optimizers: Annotated[tuple[Candidate, ...], Field(min_length=2, strict=False)] | None = Field(
        None,
        description="optimizers to compare, each a name, or settings with a `name`; default: "
        f"{', '.join(USUAL_PRESETS)}, without duplicates (adamw is adam without weight decay)",
    )
    lrs: Annotated[tuple[PositiveFloat, ...], Field(min_length=1, strict=False)] | None = Field(
        None,
        description="initial learning rates for every optimizer; default: five around each "
        "optimizer's default, half a decade apart",
    )
    most_lrs: int = Field(
        15, ge=1, le=100, description="maximum number of learning rates in a grid"
    )
    tuning_seeds: int = Field(
        5, ge=1, le=MAX_TUNING_SEEDS, description="seeds for tuning: runs of each learning rate"
    )
    seeds: int = Field(
        10,
        ge=2,
        le=10_000,
        description="fresh seeds for the comparison: runs with the chosen learning rate",
    )
    target: PositiveFloat | None = Field(
        None,
        description="validation loss that defines time-to-target; default: the median of the "
        "optimizers' typical losses",
    )

    @field_validator("seeds", mode="before")
    @classmethod
    def _refuse_one(cls, seeds: Any) -> Any:  # noqa: ANN401 - not checked yet
        if seeds == 1:
            raise ValueError("must be at least 2: one run doesn't show how much runs vary")
        return seeds

    @model_validator(mode="after")
    def _check(self) -> Self:
        names = [candidate.name for candidate in self.optimizers or ()]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"`optimizers`: {names.count(name)} of them are named '{name}'")
        if self.lrs is not None and len(set(self.lrs)) < len(self.lrs):
            raise ValueError("`lrs` has duplicates")
        return self


def unknown_optimizer(name: str, known: "dict[str, Any] | list[str]") -> str:
    """Return the message for an unknown optimizer, with the known ones."""
    hint = suggest(name, known) or f"; known: {', '.join(known)}"
    return f"unknown optimizer '{name}'{hint}"
