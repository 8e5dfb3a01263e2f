"""A network for images by timm, as the first layer."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, Self, final

from pydantic import Field

from dlcli.layers.base import (
    FirstInput,
    GivenWeights,
    Layer,
    PlannedLayer,
    RowMixing,
    Setting,
    Shape,
    ShapeError,
    TensorAxes,
    Traits,
    UpdateFactors,
    require_axes,
)
from dlcli.section import PositiveFloat
from dlcli.tables.sources import moved

if TYPE_CHECKING:
    from torch import nn

_UNPLACED = (3, 224, 224)  # for names of parameters, which don't depend on the shape


@final
class Backbone(Layer):
    """A network of the library timm (Wightman 2019) without its classifier, as the first layer."""

    type: Literal["backbone"]
    name: str = Field(min_length=1, description="the network's name in timm, as resnet18")
    weights: str = Field(
        min_length=1,
        description="weights to begin with: a .safetensors or .pth file of the network, relative "
        "to the config; `pretrained`: those that timm downloads; `none`: drawn from the seed",
    )
    output: Literal["features", "maps"] = Field(
        "features",
        description="what the next layer gets: features, pooled over all positions; or maps, "
        "[channels, height, width]",
    )
    lr_factor: PositiveFloat = Field(
        1.0, description="factor of its learning rate; fine-tuning often takes 0.1"
    )

    traits: ClassVar[Traits] = Traits(
        keeps_positions=False,
        passes_input_on=False,
        has_filters=True,
        row_mixing=RowMixing(alternative="a backbone without batch norm, as convnext_tiny"),
        at_end="refuses",
        stacking_obstacle="its modules are timm's, and change their statistics in place",
        recording_obstacle="its modules are timm's, of which it isn't known",
    )

    @property
    def takes_columns(self) -> bool:
        """Yes: it must be the first layer, which sees images as they are."""
        return True

    def plan(self, shape: Shape) -> PlannedLayer:
        """Refuse it: it is made for images."""
        del shape
        raise ShapeError(
            "must be the first layer of a network, or of one of its inputs (model.inputs): its "
            "weights are made for images"
        )

    def plan_columns(self, given: FirstInput) -> PlannedLayer:
        """Take `[3, height, width]`; this imports timm, which knows what becomes of it.

        Raises ShapeError where timm has no such network or it can't take images of this size,
        ConfigError where there is no timm.
        """
        from dlcli.layers.backbone.networks import described

        shape = given.shape
        require_axes(shape, 3, "; it takes images")
        if shape[0] != 3:
            raise ShapeError(
                f"expects images with 3 channels, got {list(shape)}; write data.images: "
                "{channels: rgb}"
            )
        about = described(self.name, self.output, shape)
        return PlannedLayer(
            self,
            shape,
            about.output_shape,
            num_parameters=about.num_parameters,
            multiply_adds=about.multiply_adds,
            num_kept=about.num_kept,
        )

    def tensors(self, planned: PlannedLayer) -> dict[str, TensorAxes]:
        """Return what the network's state holds, as timm names it."""
        from dlcli.layers.backbone.networks import described

        about = described(self.name, self.output, planned.input_shape)
        return {name: TensorAxes(shape) for name, shape in about.tensors.items()}

    @property
    def update_factors(self) -> Mapping[str, UpdateFactors]:
        """The factor of the learning rate, the same for all of its parameters."""
        from dlcli.layers.backbone.networks import parameter_names

        if self.lr_factor == 1:
            return {}
        return dict.fromkeys(parameter_names(self.name, self.output), UpdateFactors(self.lr_factor))

    def min_rows(self, shape: Shape) -> int:
        """Return 2 where a batch norm sees a single position of each image."""
        from dlcli.layers.backbone.networks import described

        return described(self.name, self.output, shape).min_rows

    def build(self, planned: PlannedLayer) -> "nn.Module":
        """Build it by timm, its weights drawn."""
        from dlcli.layers.backbone.networks import build

        del planned
        return build(self.name, self.output)

    @property
    def weights_key(self) -> Setting[str] | None:
        """What its weights are to be, unless they are drawn."""
        return None if self.weights == "none" else Setting("weights", self.weights)

    def with_moved_files(self, source: Path, destination: Path) -> Self:
        """Return it with the path of its weights relative to another folder."""
        if self.weights in ("none", "pretrained"):
            return self
        return self.model_copy(update={"weights": str(moved(self.weights, source, destination))})

    def given_weights(self, planned: PlannedLayer, folder: Path) -> GivenWeights:
        """Read its weights from a file, or let timm fetch them."""
        from dlcli.layers.backbone.pretrained import fetch_weights, read_weights

        expected = {name: axes.shape for name, axes in self.tensors(planned).items()}
        if self.weights == "pretrained":
            return fetch_weights(self.name, self.output, expected)
        return read_weights(folder / self.weights, self.name, expected)
