"""Which rows questions are put to, and what a question takes."""

import math
from dataclasses import dataclass

import numpy as np
import torch

from dlcli.explaining.explained_model import ExplainedModel, ExplainedRows
from dlcli.network.costs import multiply_adds
from dlcli.network.plan import Plan
from dlcli.seeds import derive_seed

_ACTIVATION = 15  # multiplications that a number of a layer's output takes as long as


@dataclass(frozen=True)
class SampledRows:
    """Rows that are asked about."""

    part: str  # "test", "validation" or "train"
    rows: ExplainedRows
    num_held: int  # rows that the part has

    def __len__(self) -> int:
        return len(self.rows)


def asked_rows(subject: ExplainedModel, purpose: str, most: int | None = None) -> SampledRows:
    """Return the held-out rows, training rows where there are none; at random where too many."""
    part = next(name for name in ("test", "validation", "train") if name in subject.parts)
    rows = subject.parts[part]
    if most is None or len(rows) <= most:
        return SampledRows(part, rows, len(rows))
    generator = np.random.default_rng(derive_seed(subject.seed, purpose))
    return SampledRows(
        part, take(rows, generator.choice(len(rows), most, replace=False)), len(rows)
    )


def take(rows: ExplainedRows, chosen: np.ndarray) -> ExplainedRows:
    """Return some rows, in the order of their file."""
    chosen = np.sort(chosen)
    indices = torch.tensor(chosen, device=rows.encoded.device)
    return ExplainedRows(rows.encoded.take(indices), rows.table.take(chosen))


def work_a_row(plan: Plan) -> int:
    """Return what a row's forward pass takes, in multiplications with an addition each."""
    layers = plan.layers
    numbers = plan.signature.num_inputs + sum(math.prod(layer.output_shape) for layer in layers)
    return sum(map(multiply_adds, layers)) + _ACTIVATION * numbers
