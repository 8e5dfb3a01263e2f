"""The modules of recurrent layers: PyTorch's own, with sequences as layers here have them.

Weights have PyTorch's names, shapes and first values. On the CPU, steps are computed here, as that
is faster (decision 27); elsewhere by PyTorch, on CUDA by cuDNN.
"""

from typing import Any, Literal

import torch
from torch import Tensor, nn

from dlcli.layers.modules import RandomMask
from dlcli.layers.ragged import TakesLengths, is_behind, without_rest
from dlcli.layers.recurrent.cells import Cell, GruCell, LstmCell, RnnCell
from dlcli.layers.recurrent.recurrence import Recurrence


class _Recurrent(TakesLengths, nn.RNNBase):
    """`[batch, channels, length]` to `[batch, units, length]`, or `[batch, units]`.

    In memory, time comes first, so that recurrent layers behind each other transpose nothing.
    """

    cell: Cell

    def __init__(
        self,
        *options: Any,  # noqa: ANN401 - PyTorch's
        returns: Literal["last", "sequence"],
        dropped: float,
        **more: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(*options, **more)
        self.returns = returns
        self.masks = nn.ModuleList(RandomMask(dropped) for _ in range(self.num_layers - 1))

    def forward(self, input: Tensor, lengths: Tensor | None = None) -> Tensor:  # noqa: A002 - PyTorch's name
        """Go through the rows, in both directions where it has two."""
        x = without_rest(input, lengths).permute(2, 0, 1)
        behind = None if lengths is None else is_behind(lengths, len(x)).t()[:, :, None]
        for layer in range(self.num_layers):
            if layer:
                x = self.masks[layer - 1](x)
            directions = [self._states(x, layer, "", behind)]
            if self.bidirectional:
                reversed_x = _reversed(x, lengths)
                directions.append(self._states(reversed_x, layer, "_reverse", behind))
            if layer == self.num_layers - 1 and self.returns == "last":
                return _joined([_last(*states, lengths) for states in directions])
            sequences = [states[0] for states in directions]
            if self.bidirectional:
                sequences[1] = _reversed(sequences[1], lengths)
            x = _joined(sequences)
        return x.permute(1, 2, 0)

    def lengths_after(self, lengths: Tensor) -> Tensor | None:
        """Return them where it returns sequences."""
        return lengths if self.returns == "sequence" else None

    def _states(
        self, x: Tensor, layer: int, direction: str, behind: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Return the states after each time, [time, batch, units], and after the last one."""
        names = ["weight_ih", "weight_hh", *(["bias_ih", "bias_hh"] if self.bias else [])]
        weights = [getattr(self, f"{name}_l{layer}{direction}") for name in names]
        if x.device.type == "cpu":
            missing = [] if self.bias else [None, None]
            states: tuple[Tensor, Tensor] = Recurrence.apply(  # type: ignore[no-untyped-call]
                self.cell, x.contiguous(), behind, *weights, *missing
            )
            return states
        first = x.new_zeros(1, x.shape[1], self.hidden_size)
        found = getattr(torch, self.mode.lower())(
            x,
            (first, first) if isinstance(self.cell, LstmCell) else first,
            weights,
            has_biases=self.bias,
            num_layers=1,
            dropout=0.0,
            train=self.training,
            bidirectional=False,
            batch_first=False,
        )[0]
        return (found if behind is None else found.masked_fill(behind, 0.0)), found[-1]


class RnnModule(_Recurrent, nn.RNN):  # type: ignore[misc]
    """nn.RNN."""

    def __init__(self, *options: Any, **more: Any) -> None:  # noqa: ANN401 - PyTorch's
        super().__init__(*options, **more)
        self.cell = RnnCell(more["nonlinearity"])


class LstmModule(_Recurrent, nn.LSTM):  # type: ignore[misc]
    """nn.LSTM."""

    cell = LstmCell()


class GruModule(_Recurrent, nn.GRU):  # type: ignore[misc]
    """nn.GRU."""

    cell = GruCell()


def _joined(sequences: list[Tensor]) -> Tensor:
    return sequences[0] if len(sequences) == 1 else torch.cat(sequences, -1)


def _last(states: Tensor, last: Tensor, lengths: Tensor | None) -> Tensor:
    """Return each row's last state, [batch, units]; zeros for a row without positions."""
    if lengths is None:
        return last
    places = (lengths - 1).clamp(min=0)
    return states[places, torch.arange(len(places), device=places.device)]


def _reversed(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Return each row of `[time, batch, …]` from its end to its beginning."""
    if lengths is None:
        return x.flip(0)
    times = torch.arange(len(x), device=x.device)[:, None]
    order = torch.where(times < lengths, lengths - 1 - times, times)
    result: Tensor = _Reordered.apply(  # type: ignore[no-untyped-call]
        x, order * x.shape[1] + torch.arange(x.shape[1], device=x.device)
    )
    return result


class _Reordered(torch.autograd.Function):
    """Positions of rows in an order that is its own inverse, which makes its gradient fast."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, places: Tensor) -> Tensor:  # noqa: ANN401
        """Take `[time, batch, …]` from places, [time, batch], that count through both axes."""
        ctx.save_for_backward(places)
        return x.flatten(0, 1).index_select(0, places.flatten()).view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        """Do the same again."""
        [places] = ctx.saved_tensors
        return gradient.flatten(0, 1).index_select(0, places.flatten()).view_as(gradient), None
