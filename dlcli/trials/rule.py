"""The interface of rules over trials, and the stages of trials that they ask for."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from dlcli.trials.trial import Trial


@dataclass(frozen=True)
class Stage:
    """Trials that can be executed at once, some of which may be finished already."""

    title: str
    trials: tuple[Trial, ...]
    is_evaluated: bool = False  # their figures on held-out rows are wanted
    # The learning rate of each step, for trials that end after these steps and keep nothing but
    # their losses; None: they train as the config says.
    lrs: tuple[float, ...] | None = None


Conclusion = TypeVar("Conclusion", covariant=True)


class Rule(ABC, Generic[Conclusion]):
    """Which trials to execute, and what they show: a comparison, a range test, a search."""

    @abstractmethod
    def stages(self) -> Iterator[Stage]:
        """Yield a stage at a time; each may follow from the results of those before it.

        The next one is asked for once all trials of the last are finished.
        """

    @abstractmethod
    def conclude(self) -> Conclusion:
        """Return what the trials show, once there are no more stages."""
