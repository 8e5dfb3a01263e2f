"""The config's `model`."""

from typing import Annotated

from pydantic import Field

from dlcli.config.sections.ensemble import EnsembleConfig
from dlcli.layers.family import AnyLayer
from dlcli.layers.sequence import walk_layers
from dlcli.section import Section


class ModelConfig(Section):
    """The network."""

    layers: Annotated[tuple[AnyLayer, ...], Field(strict=False, min_length=1)] = Field(
        description="layers of the network, from input to output"
    )
    ensemble: EnsembleConfig | None = Field(
        None, description="several networks that train as one; default: a single network"
    )
    start_from: str | None = Field(
        None,
        min_length=1,
        description="a run, or a checkpoint in one, whose weights to begin with; all else begins "
        "anew. Relative to the config; default: weights drawn from the seed",
    )
    freeze: Annotated[tuple[Annotated[int, Field(ge=0)] | str, ...], Field(strict=False)] = Field(
        (),
        description="layers that keep the weights they begin with: places in `layers`, layer "
        "types, names as 0_dense, or `embeddings`",
    )

    @property
    def num_bins(self) -> int | None:
        """How many bins of each numeric column a layer asks for; None: none does."""
        return (
            max((layer.num_bins or 0 for _, layer in walk_layers(self.layers)), default=0) or None
        )
