"""The modules of embedded numeric columns; imported when a layer is built."""

import math
from collections.abc import Callable, Sequence
from typing import Self

import torch
from torch import Tensor, nn


class _EmbeddedColumns(nn.Module):
    """Selects the numeric columns among a row's numbers, and puts their vectors behind the others.

    Inside, columns come before rows, `[columns, batch, …]`: so each column's linear map is one of a
    batch of matrix products.
    """

    def __init__(self, places: Sequence[int], width: int) -> None:
        super().__init__()
        chosen = {*places}
        rest = [place for place in range(width) if place not in chosen]
        self.has_rest = bool(rest)
        self.is_all = not rest
        # What follows from the plan is no state: neither saved nor stacked, but moved with it.
        self.constants = {"places": torch.tensor(places), "rest": torch.tensor(rest)}

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self.constants = {name: fn(tensor) for name, tensor in self.constants.items()}
        return self

    def columns(self, x: Tensor) -> Tensor:
        """Return the numeric columns of `[batch, width]`, `[columns, batch, 1]`."""
        by_column = x.t()
        if not self.is_all:
            by_column = by_column.index_select(0, self.constants["places"])
        return by_column.unsqueeze(2)

    def beside(self, others: Tensor, vectors: Tensor) -> Tensor:
        """Return other numbers `[batch, others]` and behind them the vectors of the columns."""
        return torch.cat([others, vectors.transpose(0, 1).flatten(1)], dim=1)

    def beside_rest(self, x: Tensor, vectors: Tensor) -> Tensor:
        """Return the numbers of `[batch, width]` that are no numeric column, then the vectors."""
        if not self.has_rest:
            return vectors.transpose(0, 1).flatten(1)
        return self.beside(x.index_select(1, self.constants["rest"]), vectors)


class Pbld(_EmbeddedColumns):
    """All numbers as they are, then linear maps of cos(2π · frequency · number + phase)."""

    def __init__(
        self, places: Sequence[int], width: int, num_frequencies: int, sigma: float, dim: int
    ) -> None:
        super().__init__(places, width)
        num_columns, bound = len(places), num_frequencies**-0.5
        self.frequencies = nn.Parameter(sigma * torch.randn(num_columns, num_frequencies))
        self.phases = _uniform((num_columns, num_frequencies), math.pi)
        self.weight = _uniform((num_columns, num_frequencies, dim - 1), bound)
        self.bias = _uniform((num_columns, dim - 1), bound)

    def forward(self, x: Tensor) -> Tensor:
        """Embed the columns."""
        turns = self.columns(x) * self.frequencies.unsqueeze(1)
        waves = torch.cos(2 * math.pi * turns + self.phases.unsqueeze(1))
        return self.beside(x, waves @ self.weight + self.bias.unsqueeze(1))


class Plr(_EmbeddedColumns):
    """ReLU of linear maps of cosines and sines of 2π · frequency · number."""

    def __init__(
        self, places: Sequence[int], width: int, num_frequencies: int, sigma: float, dim: int
    ) -> None:
        super().__init__(places, width)
        num_columns, bound = len(places), (2 * num_frequencies) ** -0.5
        self.frequencies = nn.Parameter(torch.empty(num_columns, num_frequencies))
        nn.init.trunc_normal_(self.frequencies, 0.0, sigma, a=-3 * sigma, b=3 * sigma)
        self.weight = _uniform((num_columns, 2 * num_frequencies, dim), bound)
        self.bias = _uniform((num_columns, dim), bound)

    def forward(self, x: Tensor) -> Tensor:
        """Embed the columns."""
        angles = 2 * math.pi * (self.columns(x) * self.frequencies.unsqueeze(1))
        waves = torch.cat([torch.cos(angles), torch.sin(angles)], dim=2)
        return self.beside_rest(x, torch.relu(waves @ self.weight + self.bias.unsqueeze(1)))


class PiecewiseLinear(_EmbeddedColumns):
    """slope · number + bias, and a vector for each bin, as far as the number has come in it.

    In a bin, a number has come a share of the way from edge to edge: 0 before it, 1 behind it.
    Below the first bin and above the last one, the line goes on.
    """

    def __init__(
        self, places: Sequence[int], width: int, edges: Sequence[Sequence[float]], dim: int
    ) -> None:
        super().__init__(places, width)
        num_columns, num_bins = len(places), max(map(len, edges)) - 1
        self.slope = _uniform((num_columns, dim), dim**-0.5)
        self.bias = _uniform((num_columns, dim), dim**-0.5)
        self.weight = nn.Parameter(torch.zeros(num_columns, num_bins, dim))
        self.constants |= _bins(edges, num_bins)

    def forward(self, x: Tensor) -> Tensor:
        """Embed the columns."""
        numbers, bins = self.columns(x), self.constants
        shares = (numbers - bins["left"]) * bins["per_width"]
        shares = torch.minimum(torch.maximum(shares, bins["least"]), bins["most"])
        line = numbers * self.slope.unsqueeze(1) + self.bias.unsqueeze(1)
        return self.beside_rest(x, line + shares @ self.weight)


def _bins(edges: Sequence[Sequence[float]], num_bins: int) -> dict[str, Tensor]:
    """Return left edges, 1 / widths and bounds of the shares, `[columns, 1, bins]` each.

    A column with fewer bins than others has empty ones behind them, whose share is always 0.
    """
    beyond = torch.finfo(torch.float32).max
    left, per_width, least, most = (torch.zeros(len(edges), 1, num_bins) for _ in range(4))
    for column, of_column in enumerate(edges):
        ends = torch.tensor(of_column)
        count = len(ends) - 1
        left[column, 0, :count] = ends[:-1]
        per_width[column, 0, :count] = 1 / ends.diff()
        most[column, 0, :count] = 1.0
        least[column, 0, 0] = -beyond
        most[column, 0, count - 1] = beyond
    return {"left": left, "per_width": per_width, "least": least, "most": most}


def _uniform(shape: tuple[int, ...], bound: float) -> nn.Parameter:
    return nn.Parameter(nn.init.uniform_(torch.empty(shape), -bound, bound))


class TokenVectors(nn.Embedding):
    """A learned vector for each code: `[batch, length]` to `[batch, dim, length]`, as a view.

    Code 0, what rows are padded with, is a vector of zeros and stays one.
    """

    def __init__(self, num_codes: int, dim: int) -> None:
        super().__init__(num_codes, dim, padding_idx=0)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - PyTorch's name
        """Look the codes up."""
        return super().forward(input).transpose(1, 2)
