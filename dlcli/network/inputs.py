"""A batch's input fields → what the first layer gets."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from dlcli.data.signature import CODES, NUMBERS, Signature

# Why the step of a network with embedded columns can't be stacked or recorded; None: it can.
STACKING_OBSTACLE: str | None = None
RECORDING_OBSTACLE: str | None = None


class InputStage(nn.Module):
    """Dense numbers, and behind them a learned vector for each embedded column's code.

    `[batch, num_dense]` and `[batch, columns]` to `[batch, num_dense + dims]`; a field that a table
    doesn't have is left out. Code 0, a category never seen, is a vector of zeros and stays one.
    """

    def __init__(self, signature: Signature) -> None:
        super().__init__()
        self.has_numbers = signature.num_dense > 0
        self.tables = nn.ModuleList(
            nn.Embedding(column.num_codes, column.dim, padding_idx=0)
            for column in signature.embeddings
        )

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Look the codes up."""
        if not self.tables:
            return inputs[NUMBERS]
        codes = inputs[CODES]
        vectors = [table(codes[:, index]) for index, table in enumerate(self.tables)]
        return torch.cat([inputs[NUMBERS], *vectors] if self.has_numbers else vectors, dim=1)


def empty_inputs(signature: Signature, num_rows: int) -> dict[str, Tensor]:
    """Return rows of zeros, of which only the shapes matter."""
    return {
        field.name: torch.from_numpy(np.zeros((num_rows, *field.shape), field.dtype))
        for field in signature.inputs
    }
