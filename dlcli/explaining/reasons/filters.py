"""What the first layer looks for in images and signals: its filters, and what excites them."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dlcli.config.layers import (
    ActivationLayer,
    BatchNorm,
    Conv1d,
    Conv2d,
    Dense,
    Dropout,
    Flatten,
    LayerNorm,
    Reshape,
)
from dlcli.data.signature import NUMBERS
from dlcli.explaining.explained_model import ExplainedModel
from dlcli.explaining.reasons.activations import LayerPosition, catch_activations, first_weighted
from dlcli.explaining.reasons.features import array_shape, plain_numbers
from dlcli.explaining.reasons.sampling import SampledRows, asked_rows, take, work_a_row
from dlcli.explaining.unavailable import Unavailable
from dlcli.network.shapes import sizes

MAX_FILTERS = 32
MAX_EXCITED = 8  # filters that images are shown for
_IMAGES = 4  # for each of them
_MAX_ROWS, _MIN_ROWS = 1000, 100
_MAX_WORK = 1e10

Box = tuple[int, int, int, int]  # top, left, height and width in pixels; may reach beyond


@dataclass(frozen=True)
class Excited:
    """The images that excite one filter most, the strongest first."""

    filter: int  # its index, from 0
    images: np.ndarray  # [images, channels, height, width], in the data's units
    numbers: tuple[int, ...]  # of their rows, as the file counts
    activations: tuple[float, ...]
    boxes: tuple[Box, ...]  # what the filter looks at where it is highest


@dataclass(frozen=True)
class Filters:
    """The first layer's weights, and what excites them."""

    layer: str  # the module whose output is its activation: 0_conv2d, 2_activation
    kind: str  # "conv2d", "conv1d" or "dense"
    activation: str | None
    weights: np.ndarray  # [filters, channels, height, width] or [filters, channels, length]
    num_filters: int
    asked: SampledRows | None  # whose images they are; None where none are shown
    unit: str  # what rows are numbered by: "line" or "row"
    excited: tuple[Excited, ...]  # of the first filters; of one that nothing excites, no images


def look_at_filters(subject: ExplainedModel) -> Filters | Unavailable:
    """Take the first layer's weights, where they have a shape to be seen in.

    A filter's activation is meant after the non-linearity. It is highest somewhere in an image;
    images in which it is nowhere above its lowest don't excite it.
    """
    place = first_weighted(subject.plan)
    if place is None or not _reaches_untouched(subject, place):
        return Unavailable("its first layer with weights doesn't see the data as they are")
    shape = _image_shape(subject, place)
    if shape is None:
        return Unavailable("a row is no image and no signal")
    config = place.planned.config
    weight = subject.network.get_parameter(f"{place.name}.weight").detach().float().cpu().numpy()
    if isinstance(config, Dense):
        weight = weight.reshape(len(weight), *shape)
    asked: SampledRows | None = None
    excited: tuple[Excited, ...] = ()
    if len(shape) == 3:
        asked, excited = _excite(subject, place, shape, len(weight))
    return Filters(
        layer=place.module,
        kind=config.type,
        activation=place.activation,
        weights=weight[:MAX_FILTERS],
        num_filters=len(weight),
        asked=asked,
        unit=next(iter(subject.parts.values())).table.unit,
        excited=excited,
    )


def _reaches_untouched(subject: ExplainedModel, place: LayerPosition) -> bool:
    """Say whether the layers before one leave each number where it is."""
    if subject.plan.signature.embeddings:
        return False
    index = subject.plan.layers.index(place.planned)
    keeping = (ActivationLayer, BatchNorm, Dropout, Flatten, LayerNorm, Reshape)
    return all(isinstance(layer.config, keeping) for layer in subject.plan.layers[:index])


def _image_shape(subject: ExplainedModel, place: LayerPosition) -> tuple[int, ...] | None:
    """Return the shape of what the layer sees, [channels, …]; None where it has none to be seen."""
    shape = place.planned.input_shape
    if isinstance(place.planned.config, Conv1d | Conv2d):
        return shape
    own = array_shape(subject)
    return own if own is not None and len(own) == 3 and math.prod(own) == shape[0] else None


def _excite(
    subject: ExplainedModel, place: LayerPosition, shape: tuple[int, ...], num_filters: int
) -> tuple[SampledRows, tuple[Excited, ...]]:
    most = max(_MIN_ROWS, int(_MAX_WORK / work_a_row(subject.plan)))
    asked = asked_rows(subject, "filters", min(_MAX_ROWS, most))
    num_shown = min(MAX_EXCITED, num_filters)

    def highest(output: Tensor) -> Tensor:
        """Return each row's highest activation, its place and its lowest one: [rows, filters, 3].

        Places are whole numbers, which float64 keeps.
        """
        flat = output[:, :num_shown].flatten(2) if output.dim() > 2 else output[:, :num_shown, None]
        high, where = flat.max(dim=2)
        return torch.stack([high.double(), where.double(), flat.amin(dim=2).double()], dim=2)

    found = catch_activations(subject, place, asked.rows.encoded.inputs, highest).numpy()
    excited = []
    for index in range(num_shown):
        high, where, low = found[:, index].T
        order = [row for row in np.argsort(-high, kind="stable")[:_IMAGES] if high[row] > low.min()]
        chosen = np.array(order, np.int64)
        excited.append(
            Excited(
                filter=index,
                images=_images(subject, asked, chosen, shape),
                numbers=tuple(int(number) for number in asked.rows.table.numbers[chosen]),
                activations=tuple(float(high[row]) for row in chosen),
                boxes=tuple(_box(place, int(where[row]), shape) for row in chosen),
            )
        )
    return asked, tuple(excited)


def _images(
    subject: ExplainedModel, asked: SampledRows, chosen: np.ndarray, shape: tuple[int, ...]
) -> np.ndarray:
    """Return rows as images, in the data's units where each column is a pixel."""
    order = np.argsort(np.argsort(chosen))  # `take` gives rows in the order of the file
    if not len(chosen):
        return np.empty((0, *shape))
    rows = take(asked.rows, chosen)
    columns = plain_numbers(subject.fitted)
    if columns is None:
        pixels = rows.encoded.inputs[NUMBERS].cpu().numpy()
    else:
        missing_values = subject.fitted.missing_values
        values = [column.numbers(rows.table, missing_values) for column in columns]
        pixels = np.column_stack(values)
    return pixels[order].reshape(len(chosen), *shape)


def _box(place: LayerPosition, where: int, shape: tuple[int, ...]) -> Box:
    """Return what a filter looks at from one place of its output."""
    config = place.planned.config
    if not isinstance(config, Conv2d):
        return (0, 0, shape[1], shape[2])
    across = place.planned.output_shape[2]
    stride, reach = sizes(config.stride, 2), sizes(config.dilation, 2)
    spans = [
        step * (size - 1) + 1
        for step, size in zip(reach, sizes(config.kernel_size, 2), strict=True)
    ]
    if config.padding == "same":
        padding = tuple((span - 1) // 2 for span in spans)  # as torch has it: the rest at the end
    else:
        padding = (0, 0) if config.padding == "valid" else sizes(config.padding, 2)
    y, x = divmod(where, across)
    return (y * stride[0] - padding[0], x * stride[1] - padding[1], spans[0], spans[1])
