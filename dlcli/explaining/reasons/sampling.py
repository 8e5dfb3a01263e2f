"""Which rows a network is explained on, and the work that a row takes."""

import math
from dataclasses import dataclass

import numpy as np
import torch

from dlcli.data.splits import PartName
from dlcli.explaining.explained_model import ExplainedModel, ExplainedRows
from dlcli.network.plan import Plan
from dlcli.seeds import derive_seed

_ACTIVATION = 15  # work of one number of a layer's output, in multiplications
_NUM_RIGHT, _NUM_WRONG = 4, 2  # rows that are shown


@dataclass(frozen=True)
class SampledRows:
    """Held-out rows, or some of them."""

    part: PartName
    rows: ExplainedRows
    num_held: int  # rows in the part

    def __len__(self) -> int:
        return len(self.rows)


def sample_rows(model: ExplainedModel, purpose: str, max_rows: int | None = None) -> SampledRows:
    """Return the held-out rows, or else training rows; a random sample where they are too many."""
    part = model.judged_part
    rows = model.parts[part]
    if max_rows is None or len(rows) <= max_rows:
        return SampledRows(part, rows, len(rows))
    generator = np.random.default_rng(derive_seed(model.seed, purpose))
    return SampledRows(
        part, take(rows, generator.choice(len(rows), max_rows, replace=False)), len(rows)
    )


def take(rows: ExplainedRows, chosen: np.ndarray) -> ExplainedRows:
    """Return some rows, in the order of their file."""
    chosen = np.sort(chosen)
    indices = torch.tensor(chosen, device=rows.encoded.device)
    kept = None if rows.kept is None else rows.kept.take(chosen)
    return ExplainedRows(rows.encoded.take(indices), kept)


def choose_rows(model: ExplainedModel, sample: SampledRows, predictions: np.ndarray) -> list[int]:
    """Return rows of a sample that show the network right and wrong, by their places in it.

    Of the classes with the most rows, the row that it is surest of and right, then those that it
    gets most wrong; of numbers and labels, those with the smallest and the largest errors.
    """
    truth = model.truth(sample.rows.encoded)
    if model.target.has_labels or not model.target.class_names:
        errors = np.zeros(len(truth))
        if truth.shape == predictions.shape:
            errors = np.nan_to_num(np.abs(truth - predictions)).reshape(len(truth), -1).mean(axis=1)
        order = np.argsort(errors, kind="stable").tolist()
        return [*order[:_NUM_RIGHT], *order[_NUM_RIGHT:][-_NUM_WRONG:]]
    predicted, sureness = predictions.argmax(axis=1), predictions.max(axis=1)
    right, found = predicted == truth, list[int]()
    largest = np.argsort(-np.bincount(truth, minlength=predictions.shape[1]), kind="stable")
    for index in np.sort(largest[:_NUM_RIGHT]):
        rows = np.flatnonzero(right & (truth == index))
        found += rows[np.argsort(-sureness[rows], kind="stable")[:1]].tolist()
    wrong = np.flatnonzero(~right)
    of_truth = predictions[wrong, truth[wrong]]
    return [*found, *wrong[np.argsort(of_truth, kind="stable")[:_NUM_WRONG]].tolist()]


def work_per_row(plan: Plan) -> int:
    """Return the work of a row's forward pass, in multiply-adds."""
    outputs = (
        math.prod(layer.output_shape) * (1 if layer.members is None else layer.members.number)
        for layer in plan.outer_layers
    )
    numbers = plan.signature.num_inputs + sum(outputs)
    return plan.multiply_adds + _ACTIVATION * numbers
