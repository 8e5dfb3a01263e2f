"""rounds.jsonl: the rounds of a search, line by line, so that it goes on as it was begun.

A round is written before anything is done by it, and how long it took after it.
"""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from dlcli.errors import CheckpointError
from dlcli.runs.folder.lines_file import LinesFile
from dlcli.runs.folder.run_folder import RunFolder
from dlcli.section import NonNegativeFloat, NonNegativeInt, Section
from dlcli.trials.searching.rounds import Round


class _RoundBegun(Round):
    kind: Literal["begun"] = "begun"


class _RoundDone(Section):
    kind: Literal["done"] = "done"
    number: NonNegativeInt
    seconds: NonNegativeFloat


_Line = _RoundBegun | _RoundDone
_LINE: TypeAdapter[_Line] = TypeAdapter(Annotated[_Line, Field(discriminator="kind")])


class SearchLedger:
    """The rounds of a search in a folder; reading and writing raise DlcliErrors."""

    def __init__(self, folder: RunFolder) -> None:
        """Read what is there."""
        self._file = LinesFile(folder.rounds)
        self._rounds: dict[int, Round] = {}
        self._seconds: dict[int, float] = {}
        lines = folder.rounds.read_text(encoding="utf-8").splitlines()
        for number, text in enumerate(lines, 1):
            try:
                self._take(_LINE.validate_json(text))
            except ValidationError as error:
                problem = error.errors()[0]["msg"]
                raise CheckpointError(
                    f"{folder.rounds}: line {number} is damaged: {problem}; start anew in another "
                    "--run-dir"
                ) from None

    def find_round(self, number: int) -> Round | None:
        """Return a round that has begun."""
        return self._rounds.get(number)

    def keep_round(self, begun: Round) -> None:
        """Keep a round that begins."""
        self._add(_RoundBegun(**begun.model_dump()))

    def seconds(self, number: int) -> float:
        """Return how long a finished round took."""
        return self._seconds.get(number, 0.0)

    def end_round(self, number: int, seconds: float) -> None:
        """Keep how long a round took, unless that is known."""
        if number not in self._seconds:
            self._add(_RoundDone(number=number, seconds=seconds))

    def _add(self, line: _Line) -> None:
        self._file.append(line.model_dump(mode="json"))
        self._file.sync()  # before anything is done by it
        self._take(line)

    def _take(self, line: _Line) -> None:
        match line:
            case _RoundBegun():
                self._rounds[line.number] = line
            case _RoundDone():
                self._seconds[line.number] = line.seconds
