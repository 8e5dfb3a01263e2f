"""stacks.jsonl: which runs of a comparison were stacked with each other, a stack a line."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from dlcli.errors import CheckpointError
from dlcli.runs.folder.lines_file import LinesFile
from dlcli.section import Section
from dlcli.trials.trial import Trial


class _Stack(Section):
    """A line."""

    trials: Annotated[tuple[Trial, ...], Field(strict=False)]


class BegunStacks:
    """The stacks in a folder; reading and writing raise CheckpointError and StorageError."""

    def __init__(self, path: Path) -> None:
        """Read the stacks that are there."""
        self._file = LinesFile(path)
        self._stacks: list[tuple[Trial, ...]] = []
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            try:
                self._stacks.append(_Stack.model_validate_json(line).trials)
            except ValidationError:
                raise CheckpointError(
                    f"{path}: line {number} is damaged; remove it, and the runs of its stack that "
                    "are not finished are stacked anew, with the same losses up to rounding"
                ) from None

    def find(self) -> list[tuple[Trial, ...]]:
        """Return all of them."""
        return self._stacks

    def add(self, stack: tuple[Trial, ...]) -> None:
        """Keep another."""
        self._file.append(_Stack(trials=stack).model_dump(mode="json"))
        self._stacks.append(stack)
