"""Which rows questions are put to, and what a question takes."""

import math
from dataclasses import dataclass

import numpy as np
import torch

from dlcli.explaining.subject import Subject, SubjectRows
from dlcli.model.costs import multiply_adds
from dlcli.model.plan import Plan
from dlcli.seeds import derive_seed
from dlcli.training.batches import Rows

_ACTIVATION = 15  # multiplications that a number of a layer's output takes as long as


@dataclass(frozen=True)
class Asked:
    """Rows that are asked about."""

    part: str  # "test", "validation" or "train"
    rows: SubjectRows
    num_held: int  # rows that the part has

    def __len__(self) -> int:
        return len(self.rows)


def asked_rows(subject: Subject, purpose: str, most: int | None = None) -> Asked:
    """Return the held-out rows, training rows where there are none; at random where too many."""
    part = next(name for name in ("test", "validation", "train") if name in subject.parts)
    rows = subject.parts[part]
    if most is None or len(rows) <= most:
        return Asked(part, rows, len(rows))
    generator = np.random.default_rng(derive_seed(subject.seed, purpose))
    return Asked(part, take(rows, generator.choice(len(rows), most, replace=False)), len(rows))


def take(rows: SubjectRows, chosen: np.ndarray) -> SubjectRows:
    """Return some rows, in the order of their file."""
    chosen = np.sort(chosen)
    indices = torch.tensor(chosen, device=rows.encoded.features.device)
    encoded = Rows(rows.encoded.features[indices], rows.encoded.targets[indices])
    return SubjectRows(encoded, rows.table.take(chosen))


def work_a_row(plan: Plan) -> int:
    """Return what a row's forward pass takes, in multiplications with an addition each."""
    layers = plan.layers
    numbers = plan.signature.num_inputs + sum(math.prod(layer.output_shape) for layer in layers)
    return sum(map(multiply_adds, layers)) + _ACTIVATION * numbers
