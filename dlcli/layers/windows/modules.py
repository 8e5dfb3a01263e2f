"""The modules of layers with windows that PyTorch lacks; imported when a layer is built."""

from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from dlcli.layers.ragged import TakesLengths, without_rest


class SequenceConv1d(nn.Conv1d, TakesLengths):
    """nn.Conv1d that knows where rows end: behind an end, and before a row, are zeros.

    A row that is shorter than the window has one position all the same. A causal one sees of each
    position what is before it, and itself.
    """

    def __init__(self, in_channels: int, *, causal: bool, **options: Any) -> None:  # noqa: ANN401
        super().__init__(in_channels, **options)
        self.window = self.dilation[0] * (self.kernel_size[0] - 1) + 1
        self.num_before = self.window - 1 if causal else 0

    def forward(self, input: Tensor, lengths: Tensor | None = None) -> Tensor:  # noqa: A002 - PyTorch's name
        """Convolve `[batch, channels, length]`."""
        x = without_rest(input, lengths)
        num_after = 0 if lengths is None else max(0, -(x.shape[2] + self._num_spare))
        if self.num_before or num_after:
            x = functional.pad(x, (self.num_before, num_after))
        return super().forward(x)

    def lengths_after(self, lengths: Tensor) -> Tensor:
        """Return how many windows begin before each end, 1 at least, and none in an empty row."""
        if self.padding == "same":
            return lengths
        num_windows = (lengths + self._num_spare) // self.stride[0] + 1
        return num_windows.clamp(min=1) * (lengths > 0)

    @property
    def _num_spare(self) -> int:
        """By how much what is around a row is longer than the window."""
        if self.padding == "same":
            return 0
        around = 0 if isinstance(self.padding, str) else 2 * self.padding[0]
        return self.num_before + around - self.window
