"""An optimizer at work: its state, and its update rule applied to all parameters as one tensor.

The results are torch.optim's to the bit, which tests hold them against: by its fused kernels where
it has some, parameter by parameter, as they round a tensor's last numbers in their own way, and
else by its operations in their order. Its classes do the same work with twenty times the overhead,
and import torch._dynamo, which takes as long as torch.

Of several runs at once, a row of numbers each, every run has its own learning rate; the kernels
know only one, so there it is always the operations, and the results are the same within rounding.
"""

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from dlcli.optimizers.base import OptimizerConfig
from dlcli.optimizers.update_state import ParameterViews, UpdateState

# Numbers: where PyTorch puts tensors of their own too, so that products are as fast.
ALIGNMENT = 16


class FlatParameters:
    """The parameters of a network, which become views of `values`; and their gradient.

    Between two parameters there can be a few numbers of no meaning, which are and stay zero.
    """

    def __init__(self, network: nn.Module) -> None:
        """Move the parameters that are not frozen, on their device, into one tensor."""
        named = {name: one for name, one in network.named_parameters() if one.requires_grad}
        self.names = list(named)
        self.parameters = list(named.values())
        self._layouts = [(parameter.shape, parameter.stride()) for parameter in self.parameters]
        ends = [0]
        for parameter in self.parameters:
            ends.append(ends[-1] + -(-parameter.numel() // ALIGNMENT) * ALIGNMENT)
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
            flat.as_strided(shape, stride, flat.storage_offset() + start)
            for start, (shape, stride) in zip(self._starts, self._layouts, strict=True)
        ]


@dataclass(frozen=True)
class ManyRuns:
    """The parameters of networks that learn apart, and their gradients."""

    values: Tensor  # [runs, numbers]
    gradient: Tensor  # [runs, numbers]


_Parameters = TypeVar("_Parameters", FlatParameters, ManyRuns)


class Optimizer(UpdateState, Generic[_Parameters]):
    """A config's optimizer for a network's parameters, or for those of several runs."""

    def __init__(self, config: OptimizerConfig, parameters: _Parameters) -> None:
        """Begin with the state that torch.optim begins with."""
        self.config = config
        self.parameters: _Parameters = parameters
        values = parameters.values
        tensors = {
            key: torch.full_like(values, start) for key, start in config.initial_state().items()
        }
        scalars = {key: torch.full((), start) for key, start in config.initial_scalars().items()}
        views = None
        if isinstance(parameters, FlatParameters):
            split = {key: parameters.split(tensor) for key, tensor in tensors.items()}
            views = ParameterViews(parameters.views, parameters.gradients, split)
        super().__init__(
            values=values,
            gradient=parameters.gradient,
            state={"step": torch.zeros((), device=values.device), **scalars, **tensors},
            lr=config.lr,
            num_steps=0,
            views=views,
        )

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """What a GradScaler asks for."""
        return [{"params": [self.values]}]

    @torch.no_grad()
    def step(self) -> None:
        """Change the parameters by the gradient."""
        self.num_steps += 1
        self.state["step"] += 1
        self.config.update(self)
