"""Which positions of a sequence the heads of attention take most of, for some rows."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from dlcli.columns.ragged import RaggedColumn
from dlcli.data.fields import lengths_of
from dlcli.data.signature import NUMBERS
from dlcli.explaining.explained_model import ExplainedModel
from dlcli.explaining.reasons.sampling import (
    SampledRows,
    choose_rows,
    sample_rows,
    work_per_row,
)
from dlcli.layers.base import PlannedLayer
from dlcli.layers.sequence import walk_modules
from dlcli.network.plan import Plan
from dlcli.training.rows.batches import Tensors

_MAX_ROWS, _MIN_ROWS = 1000, 50  # that they are chosen from
_MAX_WORK = 2e9  # multiply-adds


@dataclass(frozen=True)
class AttendedRow:
    """A row, and how much its positions count in each layer with attention."""

    position: str  # as in "line 17"
    truth: str | float
    prediction: str | float
    probability: float | None  # of the predicted class; None for numbers and labels
    length: int  # positions of the row
    tokens: tuple[str, ...]  # of each position; none: it has numbers
    signal: np.ndarray | None  # [channels, length], scaled; None: it has tokens, or is no signal
    # Of each layer, [heads, positions that take, positions that are taken]: each row adds up to 1.
    weights: tuple[np.ndarray, ...]

    @property
    def received(self) -> list[np.ndarray]:
        """The mean weight of each position, [heads, positions] of each layer."""
        return [weights.mean(axis=1) for weights in self.weights]


@dataclass(frozen=True)
class AttentionMaps:
    """Where attention looks in an input's rows."""

    input: str | None  # its name; None: the network has a single input
    layers: tuple[str, ...]  # in the order of the rows' weights
    sample: SampledRows  # that the rows are chosen from
    rows: tuple[AttendedRow, ...]


def find_attention(model: ExplainedModel) -> tuple[AttentionMaps, ...]:
    """Return the weights of each input with attention, for some rows; none without attention.

    Predictions must be finite. Of the classes with the most rows, the row that the network is
    surest of and right is shown, then those that it gets most wrong; of numbers and labels, those
    with the smallest and the largest errors.
    """
    inputs = list(_inputs_with_attention(model.plan))
    if not inputs:
        return ()
    max_rows = max(_MIN_ROWS, int(_MAX_WORK / work_per_row(model.plan)))
    sample = sample_rows(model, "attention", min(_MAX_ROWS, max_rows))
    predictions = model.predict(sample.rows.encoded.inputs)
    chosen = choose_rows(model, sample, predictions)
    return tuple(
        _of_input(model, sample, predictions, chosen, prefix, names) for prefix, names in inputs
    )


def _inputs_with_attention(plan: Plan) -> Iterator[tuple[str, list[str]]]:
    """Yield how the names of an input's modules begin, and the modules with attention."""
    for prefix, layers in plan.sequences():
        names = [name for name, layer in walk_modules(layers, prefix) if _attends(layer)]
        if names:
            yield prefix, names


def _attends(layer: PlannedLayer) -> bool:
    return layer.config.has_attention


def _of_input(
    model: ExplainedModel,
    sample: SampledRows,
    predictions: np.ndarray,
    chosen: Sequence[int],
    prefix: str,
    modules: list[str],
) -> AttentionMaps:
    truth = model.truth(sample.rows.encoded)
    rows, layers = [], list[str]()
    for row in chosen:
        inputs = {name: one[row : row + 1] for name, one in sample.rows.encoded.inputs.items()}
        layers, weights = _weights(model, inputs, modules)
        length, tokens, signal = _content(model, inputs, prefix)
        judged = model.target.judge(truth[row], predictions[row])
        rows.append(
            AttendedRow(
                position=sample.rows.table.position(row),
                truth=judged.truth,
                prediction=judged.prediction,
                probability=judged.probability,
                length=length or weights[0].shape[2],
                tokens=tokens,
                signal=signal,
                weights=tuple(weights),
            )
        )
    return AttentionMaps(_input_name(model.plan, prefix), tuple(layers), sample, tuple(rows))


def _weights(
    model: ExplainedModel, inputs: Tensors, modules: list[str]
) -> tuple[list[str], list[np.ndarray]]:
    """Return the layers' names, and the weights of a row in each, as `AttendedRow` has them."""
    layers: list[str] = []
    found: list[np.ndarray] = []

    def see(name: str, module: nn.Module, given: tuple[Tensor, ...]) -> None:
        x, lengths = given[0], given[1] if len(given) > 1 else None
        end = x.shape[2] if lengths is None else max(1, int(lengths[0]))
        each: list[Tensor] = module.attention_weights(x, lengths)  # type: ignore[operator]
        for place, weights in enumerate(each, 1):
            layers.append(name if len(each) == 1 else f"{name}, layer {place}")
            found.append(weights[0, :, :end, :end].float().cpu().numpy())

    network = model.network.eval()
    with ExitStack() as stack, torch.inference_mode(), model.placement.autocast():
        for name in modules:
            handle = network.get_submodule(name).register_forward_pre_hook(
                lambda module, given, name=name: see(name, module, given)
            )
            stack.callback(handle.remove)
        network(inputs)
    return layers, found


def _content(
    model: ExplainedModel, inputs: Tensors, prefix: str
) -> tuple[int | None, tuple[str, ...], np.ndarray | None]:
    """Return a row's length, None where it isn't known, its tokens and its signal."""
    signature, plan = model.plan.signature, model.plan
    place = 0 if signature.sequences else None
    if plan.inputs is not None:
        [branch] = [one for one in plan.inputs.branches if prefix == f"{one.module}."]
        place = branch.columns.sequence
    if place is None:
        shape = signature.shape
        if plan.inputs is not None or shape is None or len(shape) != 2:
            return None, (), None
        return shape[1], (), inputs[NUMBERS][0].view(shape).float().cpu().numpy()
    field = signature.sequences[place].field
    length = int(inputs[lengths_of(field)][0])
    values = inputs[field][0, :length].cpu().numpy()
    [column] = [
        one for one in model.fitted.columns if isinstance(one, RaggedColumn) and one.field == field
    ]
    tokens = column.token_names(values) if values.ndim == 1 else ()
    return length, tokens, values.T if values.ndim == 2 else None


def _input_name(plan: Plan, prefix: str) -> str | None:
    branches = () if plan.inputs is None else plan.inputs.branches
    return next((one.name for one in branches if prefix == f"{one.module}."), None)
