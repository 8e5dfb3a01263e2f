"""The first layer's filters over images and signals, and the images that activate them most."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dlcli.data.signature import NUMBERS
from dlcli.explaining.explained_model import ExplainedModel
from dlcli.explaining.reasons.activations import LayerPosition, capture_activations, first_weighted
from dlcli.explaining.reasons.features import array_shape, plain_numbers
from dlcli.explaining.reasons.sampling import SampledRows, sample_rows, take, work_per_row
from dlcli.explaining.unavailable import Unavailable
from dlcli.layers.weights import WeightedLayer

MAX_FILTERS = 32
MAX_WITH_IMAGES = 8  # filters
_NUM_IMAGES = 4  # for each filter
_MAX_ROWS, _MIN_ROWS = 1000, 100
_MAX_WORK = 1e10

Box = tuple[int, int, int, int]  # top, left, height and width in pixels; may reach beyond


@dataclass(frozen=True)
class StrongestImages:
    """The images that activate one filter most, the strongest first."""

    filter: int  # its index, from 0
    images: np.ndarray  # [images, channels, height, width], in the data's units
    positions: tuple[str, ...]  # of their rows, as in "line 17"
    activations: tuple[float, ...]
    boxes: tuple[Box, ...]  # receptive field of the highest activation


@dataclass(frozen=True)
class Filters:
    """The first layer's weights, and the images that activate its filters most."""

    layer: str  # the module whose output is its activation: 0_conv2d, 2_activation
    are_units: bool  # each sees all of a row; filters of a convolution see a window of it
    activation: str | None
    weights: np.ndarray  # [filters, channels, height, width] or [filters, channels, length]
    num_filters: int
    sample: SampledRows | None  # that the images come from; None: no images are shown
    strongest: tuple[StrongestImages, ...]  # of the first filters


def find_filters(model: ExplainedModel) -> Filters | Unavailable:
    """Return the first layer's filters, where they have the shape of an image or a signal.

    Activations are taken after the activation function, at the position in an image where they
    are highest; images in which a filter is nowhere above its minimum don't activate it.
    """
    position = first_weighted(model.plan)
    if position is None or not _reaches_untouched(model, position):
        return Unavailable("the first layer with weights doesn't see the raw input")
    if position.planned.members is not None:
        return Unavailable("each member of the ensemble computes the first layer for itself")
    shape = _image_shape(model, position)
    if shape is None:
        return Unavailable("rows are neither images nor signals")
    layer = position.planned.config
    assert isinstance(layer, WeightedLayer), "it has a weight"
    parameter = model.network.get_parameter(f"{position.name}.weight").detach().float().cpu()
    weight = layer.by_output(parameter).numpy()
    are_units = len(position.planned.output_shape) == 1
    if are_units:
        weight = weight.reshape(len(weight), *shape)
    sample: SampledRows | None = None
    strongest: tuple[StrongestImages, ...] = ()
    if len(shape) == 3:
        sample, strongest = _find_strongest_images(model, position, shape, len(weight))
    return Filters(
        layer=position.module,
        are_units=are_units,
        activation=position.activation,
        weights=weight[:MAX_FILTERS],
        num_filters=len(weight),
        sample=sample,
        strongest=strongest,
    )


def _reaches_untouched(model: ExplainedModel, position: LayerPosition) -> bool:
    """Return whether the layers before one keep each number in its position."""
    if model.plan.signature.embeddings:
        return False
    index = model.plan.layers.index(position.planned)
    return all(layer.config.traits.keeps_positions for layer in model.plan.layers[:index])


def _image_shape(model: ExplainedModel, position: LayerPosition) -> tuple[int, ...] | None:
    """Return the shape of what the layer sees, [channels, …]; None: it is no image or signal."""
    shape = position.planned.input_shape
    if len(shape) > 1:
        return shape
    image = array_shape(model)
    return image if image and len(image) == 3 and math.prod(image) == shape[0] else None


def _find_strongest_images(
    model: ExplainedModel, position: LayerPosition, shape: tuple[int, ...], num_filters: int
) -> tuple[SampledRows, tuple[StrongestImages, ...]]:
    max_rows = max(_MIN_ROWS, int(_MAX_WORK / work_per_row(model.plan)))
    sample = sample_rows(model, "filters", min(_MAX_ROWS, max_rows))
    num_shown = min(MAX_WITH_IMAGES, num_filters)

    def highest(output: Tensor) -> Tensor:
        """Return the highest activation, its position and the lowest one: [rows, filters, 3].

        Positions are integers, which float64 holds exactly.
        """
        flat = output[:, :num_shown].flatten(2) if output.dim() > 2 else output[:, :num_shown, None]
        high, where = flat.max(dim=2)
        return torch.stack([high.double(), where.double(), flat.amin(dim=2).double()], dim=2)

    found = capture_activations(model, position, sample.rows.encoded.inputs, highest).numpy()
    strongest = []
    for index in range(num_shown):
        high, where, low = found[:, index].T
        order = [
            row for row in np.argsort(-high, kind="stable")[:_NUM_IMAGES] if high[row] > low.min()
        ]
        chosen = np.array(order, np.int64)
        strongest.append(
            StrongestImages(
                filter=index,
                images=_images(model, sample, chosen, shape),
                positions=tuple(map(sample.rows.table.position, order)),
                activations=tuple(float(high[row]) for row in chosen),
                boxes=tuple(_box(position, int(where[row]), shape) for row in chosen),
            )
        )
    return sample, tuple(strongest)


def _images(
    model: ExplainedModel, sample: SampledRows, chosen: np.ndarray, shape: tuple[int, ...]
) -> np.ndarray:
    """Return rows as images, in the data's units where each column is a pixel."""
    order = np.argsort(np.argsort(chosen))  # `take` gives rows in the order of the file
    if not len(chosen):
        return np.empty((0, *shape))
    rows = take(sample.rows, chosen)
    columns = plain_numbers(model.fitted)
    images = model.plan.signature.pixels
    if images:
        pixels = rows.encoded.inputs[images[0].field].cpu().numpy().astype(np.float32)
    elif columns is None:
        pixels = rows.encoded.inputs[NUMBERS].cpu().numpy()
    else:
        missing_values = model.fitted.missing_values
        values = [column.numbers(rows.table, missing_values) for column in columns]
        pixels = np.column_stack(values)
    return pixels[order].reshape(len(chosen), *shape)


def _box(position: LayerPosition, where: int, shape: tuple[int, ...]) -> Box:
    """Return the receptive field of one position of a filter's output."""
    planned = position.planned
    across = planned.output_shape[2:]
    region = tuple((index, 1) for index in divmod(where, across[0])) if across else ()
    field = planned.config.receptive_field(planned, region)
    if field is None:
        return (0, 0, shape[1], shape[2])
    (top, height), (left, width) = field
    return (top, left, height, width)
