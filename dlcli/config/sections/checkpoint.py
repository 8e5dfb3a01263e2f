"""The config's `checkpoint`: how often a run's state is saved."""

from pydantic import Field

from dlcli.section import PositiveFloat, PositiveInt, Section


class CheckpointConfig(Section):
    """How often a run saves its state; its end is always saved.

    By default as often as pays: a save waits until 30 times the time that the last one took has
    gone by, so that saving takes at most a thirtieth of the run. Where a key is given, every
    epoch's end is saved too.
    """

    every_steps: PositiveInt | None = Field(
        None, description="optimizer steps, counted over the whole run, from one save to the next"
    )
    every_seconds: PositiveFloat | None = Field(
        None, description="seconds from one save to the next"
    )
