"""A network's parameters as one run of numbers, so that what is done to all of them is one call."""

import torch
from torch import Tensor, nn

_ALIGNMENT = (
    16  # numbers: where PyTorch puts tensors of their own too, so that products are as fast
)


class FlatParameters:
    """The parameters of a network, which become views of `values`; and their gradient.

    Between two parameters there can be a few numbers of no meaning, which are and stay zero.
    """

    def __init__(self, network: nn.Module) -> None:
        """Move the parameters, on their device, into one tensor."""
        named = dict(network.named_parameters())
        self.names = list(named)
        self.parameters = list(named.values())
        self._layouts = [(parameter.shape, parameter.stride()) for parameter in self.parameters]
        ends = [0]
        for parameter in self.parameters:
            ends.append(ends[-1] + -(-parameter.numel() // _ALIGNMENT) * _ALIGNMENT)
        self._starts = ends[:-1]
        self.values = self.parameters[0].detach().new_zeros(ends[-1])
        self.views = self.split(self.values)
        for parameter, view in zip(self.parameters, self.views, strict=True):
            view.copy_(parameter.detach())
            parameter.data = view
        self.gradient = torch.zeros_like(self.values)
        self.gradients = self.split(self.gradient)
        self.values.grad = self.gradient  # where a GradScaler looks for it

    def split(self, flat: Tensor) -> list[Tensor]:
        """Return views of a flat tensor, each with a parameter's shape and memory format."""
        return [
            flat.as_strided(shape, stride, start)
            for start, (shape, stride) in zip(self._starts, self._layouts, strict=True)
        ]
