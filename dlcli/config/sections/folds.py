"""The config section `folds`: an ensemble by cross-validation."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from dlcli.section import Section

MAX_FOLDS, MAX_REPEATS = 100, 100

EnsembleWeights = Literal["mean", "greedy"]


class FoldsConfig(Section):
    """Cross-validation: a network for each fold, all of them an ensemble; `folds: 5` is short."""

    folds: int = Field(
        ge=2,
        le=MAX_FOLDS,
        description="parts that the rows are cut into, test rows aside; each is held out by one "
        "network, which trains on the others and stops early by it",
    )
    repeats: int = Field(
        1, ge=1, le=MAX_REPEATS, description="times that the rows are cut anew, with other seeds"
    )
    weights: EnsembleWeights = Field(
        "mean",
        description="how much each repeat counts in the ensemble: the same, or greedy: as often as "
        "it lowers the loss on the held-out rows",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.weights == "greedy" and self.repeats == 1:
            raise ValueError(
                "`weights: greedy` weighs repeats, and there is one: set `repeats` to 2 or more, "
                "or leave `weights` out"
            )
        return self

    @property
    def num_trials(self) -> int:
        """The networks in all."""
        return self.folds * self.repeats


def expand_folds(data: dict[str, Any]) -> dict[str, Any]:
    """Write `folds: 5` as `folds: {folds: 5}`."""
    given = data.get("folds")
    if isinstance(given, int) and not isinstance(given, bool):
        return {**data, "folds": {"folds": given}}
    return data
