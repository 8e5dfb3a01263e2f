"""What is said of how a run learned."""

import shlex
from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "too_few_epochs",  # to tell
    "too_hot",  # the learning rate is too high
    "too_cold",  # it is too low
    "over_fitting",
    "under_fitting",
    "still_improving",
    "noisy",
    "fine",
]


@dataclass(frozen=True)
class Change:
    """Something to try."""

    text: str  # without a full stop
    settings: tuple[str, ...] = ()  # key=value, as `--set` takes them; none: it takes more words

    @property
    def options(self) -> str:
        """The settings as options of a command line, quoted for a shell."""
        return " ".join(f"--set {shlex.quote(setting)}" for setting in self.settings)

    def __str__(self) -> str:
        return f"{self.text}: {self.options}" if self.settings else self.text


@dataclass(frozen=True)
class Finding:
    """One condition of a run."""

    kind: Kind
    text: str  # a sentence
    evidence: str  # a sentence or two, with the numbers
    changes: tuple[Change, ...] = ()  # the one to try first comes first


@dataclass(frozen=True)
class Diagnosis:
    """What a run's epochs say of it."""

    findings: tuple[Finding, ...]  # one or two, what to do first comes first
    remarks: tuple[str, ...] = ()  # what could not be told, and why
    trivial: float | None = None  # the loss of a constant answer that losses were held against

    @property
    def kind(self) -> Kind:
        """The first finding's."""
        return self.findings[0].kind

    @property
    def text(self) -> str:
        """The findings in a sentence each."""
        return " ".join(finding.text for finding in self.findings)
