"""A rule about settings that undo each other, and what it looks at."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from dlcli.config import Config, LoadedConfig
from dlcli.config.sections.training import TrainingConfig
from dlcli.config.text.parsing import KeyPath
from dlcli.data.dataset import Dataset
from dlcli.network.plan import Plan
from dlcli.training.schedules import Schedule

Found = Iterator[tuple[KeyPath, str]]  # a setting, and what is wrong with it


@dataclass(frozen=True)
class Facts:
    """A config with its data and, where its layers fit them, its network."""

    loaded: LoadedConfig
    training: TrainingConfig  # nothing of it left to be chosen
    dataset: Dataset
    plan: Plan | None

    @property
    def config(self) -> Config:
        """The checked config."""
        return self.loaded.config

    @property
    def num_rows(self) -> int:
        """The training rows."""
        return self.dataset.num_rows["train"]

    @cached_property
    def schedule(self) -> Schedule:
        """The learning rates of the run."""
        config = self.config
        return Schedule.of(config.schedule, config.optimizer.lr, self.training, self.num_rows)

    def says(self, *path: str | int) -> bool:
        """Say whether the config gives a value, rather than leaving it to its default."""
        return path in self.loaded.document.places

    @property
    def effective_patience(self) -> int | None:
        """The shortest wait of early stopping, where it can end the run before its last epoch."""
        stopping = self.training.early_stopping
        if stopping is None or stopping.shortest_wait >= self.training.epochs - 1:
            return None
        return stopping.shortest_wait


@dataclass(frozen=True)
class Rule:
    """Settings that don't go together, as a table says it, and how that is found out."""

    keys: tuple[str, ...]
    when: str
    effect: str
    example: Mapping[str, Any]  # sections of a config that it applies to
    is_refused: bool
    find: Callable[[Facts], Found] | None = None  # None: the section refuses it as it is read

    @property
    def sections(self) -> set[str]:
        """The sections of the config that it looks at."""
        return {key.partition(".")[0] for key in self.keys}


def refused(
    *keys: str,
    when: str,
    effect: str,
    example: Mapping[str, Any],
    find: Callable[[Facts], Found] | None = None,
) -> Rule:
    """Return the rule of a combination that is refused."""
    return Rule(keys, when, effect, example, is_refused=True, find=find)


def reported(
    *keys: str, when: str, effect: str, example: Mapping[str, Any], find: Callable[[Facts], Found]
) -> Rule:
    """Return the rule of a combination that trains, and is reported."""
    return Rule(keys, when, effect, example, is_refused=False, find=find)
