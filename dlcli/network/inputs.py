"""A batch's input fields → what the first layer gets."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from dlcli.columns.base import Series, Tokens
from dlcli.data.fields import lengths_of
from dlcli.data.signature import CODES, NUMBERS, ColumnsInput, Signature
from dlcli.layers.ragged import Sequences, TakesLengths

# Why the step of a network with embedded columns can't be stacked or recorded; None: it can.
STACKING_OBSTACLE: str | None = None
RECORDING_OBSTACLE: str | None = None


class PixelScaling(nn.Module):
    """Pixels, uint8 [batch, channels, height, width], scaled to mean 0 and standard deviation 1.

    Each channel by its own, those of training images: `fit_pixel_scaling` sets them.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, num_channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.full((num_channels, 1, 1), 127.5))
        self.register_buffer("std", torch.full((num_channels, 1, 1), 127.5))

    def forward(self, pixels: Tensor) -> Tensor:
        """Scale each channel."""
        return (pixels - self.mean) / self.std


class InputStage(nn.Module):
    """Dense numbers, and behind them a learned vector for each embedded column's code.

    `[batch, num_dense]` and `[batch, columns]` to `[batch, num_dense + dims]`; a field that a table
    doesn't have is left out. Code 0, a category never seen, is a vector of zeros and stays one.
    An image or a sequence is an input of its own: of a table with nothing else, it is what this
    gives. A sequence comes with its lengths: codes as they are, or `[batch, channels, length]`.
    """

    def __init__(self, signature: Signature) -> None:
        super().__init__()
        self.has_numbers = signature.num_dense > 0
        self.tables = nn.ModuleList(
            nn.Embedding(column.num_codes, column.dim, padding_idx=0)
            for column in signature.embeddings
        )
        self.image_fields = [image.field for image in signature.pixels]
        self.pixels = nn.ModuleList(PixelScaling(image.shape[0]) for image in signature.pixels)
        self.sequences = signature.sequences

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor | Sequences:
        """Look the codes up."""
        if self.sequences:
            return _sequences(self.sequences[0], inputs)
        if self.pixels:
            scaled: Tensor = self.pixels[0](inputs[self.image_fields[0]])
            return scaled
        if not self.tables:
            return inputs[NUMBERS]
        codes = inputs[CODES]
        vectors = [table(codes[:, index]) for index, table in enumerate(self.tables)]
        return torch.cat([inputs[NUMBERS], *vectors] if self.has_numbers else vectors, dim=1)


class Branches(nn.Module):
    """What each branch makes of its input, joined: a list of `[batch, …]` to `[batch, features]`.

    A branch without layers passes its input on.
    """

    def __init__(self, branches: Mapping[str, nn.Module], join_name: str, join: nn.Module) -> None:
        super().__init__()
        self._names = [*branches, join_name]
        for name, module in {**branches, join_name: join}.items():
            self.add_module(name, module)

    def forward(self, inputs: Sequence[Tensor | Sequences]) -> Tensor:
        """Compute the branches in their order, and join them."""
        *branches, join = (self.get_submodule(name) for name in self._names)
        given = [branch(x) for branch, x in zip(branches, inputs, strict=True)]
        joined: Tensor = join(given)
        return joined


class Heads(TakesLengths, nn.ModuleDict):
    """What each head makes of the same input, side by side: `[batch, num_outputs]` of all."""

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Compute the heads in their order."""
        return torch.cat([head(x, lengths) for head in self.values()], dim=1)

    def lengths_after(self, lengths: Tensor) -> None:
        """Return None: outputs are no sequences."""
        del lengths


class InputsStage(InputStage):
    """The same for each of several inputs: a tuple of `[batch, width]`, images and sequences."""

    def __init__(self, signature: Signature, inputs: Sequence[ColumnsInput]) -> None:
        super().__init__(signature)
        self._runs = [_runs(columns.numbers) for columns in inputs]
        self._embedded = [columns.embedded for columns in inputs]
        self._single = [(columns.pixels, columns.sequence) for columns in inputs]

    def forward(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor | Sequences, ...]:  # type: ignore[override]
        """Take the numbers of each input, and look its codes up."""
        found: list[Tensor | Sequences] = []
        for runs, embedded, single in zip(self._runs, self._embedded, self._single, strict=True):
            image, sequence = single
            if image is not None:
                found.append(self.pixels[image](inputs[self.image_fields[image]]))
                continue
            if sequence is not None:
                found.append(_sequences(self.sequences[sequence], inputs))
                continue
            parts = [inputs[NUMBERS][:, start:end] for start, end in runs]
            parts += [self.tables[place](inputs[CODES][:, place]) for place in embedded]
            found.append(parts[0] if len(parts) == 1 else torch.cat(parts, dim=1))
        return tuple(found)


def _runs(places: Sequence[int]) -> list[tuple[int, int]]:
    """Return the start and the end of each run of places that follow each other, upwards."""
    gaps = [index for index, (one, other) in enumerate(pairwise(places), 1) if other != one + 1]
    cuts = [0, *gaps, len(places)] if places else []
    return [(places[start], places[end - 1] + 1) for start, end in pairwise(cuts)]


def _sequences(sequence: Tokens | Series, inputs: Mapping[str, Tensor]) -> Sequences:
    """Return a column's sequences; numbers with the channels before the positions, as a view."""
    values = inputs[sequence.field]
    if isinstance(sequence, Series):
        values = values.transpose(1, 2)
    return Sequences(values, inputs[lengths_of(sequence.field)])


def empty_inputs(signature: Signature, num_rows: int) -> dict[str, Tensor]:
    """Return rows of zeros, of which only the shapes matter; sequences have their full length."""
    inputs = {
        field.name: torch.from_numpy(np.zeros((num_rows, *field.shape), field.dtype))
        for field in signature.inputs
        if not field.is_ragged
    }
    for one in signature.sequences:
        channels = (one.channels,) if isinstance(one, Series) else ()
        dtype = torch.float32 if channels else torch.int32
        inputs[one.field] = torch.zeros(num_rows, one.longest, *channels, dtype=dtype)
        inputs[lengths_of(one.field)] = torch.full((num_rows,), one.longest)
    return inputs
