"""Optuna's tree-structured Parzen estimator, which samples near settings that were good.

Bergstra et al., *Algorithms for hyper-parameter optimization* (2011). Optuna is only asked and
told: nothing is kept in it. Before it is asked, it is told all that is known, and its seed depends
on how many settings were proposed before, so that an interruption changes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import optuna
from pydantic import JsonValue

from dlcli.seeds import derive_seed
from dlcli.trials.searching.sampling import Observation
from dlcli.trials.searching.space import Dimension, Settings, Space


@final
@dataclass(frozen=True)
class TpeSampler:
    """Optuna's TPE, with all its defaults but for the seed and for asking several at once."""

    space: Space
    seed: int

    def propose(
        self, first: int, count: int, observed: Sequence[Observation]
    ) -> list[dict[str, JsonValue]]:
        """Tell it all that is known, and ask for so many settings."""
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        sampler = optuna.samplers.TPESampler(
            seed=derive_seed(self.seed, "tune", first) % 2**32, constant_liar=True
        )
        study = optuna.create_study(direction="minimize", sampler=sampler)
        distributions = {
            dimension.key: _distribution(dimension) for dimension in self.space.dimensions
        }
        for one in observed:
            study.enqueue_trial(self._parameters(one.settings))
            optuna_trial = study.ask(distributions)
            if one.value is None:
                study.tell(optuna_trial, state=optuna.trial.TrialState.FAIL)
            else:
                study.tell(optuna_trial, one.value)
        proposed = [study.ask(distributions).params for _ in range(count)]
        return [self._settings(params) for params in proposed]

    def _parameters(self, settings: Settings) -> dict[str, Any]:
        """Return settings as Optuna has them: a choice by its number."""
        return {
            dimension.key: _number_of(dimension, settings[dimension.key])
            for dimension in self.space.dimensions
        }

    def _settings(self, params: dict[str, Any]) -> dict[str, JsonValue]:
        return {
            dimension.key: dimension.spread.choice[params[dimension.key]]
            if dimension.spread.choice is not None
            else dimension.value(min(dimension.place(params[dimension.key]), 1 - 1e-12))
            for dimension in self.space.dimensions
        }


def _number_of(dimension: Dimension, value: JsonValue) -> JsonValue:
    choice = dimension.spread.choice
    return value if choice is None else choice.index(value)


def _distribution(dimension: Dimension) -> optuna.distributions.BaseDistribution:
    spread = dimension.spread
    if spread.choice is not None:
        return optuna.distributions.CategoricalDistribution(range(len(spread.choice)))
    if spread.int is not None:
        return optuna.distributions.IntDistribution(*spread.int)
    low, high = spread.bounds
    return optuna.distributions.FloatDistribution(low, high, log=spread.log is not None)
