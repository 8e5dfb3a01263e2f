"""The config's `model`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from dlcli.config.sections.ensemble import EnsembleConfig
from dlcli.layers.base import Layer
from dlcli.layers.family import AnyLayer
from dlcli.layers.joining.joins import Combine
from dlcli.layers.sequence import walk_layers
from dlcli.losses import AnyLoss
from dlcli.section import PositiveFloat, Section
from dlcli.tables.names import ColumnName, refuse_twins

TABLE = "table"  # the input of all columns that have none of their own


class InputConfig(Section):
    """An input of the network: a column, or the table of all columns that have no input."""

    layers: Annotated[tuple[AnyLayer, ...], Field(strict=False)] = Field(
        (), description="layers of this input alone; none: it reaches the join as it is"
    )


class OutputConfig(Section):
    """A target's part of the network: layers of its own, its loss, and how much that counts."""

    layers: Annotated[tuple[AnyLayer, ...], Field(strict=False)] = Field(
        (),
        description="layers of this target alone, behind the shared ones; none for any target: the "
        "last shared layer gives the outputs of all",
    )
    loss: AnyLoss | None = Field(
        None, description="its loss, by name or as a mapping; default: by its task"
    )
    weight: PositiveFloat = Field(1.0, description="factor of its loss in the sum of all targets'")

    @model_validator(mode="before")
    @classmethod
    def _expand_names(cls, data: Any) -> Any:  # noqa: ANN401 - not checked yet
        if isinstance(data, dict) and isinstance(data.get("loss"), str):
            return {**data, "loss": {"type": data["loss"]}}
        return data


class ModelConfig(Section):
    """The network."""

    inputs: Annotated[
        dict[ColumnName, InputConfig] | None,
        Field(min_length=1),
        BeforeValidator(refuse_twins),
    ] = Field(
        None,
        description="inputs with layers of their own, by column; `table`: all other columns, "
        "numbers and categories together. Default: a single input, of all columns",
    )
    combine: Combine | None = Field(
        None,
        description="how inputs are joined: `concat`, side by side; `sum`; `attention`: their "
        "mean, weighted in each row by a softmax of scores, u · tanh(W h + b) of an input h, with "
        "learned u, W and b (Yang et al. 2016, N16-1174). Default: concat",
    )
    layers: Annotated[tuple[AnyLayer, ...], Field(strict=False, min_length=1)] = Field(
        description="layers of the network, from input to output; with `inputs`, those after the "
        "join"
    )
    outputs: Annotated[
        dict[ColumnName, OutputConfig] | None,
        Field(min_length=1),
        BeforeValidator(refuse_twins),
    ] = Field(
        None,
        description="of several targets (data.target), each one's head, loss and weight, by name. "
        "Default: the last dense layer gives the outputs of all, each with the default loss",
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
    start_lr_factor: PositiveFloat = Field(
        1.0,
        description="with `start_from`, factor of the learning rate of all layers but the last one "
        "with weights; fine-tuning often takes 0.1",
    )
    freeze: Annotated[tuple[Annotated[int, Field(ge=0)] | str, ...], Field(strict=False)] = Field(
        (),
        description="layers that keep the weights they begin with: places in `layers`, layer "
        "types, names as 0_dense, inputs as inputs.photo, or `embeddings`",
    )

    @model_validator(mode="after")
    def _check_combine(self) -> Self:
        if self.combine is not None and self.inputs is None:
            raise ValueError("`combine` has no effect without `inputs`")
        return self

    @model_validator(mode="after")
    def _check_start(self) -> Self:
        if self.start_lr_factor != 1 and self.start_from is None:
            raise ValueError("`start_lr_factor` has no effect without `start_from`")
        return self

    def walk(self) -> Iterator[tuple[tuple[str | int, ...], Layer]]:
        """Yield every layer with its path in the config, in the order in which data passes."""
        for name, section in (self.inputs or {}).items():
            yield from walk_layers(section.layers, ("model", "inputs", name, "layers"))
        yield from walk_layers(self.layers, ("model", "layers"))
        for name, output in (self.outputs or {}).items():
            yield from walk_layers(output.layers, ("model", "outputs", name, "layers"))

    def with_moved_files(self, source: Path, destination: Path) -> Self:
        """Return it with the paths in first layers, which alone have any, moved to a folder."""

        def move(layers: tuple[AnyLayer, ...]) -> tuple[AnyLayer, ...]:
            return tuple(layer.with_moved_files(source, destination) for layer in layers)

        inputs = None
        if self.inputs is not None:
            inputs = {
                name: section.model_copy(update={"layers": move(section.layers)})
                for name, section in self.inputs.items()
            }
        return self.model_copy(update={"layers": move(self.layers), "inputs": inputs})

    @property
    def num_bins(self) -> int | None:
        """How many bins of each numeric column a layer asks for; None: none does."""
        return max((layer.num_bins or 0 for _, layer in self.walk()), default=0) or None
