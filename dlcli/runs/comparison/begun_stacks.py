"""stacks.jsonl: which runs of a comparison were stacked with each other."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from dlcli.errors import CheckpointError
from dlcli.runs.folder.lines_file import LinesFile
from dlcli.section import Section
from dlcli.trials.trial import Trial

_Stacks = tuple[Annotated[tuple[Trial, ...], Field(strict=False)], ...]


class _Begun(Section):
    """A line: the stacks that began together."""

    stacks: Annotated[_Stacks, Field(strict=False)]

    @model_validator(mode="before")
    @classmethod
    def _read_a_single_one(cls, line: Any) -> Any:  # noqa: ANN401 - not checked yet
        """Take a line of older versions, which has one stack."""
        if isinstance(line, dict) and line.keys() == {"trials"}:
            return {"stacks": [line["trials"]]}
        return line


class BegunStacks:
    """The stacks in a folder; reading and writing raise CheckpointError and StorageError."""

    def __init__(self, path: Path) -> None:
        """Read the stacks that are there."""
        self._file = LinesFile(path)
        self._stacks: list[tuple[Trial, ...]] = []
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            try:
                self._stacks += _Begun.model_validate_json(line).stacks
            except ValidationError:
                raise CheckpointError(
                    f"{path}: line {number} is damaged; remove it, and the runs of its stacks that "
                    "are not finished are stacked anew, with the same losses up to rounding"
                ) from None

    def find(self) -> list[tuple[Trial, ...]]:
        """Return all of them."""
        return self._stacks

    def add(self, stacks: Sequence[tuple[Trial, ...]]) -> None:
        """Keep some more, in one line: one that is cut off counts for nothing."""
        self._file.append(_Begun(stacks=tuple(stacks)).model_dump(mode="json"))
        self._stacks += stacks
