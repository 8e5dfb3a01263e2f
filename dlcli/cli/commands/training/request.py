"""What the command line of `dlcli train` asks for."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dlcli.config import LoadedConfig
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


def open_requested(request: Request, num_processes: int) -> "LoadedConfig":
    """Read the config; what it leaves open is as in the run that is resumed.

    Raises ConfigError where several processes would share folds.
    """
    from dlcli.config import open_config
    from dlcli.runs.folder.run_folder import with_shards, with_streaming_of_run

    loaded = open_config(request.config, list(request.overrides), request.options)
    if num_processes > 1:
        refuse_folds(loaded, "the cores of one machine train folds side by side, one process each")
    if request.resumed is not None:
        loaded = with_streaming_of_run(loaded, request.resumed)
    return with_shards(loaded, num_processes, request.resumed)


def refuse_folds(loaded: "LoadedConfig", why: str) -> None:
    """Raise ConfigError for folds, which are trained by one call on one machine."""
    if loaded.config.folds is not None:
        raise loaded.error(
            ("folds",), f"{why}: train without --processes and --restarts, and not under torchrun"
        )
