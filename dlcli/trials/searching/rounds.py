"""The rounds of a search as plain data, so that each is the same after an interruption."""

from typing import Annotated, Protocol

from pydantic import Field, JsonValue

from dlcli.section import NonNegativeInt, PositiveInt, Section


class Refused(Section):
    """Sampled settings that make no sound config."""

    settings: dict[str, JsonValue]
    reason: str


class Round(Section):
    """The settings that begin in a round, before any of them is tried."""

    number: NonNegativeInt
    width: PositiveInt  # trials in a round, those that go on included
    num_drawn: NonNegativeInt  # settings that the sampler has proposed by then
    newcomers: Annotated[tuple[dict[str, JsonValue], ...], Field(strict=False)]
    refused: Annotated[tuple[Refused, ...], Field(strict=False)]


class Rounds(Protocol):
    """Where the rounds of a search are kept."""

    def find_round(self, number: int) -> Round | None:
        """Return a round that has begun."""
        ...

    def keep_round(self, begun: Round) -> None:
        """Keep a round that begins."""
        ...

    def seconds(self, number: int) -> float:
        """Return how long a finished round took."""
        ...
