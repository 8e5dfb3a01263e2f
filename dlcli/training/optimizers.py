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
from torch import Tensor

from dlcli.optimizers.base import OptimizerConfig
from dlcli.optimizers.update_state import ParameterViews, UpdateState
from dlcli.training.flat import FlatParameters


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
