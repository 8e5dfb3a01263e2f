"""The config section `checkpoint`: how often the state of a run is saved."""

from pydantic import Field

from dlcli.section import PositiveFloat, PositiveInt, Section


class CheckpointConfig(Section):
    """How often a run saves its state. The end of a run is always saved.

    By default, the next save waits for 30 times the duration of the last one, so that saving takes
    at most a thirtieth of the run. If a key is given, the end of each epoch is saved too.
    """

    every_steps: PositiveInt | None = Field(
        None, description="optimizer steps between saves, counted over the whole run"
    )
    every_seconds: PositiveFloat | None = Field(None, description="seconds between saves")
