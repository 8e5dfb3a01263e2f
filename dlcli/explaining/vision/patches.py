"""What each layer responds to: the patches of images that excite its channels most."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dlcli.explaining.explained_model import ExplainedModel
from dlcli.explaining.reasons.activations import (
    LayerPosition,
    capture_activations,
)
from dlcli.explaining.reasons.sampling import SampledRows, sample_rows, work_per_row
from dlcli.explaining.row_images import row_images
from dlcli.explaining.unavailable import Unavailable
from dlcli.explaining.vision.first_layer import layers_of_images
from dlcli.explaining.vision.saliency import PRODUCTS
from dlcli.layers.base import PlannedLayer
from dlcli.layers.sequence import receptive_field_of

MAX_LAYERS, MAX_CHANNELS = 4, 8
_NUM_PATCHES = 4  # for each channel, of as many images
_MAX_ROWS, _MIN_ROWS = 1000, 50


@dataclass(frozen=True)
class ChannelPatches:
    """The patches that excite a channel most, the strongest first."""

    channel: int  # its index, from 0
    patches: np.ndarray  # float64 [patches, channels, height, width], NaN beyond the image
    activations: tuple[float, ...]
    positions: tuple[str, ...]  # of their rows, as in "line 17"


@dataclass(frozen=True)
class LayerPatches:
    """What some channels of a layer respond to."""

    layer: str  # the module whose output is its activation
    num_channels: int
    field: tuple[int, int] | None  # pixels that a position sees; None: all, or it isn't known
    channels: tuple[ChannelPatches, ...]


@dataclass(frozen=True)
class StrongestPatches:
    """What layers respond to, from the first to the last."""

    sample: SampledRows
    layers: tuple[LayerPatches, ...]
    num_layers: int  # over images, some of which are shown where they are many
    images: np.ndarray  # [rows, channels, height, width], that the patches are of


def find_patches(model: ExplainedModel, *, seconds: float) -> StrongestPatches | Unavailable:
    """Return the patches that excite channels most, layer by layer, in about so many seconds.

    As Zeiler and Fergus (2014), arXiv:1311.2901, show them. The channels of a layer are those whose
    strongest activations stand out most from what other images give, in standard deviations.
    """
    seeing = layers_of_images(model)
    if isinstance(seeing, Unavailable):
        return seeing
    layers = seeing.with_filters()
    if not layers:
        return Unavailable("no layer has filters over images")
    shown = [layers[index] for index in _spread(len(layers))]
    work = len(shown) * work_per_row(model.plan)
    sample = sample_rows(
        model, "patches", min(_MAX_ROWS, max(_MIN_ROWS, int(seconds * PRODUCTS / work)))
    )
    images = row_images(model.fitted, sample.rows.encoded, np.arange(len(sample)), seeing.column)
    if images is None:
        return Unavailable("its images can't be shown")
    return StrongestPatches(
        sample=sample,
        layers=tuple(
            _of_layer(model, sample, images, seeing.layers[: place + 1], position)
            for place, position in shown
        ),
        num_layers=len(layers),
        images=images,
    )


def _spread(number: int) -> list[int]:
    """Return the indices of the layers shown, from the first to the last."""
    places = np.linspace(0, number - 1, min(number, MAX_LAYERS))
    return [int(place) for place in places.round()]


def _of_layer(
    model: ExplainedModel,
    sample: SampledRows,
    images: np.ndarray,
    layers: tuple[PlannedLayer, ...],
    position: LayerPosition,
) -> LayerPatches:
    def highest(output: Tensor) -> Tensor:
        """Return each channel's highest activation and its position, [rows, channels, 2]."""
        high, where = output.flatten(2).max(dim=2)
        return torch.stack([high.double(), where.double()], dim=2)

    found = capture_activations(model, position, sample.rows.encoded.inputs, highest).numpy()
    highs, places = found[:, :, 0], found[:, :, 1].astype(np.int64)
    order = np.argsort(-highs, axis=0, kind="stable")[:_NUM_PATCHES]
    top = np.take_along_axis(highs, order, axis=0).mean(axis=0)
    spread = highs.std(axis=0)
    standing_out = np.where(spread > 0, (top - highs.mean(axis=0)) / np.maximum(spread, 1e-12), 0.0)
    chosen = np.argsort(-standing_out, kind="stable")[:MAX_CHANNELS]
    chosen = chosen[standing_out[chosen] > 0]
    fields = receptive_field_of(layers, ((0, 1), (0, 1)))
    sizes = layers[0].input_shape[1:]
    is_smaller = fields is not None and any(
        field[1] < size for field, size in zip(fields, sizes, strict=True)
    )
    return LayerPatches(
        layer=position.module,
        num_channels=highs.shape[1],
        field=(fields[0][1], fields[1][1]) if fields is not None and is_smaller else None,
        channels=tuple(
            ChannelPatches(
                channel=int(channel),
                patches=np.stack(
                    [
                        _patch(images[row], layers, int(places[row, channel]))
                        for row in order[:, channel]
                    ]
                ),
                activations=tuple(highs[order[:, channel], channel].tolist()),
                positions=tuple(map(sample.rows.table.position, order[:, channel].tolist())),
            )
            for channel in np.sort(chosen)
        ),
    )


def _patch(image: np.ndarray, layers: tuple[PlannedLayer, ...], where: int) -> np.ndarray:
    """Return the part of an image that a position of the last layer's output sees."""
    across = layers[-1].output_shape[2]
    region = tuple((index, 1) for index in divmod(where, across))
    seen = receptive_field_of(layers, region)
    channels, height, width = image.shape
    if seen is None or (seen[0][1] >= height and seen[1][1] >= width):
        whole: np.ndarray = image.astype(np.float64)
        return whole
    (top, tall), (left, wide) = seen
    patch = np.full((channels, tall, wide), np.nan)
    rows = slice(max(0, top), min(height, top + tall))
    columns = slice(max(0, left), min(width, left + wide))
    patch[:, rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = (
        image[:, rows, columns]
    )
    return patch
