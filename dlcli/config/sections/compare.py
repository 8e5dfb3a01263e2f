"""The config's `compare`: what `dlcli compare-optimizers` compares, and how thoroughly."""

from typing import Annotated, Any, Self

from pydantic import Field, field_validator, model_serializer, model_validator

from dlcli.config.optimizers import Optimizer
from dlcli.errors import suggest
from dlcli.section import PositiveFloat, Section

# What the lecture calls by names of their own; every optimizer's type is such a name too.
PRESETS: dict[str, dict[str, Any]] = {
    "sgd": {"type": "sgd"},
    "momentum": {"type": "sgd", "momentum": 0.9},
    "nesterov": {"type": "sgd", "momentum": 0.9, "nesterov": True},
    "adam": {"type": "adam"},
    "adamw": {"type": "adamw"},
    "rmsprop": {"type": "rmsprop"},
    "adagrad": {"type": "adagrad"},
    "adadelta": {"type": "adadelta"},
    "nadam": {"type": "nadam"},
    "radam": {"type": "radam"},
    "adamax": {"type": "adamax"},
}
MAX_TUNING_SEEDS = 100


class Candidate(Section):
    """An optimizer under a name; in a config, its settings stand beside the name.

    A name alone is one of PRESETS. `lr` is the middle of its grid of learning rates.
    """

    name: str = Field(
        pattern=r"^[^\W_][\w .+-]*$",
        max_length=40,
        description="letters, digits and, not first, '-', '_', '+', '.', blanks; default: the type",
    )
    optimizer: Optimizer = Field(description="its settings")

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
    """The protocol of `dlcli compare-optimizers`; other commands have no use for it."""

    optimizers: Annotated[tuple[Candidate, ...], Field(min_length=2, strict=False)] | None = Field(
        None,
        description="that are compared, each a name or its settings with a `name`; default: sgd, "
        "momentum, nesterov, adam, rmsprop, adagrad, adadelta, and adamw where weights decay",
    )
    lrs: Annotated[tuple[PositiveFloat, ...], Field(min_length=1, strict=False)] | None = Field(
        None,
        description="learning rates that all begin with; default: five around each one's own, half "
        "a decade from one to the next",
    )
    most_lrs: int = Field(
        15, ge=1, le=100, description="learning rates that a grid grows to, at most"
    )
    tuning_seeds: int = Field(
        5, ge=1, le=MAX_TUNING_SEEDS, description="runs of each learning rate"
    )
    seeds: int = Field(
        10, ge=2, le=10_000, description="runs with the chosen rate, on seeds of their own"
    )
    target: PositiveFloat | None = Field(
        None,
        description="the validation loss that all are timed to; default: the median of what each "
        "one reaches",
    )

    @field_validator("seeds", mode="before")
    @classmethod
    def _refuse_one(cls, seeds: Any) -> Any:  # noqa: ANN401 - not checked yet
        if seeds == 1:
            raise ValueError("must be at least 2: one run doesn't say how far runs differ")
        return seeds

    @model_validator(mode="after")
    def _check(self) -> Self:
        names = [candidate.name for candidate in self.optimizers or ()]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"`optimizers`: {names.count(name)} of them are named '{name}'")
        if self.lrs is not None and len(set(self.lrs)) < len(self.lrs):
            raise ValueError("`lrs`: each rate once")
        return self


def unknown_optimizer(name: str, known: "dict[str, Any] | list[str]") -> str:
    """Say that there is no optimizer of this name, and which there are."""
    hint = suggest(name, known) or f"; known: {', '.join(known)}"
    return f"there is no optimizer '{name}'{hint}"
