"""The steps of recurrent layers through time, on the CPU: forwards, and backwards.

tanh(x) is computed as 2σ(2x) − 1, as PyTorch's logistic function is five times as fast as its tanh:
weights of what goes into it are doubled beforehand, which rounds nothing. Each step writes into
memory that is there already. Tensors have time first; columns of gates are blocks of `units`.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Literal, NamedTuple, final

import torch
from torch import Tensor


class Weights(NamedTuple):
    """Those of one direction of a layer, as PyTorch has them."""

    ih: Tensor  # [gates × units, inputs]
    hh: Tensor  # [gates × units, units]
    bias_ih: Tensor | None
    bias_hh: Tensor | None


class Block(NamedTuple):
    """Neighbouring times, few enough for caches to hold what is computed of them."""

    gates: Tensor  # [time, batch, columns]: the inputs' part at first, then each gate's value
    states: Tensor  # [1 + time, batch, units]: that before the first time, and those after each
    kept: tuple[Tensor, ...]  # more that the backward pass needs, [1 + time, batch, units]
    behind: (
        Tensor | None
    )  # bool [time, batch, 1]: positions behind a row's end; None: there is none


class Given(NamedTuple):
    """Gradients that the backward pass of a block begins with."""

    states: Sequence[Tensor | None]  # of those after each time, [batch, units]; None: zero
    later: (
        Tensor | None
    )  # of all columns of gates at the time after the block; None: it is the last


class Cell(ABC):
    """What happens at a time. Its subclasses say how columns of gates are made of PyTorch's.

    Columns that inputs are multiplied to come first, those of the state before come last.
    """

    num_columns: ClassVar[int]  # blocks of columns
    num_gates: ClassVar[int]  # as PyTorch counts them: of them, inputs and states have as many
    shift: ClassVar[int] = 0  # by how many blocks the inputs' gates are rotated among the columns
    num_kept: ClassVar[int] = 0  # more buffers that the backward pass needs
    tanh_gate: int | None  # whose weights are doubled, as PyTorch counts it

    @abstractmethod
    def forward(self, block: Block, w_hh: Tensor) -> None:
        """Compute gates and states of a block; w_hh is [units, gates × units], `doubled`."""

    @abstractmethod
    def backward(
        self, block: Block, given: Given, w_hh: Tensor, carried: tuple[Tensor, Tensor], out: Tensor
    ) -> None:
        """Write the gradients of all columns of gates to `out`, [time, batch, columns].

        `carried` is memory from block to block, [batch, units] each, zero at first.
        """

    def doubled(self, tensor: Tensor) -> Tensor:
        """Return weights, [gates × units, …], with those that go into tanh doubled."""
        if self.tanh_gate is None:
            return tensor
        copy = tensor.clone()
        copy.chunk(self.num_gates)[self.tanh_gate].mul_(2)
        return copy


@final
class RnnCell(Cell):
    """h = tanh(W·x + V·h + b), or ReLU of it."""

    num_columns = num_gates = 1

    def __init__(self, nonlinearity: Literal["tanh", "relu"]) -> None:
        self.is_tanh = nonlinearity == "tanh"
        self.tanh_gate = 0 if self.is_tanh else None

    def forward(self, block: Block, w_hh: Tensor) -> None:
        """One product and one function a step."""
        minus_one, states = _minus_one(block.gates), block.states.unbind()
        for time, gate in enumerate(block.gates.unbind()):
            torch.addmm(gate, states[time], w_hh, out=gate)
            if self.is_tanh:
                gate.sigmoid_()
                torch.add(minus_one, gate, alpha=2, out=states[time + 1])
            else:
                torch.clamp(gate, min=0, out=states[time + 1])
            _end_rows(states[time + 1], block, time)

    def backward(
        self, block: Block, given: Given, w_hh: Tensor, carried: tuple[Tensor, Tensor], out: Tensor
    ) -> None:
        """Go back by one product and one function a step."""
        later, outs, states = given.later, out.unbind(), block.states.unbind()
        for time in reversed(range(len(outs))):
            gradient = _of_state(given.states[time], later, w_hh, carried[0])
            if self.is_tanh:
                _tanh_backward(gradient, states[time + 1], outs[time])
            else:
                torch.mul(gradient, states[time + 1] > 0, out=outs[time])
            later = outs[time]


@final
class LstmCell(Cell):
    """i, f, g, o: c = f·c + i·g, h = o·tanh(c). Keeps 2c and tanh(c)."""

    num_columns = num_gates = 4
    num_kept = 2
    tanh_gate = 2

    def forward(self, block: Block, w_hh: Tensor) -> None:
        """One product and seven operations a step."""
        minus_one, states = _minus_one(block.gates), block.states.unbind()
        cells, tanh_cells = (kept.unbind() for kept in block.kept)
        for time, gate in enumerate(block.gates.unbind()):
            i, f, g, o = gate.chunk(4, 1)
            cell, tanh_cell = cells[time + 1], tanh_cells[time + 1]
            torch.addmm(gate, states[time], w_hh, out=gate)
            gate.sigmoid_()
            torch.add(minus_one, g, alpha=2, out=g)
            torch.mul(f, cells[time], out=cell)
            cell.addcmul_(i, g, value=2)
            torch.sigmoid(cell, out=tanh_cell)
            torch.add(minus_one, tanh_cell, alpha=2, out=tanh_cell)
            torch.mul(o, tanh_cell, out=states[time + 1])
            _end_rows(states[time + 1], block, time)

    def backward(
        self, block: Block, given: Given, w_hh: Tensor, carried: tuple[Tensor, Tensor], out: Tensor
    ) -> None:
        """Compute what gradients are multiplied by, for all times; then step by step, multiply."""
        gradient_out, cell_gradient = carried
        cells, tanh_cells = block.kept
        i, f, g, o = block.gates.chunk(4, 2)
        of_i, of_f, of_g, of_o = out.chunk(4, 2)
        of_cell = torch.empty_like(tanh_cells[1:])
        _sigmoid_backward(g, i, of_i)
        _sigmoid_backward(cells[:-1], f, of_f)
        of_f.mul_(0.5)
        _tanh_backward(i, g, of_g)
        _sigmoid_backward(tanh_cells[1:], o, of_o)
        _tanh_backward(o, tanh_cells[1:], of_cell)
        outs, forgets, of_cells, of_os = out.unbind(), f.unbind(), of_cell.unbind(), of_o.unbind()
        batch, num_units = gradient_out.shape
        of_ifgs = out[:, :, : 3 * num_units].view(-1, batch, 3, num_units).unbind()
        cell_gradients, later = cell_gradient[:, None], given.later
        for time in reversed(range(len(outs))):
            gradient = _of_state(given.states[time], later, w_hh, gradient_out)
            of_os[time].mul_(gradient)
            cell_gradient.addcmul_(gradient, of_cells[time])
            of_ifgs[time].mul_(cell_gradients)
            cell_gradient.mul_(forgets[time])
            later = outs[time]


@final
class GruCell(Cell):
    """r, z, n: n = tanh(W·x + b + r·(V·h + b')), h = n + z·(h − n). Keeps n.

    Columns are n of the input, r, z, n of the state.
    """

    num_columns, num_gates = 4, 3
    shift = 1
    num_kept = 1
    tanh_gate = 2

    def forward(self, block: Block, w_hh: Tensor) -> None:
        """One product and five operations a step."""
        minus_one, states = _minus_one(block.gates), block.states.unbind()
        num_units = len(w_hh)
        for time, (gate, new) in enumerate(
            zip(block.gates.unbind(), block.kept[0][1:].unbind(), strict=True)
        ):
            of_input, r, z, of_state = gate.chunk(4, 1)
            rest = gate[:, num_units:]
            torch.addmm(rest, states[time], w_hh, out=rest)
            gate[:, num_units : 3 * num_units].sigmoid_()
            torch.addcmul(of_input, r, of_state, out=new)
            new.sigmoid_()
            torch.add(minus_one, new, alpha=2, out=new)
            torch.lerp(new, states[time], z, out=states[time + 1])
            _end_rows(states[time + 1], block, time)

    def backward(
        self, block: Block, given: Given, w_hh: Tensor, carried: tuple[Tensor, Tensor], out: Tensor
    ) -> None:
        """Compute what gradients are multiplied by, for all times; then step by step, multiply."""
        gradient, passed_on = carried
        new = block.kept[0][1:]
        _, r, z, of_state = block.gates.chunk(4, 2)
        of_new, of_r, of_z, of_new_state = out.chunk(4, 2)
        _tanh_backward(1 - z, new, of_new)
        torch.mul(of_new, r, out=of_new_state)
        torch.mul(of_new, of_state, out=of_r)
        _sigmoid_backward(of_r, r, of_r)
        of_r.mul_(0.5)  # as the state's part of n is doubled
        torch.sub(block.states[:-1], new, out=of_z)
        _sigmoid_backward(of_z, z, of_z)
        batch, num_units = gradient.shape
        outs, by_gate = out.unbind(), out.view(-1, batch, 4, num_units).unbind()
        keeps, gradients, later = z.unbind(), gradient[:, None], given.later
        for time in reversed(range(len(outs))):
            wanted = given.states[time]
            if wanted is not None:
                passed_on.add_(wanted)
            if later is None:
                gradient.copy_(passed_on)
            else:
                torch.addmm(passed_on, later[:, num_units:], w_hh, out=gradient)
            by_gate[time].mul_(gradients)
            torch.mul(gradient, keeps[time], out=passed_on)
            later = outs[time]


def _end_rows(state: Tensor, block: Block, time: int) -> None:
    """Set the states of rows that have ended to zero."""
    if block.behind is not None:
        state.masked_fill_(block.behind[time], 0.0)


def _of_state(given: Tensor | None, later: Tensor | None, w_hh: Tensor, out: Tensor) -> Tensor:
    """Return the gradient of a state: what is given, and what the time after it passes back."""
    if later is None:
        return out.zero_() if given is None else given
    if given is None:
        return torch.mm(later, w_hh, out=out)
    return torch.addmm(given, later, w_hh, out=out)


def _minus_one(like: Tensor) -> Tensor:
    return torch.full((), -1.0, dtype=like.dtype)


def _sigmoid_backward(gradient: Tensor, value: Tensor, out: Tensor) -> None:
    torch.ops.aten.sigmoid_backward.grad_input(gradient, value, grad_input=out)


def _tanh_backward(gradient: Tensor, value: Tensor, out: Tensor) -> None:
    torch.ops.aten.tanh_backward.grad_input(gradient, value, grad_input=out)
