"""The learning-rate range test: a few steps in which the rate rises from far too low to too high.

After Smith, *Cyclical learning rates for training neural networks* (2015, arXiv:1506.01186),
section 3.3. Several seeds do it at once, as one seed's losses say little.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import JsonValue

from dlcli.trials.range_reading import RangeReading, read_range
from dlcli.trials.rule import Rule, Stage
from dlcli.trials.trial import Trial

_HOPELESS = 10.0  # times the first loss: from there on nothing is learned any more


def rising_rates(lowest: float, highest: float, num_steps: int) -> list[float]:
    """Return a rate for each step, each the same ratio above the one before."""
    ratio = (highest / lowest) ** (1 / (num_steps - 1))
    return [lowest * ratio**step for step in range(num_steps)]


@dataclass
class RangeTest(Rule[RangeReading]):
    """One stage, a trial for each seed, which ends early where every seed's loss has exploded."""

    seeds: Sequence[int]
    lrs: Sequence[float]  # a step each
    changes: Mapping[str, JsonValue] = field(default_factory=dict)
    losses: list[tuple[float, ...]] = field(default_factory=list)  # [steps][seeds] so far

    def stages(self) -> Iterator[Stage]:
        """Yield the one stage."""
        trials = tuple(Trial(changes=dict(self.changes), seed=seed) for seed in self.seeds)
        yield Stage("rates", trials, lrs=tuple(self.lrs))

    def observe(self, losses: tuple[float, ...]) -> bool:
        """Take note of a step's losses; return whether the stage should go on.

        It is over where every seed's loss is ten times its first one.
        """
        self.losses.append(losses)
        return any(
            loss <= _HOPELESS * first for loss, first in zip(losses, self.losses[0], strict=True)
        )

    def conclude(self) -> RangeReading:
        """Read the suggestion off the losses."""
        return read_range(self.lrs, self.losses)
