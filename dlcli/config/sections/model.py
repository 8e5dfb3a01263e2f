"""The config's `model`."""

from typing import Annotated

from pydantic import Field

from dlcli.layers.family import AnyLayer
from dlcli.section import Section


class ModelConfig(Section):
    """The network."""

    layers: Annotated[tuple[AnyLayer, ...], Field(strict=False, min_length=1)] = Field(
        description="layers of the network, from input to output"
    )
