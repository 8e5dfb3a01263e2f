"""The config section `data.sequence`: how much of a sequence is kept."""

from pydantic import Field

from dlcli.columns.sequence_statistics import MAX_LENGTH
from dlcli.section import Section


class SequenceSettings(Section):
    """What sequences of numbers become. Columns of the kind `sequence` use it."""

    max_length: int = Field(
        1024,
        ge=1,
        le=MAX_LENGTH,
        description="maximum number of elements of a sequence; longer ones are cut off behind it",
    )
