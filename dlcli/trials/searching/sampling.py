"""How settings are sampled: at random, or evenly by a Sobol sequence."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, final

import torch
from pydantic import JsonValue
from torch.quasirandom import SobolEngine

from dlcli.seeds import derive_seed
from dlcli.trials.searching.space import Settings, Space


@dataclass(frozen=True)
class Observation:
    """Settings that were tried, and how good they were."""

    settings: Settings
    value: float | None  # lower is better; None: they diverged, or the config refuses them


class Sampler(Protocol):
    """Proposes settings. What it proposes is a function of its arguments alone.

    So a search that was interrupted gets the same proposals again.
    """

    def propose(
        self, first: int, count: int, observed: Sequence[Observation]
    ) -> list[dict[str, JsonValue]]:
        """Return so many settings, where `first` were proposed before; some are `observed`."""
        ...


@final
@dataclass(frozen=True)
class RandomSampler:
    """Each setting independent of all others, even within its bounds."""

    space: Space
    seed: int

    def propose(
        self, first: int, count: int, observed: Sequence[Observation]
    ) -> list[dict[str, JsonValue]]:
        """Draw each point by its number."""
        del observed
        return [self.space.settings(self._point(first + index)) for index in range(count)]

    def _point(self, number: int) -> list[float]:
        generator = torch.Generator().manual_seed(derive_seed(self.seed, "tune", number))
        size = len(self.space.dimensions)
        return torch.rand(size, generator=generator, dtype=torch.float64).tolist()


@final
@dataclass(frozen=True)
class SobolSampler:
    """A Sobol sequence, scrambled by Owen's method: points that fill the space evenly.

    Sobol' (1967), Owen (1998); the sequence is `torch.quasirandom.SobolEngine`.
    """

    space: Space
    seed: int

    def propose(
        self, first: int, count: int, observed: Sequence[Observation]
    ) -> list[dict[str, JsonValue]]:
        """Take the next points of the sequence."""
        del observed
        seed = derive_seed(self.seed, "tune") % 2**31
        engine: Any = SobolEngine(len(self.space.dimensions), scramble=True, seed=seed)  # type: ignore[no-untyped-call]
        if first:
            engine.fast_forward(first)
        points = engine.draw(count, dtype=torch.float64)
        return [self.space.settings(point) for point in points.tolist()]
