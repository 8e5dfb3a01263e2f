"""A cell through all times, as one operation with a gradient of its own.

Inputs are multiplied by their weights for a block of times at once, and the gradients of weights
are summed block by block, while caches hold what they are made of.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.amp import custom_bwd, custom_fwd

from dlcli.layers.recurrent.cells import Block, Cell, Given, Weights

_BLOCK = 2**18  # numbers of gates: 1 MiB


class Recurrence(torch.autograd.Function):
    """`[time, batch, inputs]` to the states after each time, `[time, batch, units]`, and the last.

    Behind the end of a row, its inputs must be zero, and its states are. Weights are those of
    `Weights`. Computed in float32, under autocast too.
    """

    @staticmethod
    @custom_fwd(device_type="cpu", cast_inputs=torch.float32)  # type: ignore[untyped-decorator]
    def forward(
        ctx: Any,  # noqa: ANN401
        cell: Cell,
        x: Tensor,
        behind: Tensor | None,
        *given: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """Compute the states, beginning with zeros."""
        weights = Weights(*given)  # type: ignore[arg-type]
        num_units = weights.hh.shape[1]
        w_ih, bias = _of_inputs(cell, weights)
        w_hh = cell.doubled(weights.hh).t()
        memory = _Memory(cell, x, num_units, behind)
        for first, end in memory.blocks():
            block = memory.block(first, end)
            gates = block.gates.flatten(0, 1)
            inputs, rest = gates[:, : w_ih.shape[1]], gates[:, w_ih.shape[1] :]
            torch.addmm(bias[: w_ih.shape[1]], x[first:end].flatten(0, 1), w_ih, out=inputs)
            if rest.shape[1]:
                rest.copy_(bias[w_ih.shape[1] :])
            cell.forward(block, w_hh)
        ctx.cell = cell
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x, behind, *weights, memory.gates, memory.states, *memory.kept)
        return memory.states[1:], memory.states[-1].clone()

    @staticmethod
    @custom_bwd(device_type="cpu")  # type: ignore[untyped-decorator]
    def backward(
        ctx: Any,  # noqa: ANN401
        wanted: Tensor | None,
        of_last: Tensor | None,
    ) -> tuple[Tensor | None, ...]:
        """Go through the blocks from the last one to the first."""
        cell: Cell = ctx.cell
        x, behind, *rest = ctx.saved_tensors
        weights, buffers = Weights(*rest[:4]), rest[4:]
        num_units = weights.hh.shape[1]
        memory = _Memory(cell, x, num_units, behind, buffers)
        given = _given(wanted, of_last, behind, len(x))
        carried = (torch.zeros_like(memory.states[0]), torch.zeros_like(memory.states[0]))
        width, shift = cell.num_gates * num_units, cell.shift * num_units
        w_ih = weights.ih.roll(shift, 0)
        of_x = torch.empty_like(x) if ctx.needs_input_grad[1] else None
        of_ih, of_hh = x.new_zeros(x.shape[2], width), x.new_zeros(num_units, width)
        of_bias = x.new_zeros(1, cell.num_columns * num_units)
        later: Tensor | None = None
        for first, end in reversed([*memory.blocks()]):
            block = memory.block(first, end)
            of_gates = torch.empty_like(block.gates)
            cell.backward(block, Given(given[first:end], later), weights.hh, carried, of_gates)
            later = of_gates[0]
            columns = of_gates.flatten(0, 1)
            of_ih.addmm_(x[first:end].flatten(0, 1).t(), columns[:, :width])
            of_hh.addmm_(block.states[:-1].flatten(0, 1).t(), columns[:, -width:])
            if weights.bias_ih is not None:
                of_bias.addmm_(columns.new_ones(1, len(columns)), columns)
            if of_x is not None:
                torch.mm(columns[:, :width], w_ih, out=of_x[first:end].flatten(0, 1))
        gradients = (None, of_x, None, of_ih.roll(-shift, 1).t(), of_hh.t())
        if weights.bias_ih is None:
            return (*gradients, None, None)
        return (*gradients, of_bias[0, :width].roll(-shift), of_bias[0, -width:])


class _Memory:
    """What the forward pass writes, and the backward pass reads."""

    def __init__(
        self,
        cell: Cell,
        x: Tensor,
        num_units: int,
        behind: Tensor | None,
        buffers: list[Tensor] | None = None,
    ) -> None:
        length, batch = x.shape[:2]
        if buffers is None:
            buffers = [x.new_empty(length, batch, cell.num_columns * num_units)]
            for _ in range(1 + cell.num_kept):
                buffers.append(x.new_empty(1 + length, batch, num_units))
                buffers[-1][0].zero_()
        self.gates, self.states, *self.kept = buffers
        self.behind = behind

    def blocks(self) -> Iterator[tuple[int, int]]:
        """Yield the first time of each block, and that behind it."""
        length, size = len(self.gates), max(1, _BLOCK // max(1, self.gates[0].numel()))
        for first in range(0, length, size):
            yield first, min(first + size, length)

    def block(self, first: int, end: int) -> Block:
        """Return the block of some times."""
        return Block(
            self.gates[first:end],
            self.states[first : end + 1],
            tuple(buffer[first : end + 1] for buffer in self.kept),
            None if self.behind is None else self.behind[first:end],
        )


def _of_inputs(cell: Cell, weights: Weights) -> tuple[Tensor, Tensor]:
    """Return what inputs are multiplied by, [inputs, gates × units], and all columns' bias."""
    num_units = weights.hh.shape[1]
    width, shift = cell.num_gates * num_units, cell.shift * num_units
    bias = weights.hh.new_zeros(cell.num_columns * num_units)
    if weights.bias_ih is not None and weights.bias_hh is not None:
        bias[:width].add_(cell.doubled(weights.bias_ih).roll(shift))
        bias[-width:].add_(cell.doubled(weights.bias_hh))
    return cell.doubled(weights.ih).roll(shift, 0).t(), bias


def _given(
    wanted: Tensor | None, of_last: Tensor | None, behind: Tensor | None, length: int
) -> list[Tensor | None]:
    """Return the gradients that are given of the states after each time."""
    given: list[Tensor | None] = [None] * length
    if wanted is not None:
        given = [*(wanted if behind is None else wanted.masked_fill(behind, 0.0)).unbind()]
    if of_last is not None:
        if behind is not None:
            of_last = of_last.masked_fill(behind[-1], 0.0)
        given[-1] = of_last if given[-1] is None else given[-1] + of_last
    return given
