"""Findings of a diagnosis, with the changes that they suggest."""

import shlex
from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "too_few_epochs",  # for a diagnosis
    "unwatched",
    "lr_too_high",
    "lr_too_low",
    "overfitting",
    "underfitting",
    "still_improving",
    "noisy",
    "fine",
]


@dataclass(frozen=True)
class Change:
    """A suggested change."""

    text: str  # without a full stop
    settings: tuple[
        str, ...
    ] = ()  # key=value, as for `--set`; none where the text alone explains it

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
    changes: tuple[Change, ...] = ()  # the most promising first


@dataclass(frozen=True)
class Diagnosis:
    """What the epochs of a run show."""

    findings: tuple[Finding, ...]  # one or two, the most important first
    remarks: tuple[str, ...] = ()  # what could not be diagnosed, and why
    constant_loss: float | None = None  # of the constant baseline; None: unknown

    @property
    def kind(self) -> Kind:
        """The kind of the first finding."""
        return self.findings[0].kind

    @property
    def text(self) -> str:
        """The findings, in a sentence each."""
        return " ".join(finding.text for finding in self.findings)
