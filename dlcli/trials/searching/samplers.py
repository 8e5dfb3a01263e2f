"""The samplers by name; Optuna is imported only where it is used."""

from typing import assert_never

from dlcli.config.sections.tune import SamplerName
from dlcli.trials.searching.sampling import RandomSampler, Sampler, SobolSampler
from dlcli.trials.searching.space import Space


def build_sampler(name: SamplerName, space: Space, seed: int) -> Sampler:
    """Return the sampler of a name."""
    match name:
        case "sobol":
            return SobolSampler(space, seed)
        case "random":
            return RandomSampler(space, seed)
        case "tpe":
            from dlcli.trials.searching.tpe import TpeSampler

            return TpeSampler(space, seed)
        case _:
            assert_never(name)
