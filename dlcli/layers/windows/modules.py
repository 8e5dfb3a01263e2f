"""The modules of layers with windows that PyTorch lacks; imported when a layer is built."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from dlcli.layers.ragged import TakesLengths, is_behind, without_rest


class _OverWindows(TakesLengths):
    """A module that slides a window over rows, and gives a position for each place of it.

    A row that is shorter than the window has one position all the same.
    """

    window: int  # how many positions it covers
    step: int  # between two places of it
    num_around: int  # positions that are added before and behind a row, together

    def lengths_after(self, lengths: Tensor) -> Tensor:
        """Return how often the window fits, 1 at least, and never in an empty row."""
        num_windows = (lengths + self._num_spare) // self.step + 1
        return num_windows.clamp(min=1) * (lengths > 0)

    def num_lacking(self, length: int) -> int:
        """Return how many positions rows of a length need for the window to fit once."""
        return max(0, -(length + self._num_spare))

    @property
    def _num_spare(self) -> int:
        """By how much what is around a row is longer than the window."""
        return self.num_around - self.window


class SequenceConv1d(nn.Conv1d, _OverWindows):
    """nn.Conv1d that knows where rows end: behind an end, and before a row, are zeros.

    A causal one sees of each position what is before it, and itself.
    """

    def __init__(self, in_channels: int, *, causal: bool, **options: Any) -> None:  # noqa: ANN401
        super().__init__(in_channels, **options)
        self.window = self.dilation[0] * (self.kernel_size[0] - 1) + 1
        self.step = self.stride[0]
        self.num_before = self.window - 1 if causal else 0
        self.num_around = self.num_before
        if self.padding == "same":
            self.num_around = self.window - 1
        elif not isinstance(self.padding, str):
            self.num_around += 2 * self.padding[0]

    def forward(self, input: Tensor, lengths: Tensor | None = None) -> Tensor:  # noqa: A002 - PyTorch's name
        """Convolve `[batch, channels, length]`."""
        x = without_rest(input, lengths)
        num_behind = 0 if lengths is None else self.num_lacking(x.shape[2])
        if self.num_before or num_behind:
            x = functional.pad(x, (self.num_before, num_behind))
        return super().forward(x)


class SequenceMaxPool1d(nn.MaxPool1d, _OverWindows):
    """nn.MaxPool1d that knows where rows end."""

    def __init__(self, kernel_size: int, stride: int | None, padding: int) -> None:
        super().__init__(kernel_size, stride, padding)
        self.window, self.step, self.num_around = kernel_size, stride or kernel_size, 2 * padding

    def forward(self, input: Tensor, lengths: Tensor | None = None) -> Tensor:  # noqa: A002 - PyTorch's name
        """Take the maxima of `[batch, channels, length]`; behind the last window, zeros."""
        if lengths is None:
            return super().forward(input)  # type: ignore[no-any-return]
        lowest = torch.finfo(input.dtype).min
        x = input.masked_fill(is_behind(lengths, input.shape[2])[:, None], lowest)
        x = functional.pad(x, (0, self.num_lacking(x.shape[2])), value=lowest)
        return without_rest(super().forward(x), self.lengths_after(lengths))


class SequenceAvgPool1d(nn.AvgPool1d, _OverWindows):
    """nn.AvgPool1d that knows where rows end: behind an end, and before a row, are zeros."""

    def __init__(self, kernel_size: int, stride: int, padding: int) -> None:
        super().__init__(kernel_size, stride, padding)
        self.window, self.step, self.num_around = kernel_size, stride, 2 * padding

    def forward(self, input: Tensor, lengths: Tensor | None = None) -> Tensor:  # noqa: A002 - PyTorch's name
        """Take the means of `[batch, channels, length]`."""
        x = without_rest(input, lengths)
        if lengths is not None:
            x = functional.pad(x, (0, self.num_lacking(x.shape[2])))
        return super().forward(x)
