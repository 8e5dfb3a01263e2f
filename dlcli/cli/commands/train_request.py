"""What the command line of `dlcli train` asks for."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dlcli.runs.training.assertions import Assertion


@dataclass(frozen=True)
class Request:
    """What the command line asks for."""

    config: Path
    overrides: tuple[str, ...]
    run_dir: Path | None
    resume: bool
    smoke: bool
    as_json: bool
    assertions: tuple["Assertion", ...]
    options: Mapping[str, str]  # overrides by what was typed for them

    @property
    def resumed(self) -> Path | None:
        """The folder of the run to resume."""
        return self.run_dir if self.resume else None
