"""The modules of layers over positions; imported when a layer is built."""

from torch import Tensor

from dlcli.layers.ragged import TakesLengths, is_behind, without_rest


class PoolOverTime(TakesLengths):
    """`[batch, channels, length]` to `[batch, channels]`; zeros for a row without positions."""

    def lengths_after(self, lengths: Tensor) -> None:
        """Return None: its output is no sequence."""
        del lengths


class MeanOverTime(PoolOverTime):
    """The mean of each row's positions."""

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Take the mean of each channel."""
        if lengths is None:
            return x.mean(2)
        return without_rest(x, lengths).sum(2) / lengths.clamp(min=1)[:, None]


class MaxOverTime(PoolOverTime):
    """The maximum of each row's positions."""

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Take the maximum of each channel."""
        if lengths is None:
            return x.amax(2)
        largest = x.masked_fill(is_behind(lengths, x.shape[2])[:, None], float("-inf")).amax(2)
        return largest.masked_fill((lengths == 0)[:, None], 0.0)


class LastOfTime(PoolOverTime):
    """The last of each row's positions."""

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Take each channel's last number."""
        if lengths is None:
            return x[:, :, -1]
        places = (lengths - 1).clamp(min=0)[:, None, None].expand(-1, x.shape[1], 1)
        return x.gather(2, places)[:, :, 0].masked_fill((lengths == 0)[:, None], 0.0)
