"""The modules of blocks; imported when a layer is built."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from dlcli.layers.modules import RandomMask
from dlcli.layers.ragged import LayerSequence, TakesLengths, without_rest


class RowMask(RandomMask):
    """Sets whole rows to zero at random while training, and scales the others up.

    Stochastic depth (Huang et al. 2016, arXiv:1603.09382), as torchvision and timm scale it: in
    evaluation mode, rows are left as they are.
    """

    def mask_shape(self, shape: torch.Size) -> torch.Size:
        """Return `[batch, 1, …]`."""
        return torch.Size((shape[0], *(1 for _ in shape[1:])))


class SkipConnection(TakesLengths):
    """layers(x) + projection(x), or layers(x) + shortcut(x)."""

    def __init__(
        self,
        layers: LayerSequence,
        *,
        projection: nn.Module | None = None,
        shortcut: LayerSequence | None = None,
        drop: RowMask | None = None,
    ) -> None:
        super().__init__()
        self.layers = layers
        self.drop = drop
        self.projection = projection
        self.shortcut = shortcut

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Add both paths."""
        y: Tensor = self.layers(x, lengths)
        if self.drop is not None:
            y = self.drop(y)
        beside = x
        if self.shortcut is not None:
            beside = self.shortcut(x, lengths)
        elif self.projection is not None:
            beside = self.projection(without_rest(x, lengths))
        if lengths is not None and x.dim() > 2 and (lacking := y.shape[-1] - beside.shape[-1]):
            beside = functional.pad(beside, (0, lacking))  # what fits the longest row may not fit
        return y + beside

    def lengths_after(self, lengths: Tensor) -> Tensor | None:
        """Return those of what its layers give."""
        return self.layers.lengths_after(lengths)


class ChannelGate(nn.Module):
    """`[batch, channels, …]` times a factor for each row's channels, computed of their means."""

    def __init__(
        self, num_channels: int, num_squeezed: int, activation: nn.Module, gate: nn.Module
    ) -> None:
        super().__init__()
        self.squeeze = nn.Linear(num_channels, num_squeezed)
        self.activation = activation
        self.excite = nn.Linear(num_squeezed, num_channels)
        self.gate = gate

    def forward(self, x: Tensor) -> Tensor:
        """Multiply."""
        means = x.mean([*range(2, x.dim())])
        factors = self.gate(self.excite(self.activation(self.squeeze(means))))
        return x * factors.view(*factors.shape, *(1 for _ in x.shape[2:]))  # type: ignore[no-any-return]
