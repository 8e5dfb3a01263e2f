"""An optimizer at work: its state, and its update rule applied to all parameters as one tensor.

The results are torch.optim's to the bit, which tests hold them against: by its fused kernels where
it has some, parameter by parameter, as they round a tensor's last numbers in their own way, and
else by its operations in their order. Its classes do the same work with twenty times the overhead,
and import torch._dynamo, which takes as long as torch.

Parameters of a layer that multiplies the learning rate or the weight decay form groups, as in
torch.optim: the numbers of a group stand side by side, and the update rule is applied to each.

Of several runs at once, a row of numbers each, every run has its own learning rate; the kernels
know only one, so there it is always the operations, and the results are the same within rounding.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from dlcli.layers.base import UpdateFactors
from dlcli.optimizers.base import OptimizerConfig
from dlcli.optimizers.update_state import ParameterPart, ParameterViews, UpdateState

# Numbers: where PyTorch puts tensors of their own too, so that products are as fast.
ALIGNMENT = 16


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters that share their factors, and the numbers that are theirs."""

    factors: UpdateFactors
    start: int
    stop: int
    indices: tuple[int, ...]  # of its parameters, in their order


@dataclass(frozen=True)
class Layout:
    """Where each parameter's numbers begin in a flat tensor: those of a group side by side."""

    starts: list[int]
    num_numbers: int
    groups: tuple[ParameterGroup, ...]

    @classmethod
    def of(cls, named: Mapping[str, Tensor], factors: Mapping[str, UpdateFactors]) -> "Layout":
        """Lay parameters out, groups in the order of their first parameters."""
        indices: dict[UpdateFactors, list[int]] = {}
        for index, name in enumerate(named):
            indices.setdefault(factors.get(name, UpdateFactors()), []).append(index)
        sizes = [-(-one.numel() // ALIGNMENT) * ALIGNMENT for one in named.values()]
        starts, groups, end = [0] * len(sizes), [], 0
        for shared, members in indices.items():
            first = end
            for index in members:
                starts[index] = end
                end += sizes[index]
            groups.append(ParameterGroup(shared, first, end, tuple(members)))
        return cls(starts, end, tuple(groups))


class FlatParameters:
    """The parameters of a network, which become views of `values`; and their gradient.

    Between two parameters there can be a few numbers of no meaning, which are and stay zero.
    """

    def __init__(
        self, network: nn.Module, factors: Mapping[str, UpdateFactors] | None = None
    ) -> None:
        """Move the parameters that are not frozen, on their device, into one tensor.

        `factors` are those of some parameters by name; those of the others are 1.
        """
        named = {name: one for name, one in network.named_parameters() if one.requires_grad}
        self.names = list(named)
        self.parameters = list(named.values())
        self._layouts = [(parameter.shape, parameter.stride()) for parameter in self.parameters]
        layout = Layout.of(named, factors or {})
        self._starts, self.groups = layout.starts, layout.groups
        self.values = self.parameters[0].detach().new_zeros(layout.num_numbers)
        self.views = self.split(self.values)
        for parameter, view in zip(self.parameters, self.views, strict=True):
            view.copy_(parameter.detach())
            parameter.data = view
        self.gradient = torch.zeros_like(self.values)
        self.gradients = self.split(self.gradient)
        self.values.grad = self.gradient  # where a GradScaler looks for it

    @property
    def shapes(self) -> list[torch.Size]:
        """The shape of each parameter."""
        return [shape for shape, _ in self._layouts]

    def split(self, flat: Tensor) -> list[Tensor]:
        """Return views of a flat tensor, each with a parameter's shape and memory format."""
        return [
            flat.as_strided(shape, stride, flat.storage_offset() + start)
            for start, (shape, stride) in zip(self._starts, self._layouts, strict=True)
        ]

    def in_memory_order(self, flat: Tensor) -> list[Tensor]:
        """Return what `split` does, but parameters that are not contiguous as [numbers].

        PyTorch's fused kernels copy parameters whose channels are last before each step. A number
        gets the same bits at any place but the last ones, which vectors of numbers don't fill:
        parameters that have such are left as they are.
        """
        return [
            view
            if view.is_contiguous() or view.numel() % ALIGNMENT
            else view.as_strided((view.numel(),), (1,))
            for view in self.split(flat)
        ]


@dataclass(frozen=True)
class ManyRuns:
    """The parameters of networks that learn apart, and their gradients."""

    values: Tensor  # [runs, numbers]
    gradient: Tensor  # [runs, numbers]
    groups: tuple[ParameterGroup, ...] = ()  # none: all is one group whose factors are 1
    places: tuple[tuple[int, torch.Size], ...] = ()  # where each parameter begins, and its shape

    @property
    def shapes(self) -> list[torch.Size]:
        """The shape of each parameter."""
        return [shape for _, shape in self.places]

    def split(self, rows: Tensor) -> list[Tensor]:
        """Return views of [runs, numbers], each with all runs' numbers of one parameter."""
        return [
            rows[:, start : start + shape.numel()].view(len(rows), *shape)
            for start, shape in self.places
        ]


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
        has_factors = any(group.factors != UpdateFactors() for group in parameters.groups)
        self._groups = parameters.groups if has_factors else ()
        self._shaped = _ShapedState.of(config, parameters.shapes)
        tensors |= {
            key: values.new_zeros(*values.shape[:-1], size)
            for key, size in self._shaped.sizes.items()
        }
        scalars = {
            _scalar(key, index): self._full(key, start)
            for key, start in config.initial_scalars().items()
            for index in range(max(1, len(self._groups)))
        }
        views = None
        if isinstance(parameters, FlatParameters):
            views = ParameterViews(
                parameters.in_memory_order(values),
                parameters.in_memory_order(parameters.gradient),
                {key: parameters.in_memory_order(tensors[key]) for key in config.initial_state()},
            )
        super().__init__(
            values=values,
            gradient=parameters.gradient,
            state={"step": torch.zeros((), device=values.device), **scalars, **tensors},
            lr=config.lr,
            weight_decay=config.highest_weight_decay,
            num_steps=0,
            views=views,
            parts=self._parts,
        )

    def named_state(self) -> dict[str, Tensor]:
        """Return the tensors of a single run's state: scalars, and PARAMETER/KEY of the others."""
        assert isinstance(self.parameters, FlatParameters), "a single run"
        named = {key: value for key, value in self.state.items() if not value.dim()}
        for key in self.config.initial_state():
            split = self.parameters.split(self.state[key])
            named |= {
                f"{name}/{key}": part
                for name, part in zip(self.parameters.names, split, strict=True)
            }
        for name, shaped in zip(self.parameters.names, self._shaped.views(self.state), strict=True):
            named |= {f"{name}/{key}": part for key, part in shaped.items()}
        return named

    def _parts(self, indices: Sequence[int] | None = None) -> list[ParameterPart]:
        """Return each parameter, or some of them, with what is kept about it alone."""
        flat = self.parameters
        values, gradients = flat.split(self.values), flat.split(self.gradient)
        shaped, has_runs = self._shaped.views(self.state), isinstance(flat, ManyRuns)
        return [
            ParameterPart(values[index], gradients[index], shaped[index], has_runs)
            for index in (range(len(values)) if indices is None else indices)
        ]

    def _full(self, key: str, start: float) -> Tensor:
        """Return a number kept for all parameters: of many runs, [runs, 1] where it differs."""
        values = self.parameters.values
        dtype = torch.float64 if self.config.has_double_scalars else torch.float32
        if key in self.config.scalars_of_lr and isinstance(self.parameters, ManyRuns):
            return torch.full((len(values), 1), start, dtype=dtype, device=values.device)
        return torch.full((), start, dtype=dtype)

    @torch.no_grad()
    def judged_values(self) -> Tensor | None:
        """Return the parameters to judge and to predict with; None: those that are trained."""
        return self.config.judged_values(self)

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """What a GradScaler asks for."""
        return [{"params": [self.values]}]

    @torch.no_grad()
    def step(self) -> None:
        """Change the parameters by the gradient."""
        self.num_steps += 1
        self.state["step"] += 1
        if not self._groups:
            self.config.update(self)
        for index in range(len(self._groups)):
            self.config.update(self._state_of(index))

    def set_weight_decay(self, weight_decay: float | Tensor) -> None:
        """Take another weight decay from the next step on; of many runs, also [runs, 1]."""
        self.weight_decay = weight_decay

    def _state_of(self, index: int) -> UpdateState:
        """Return what is a group's: views of its numbers, and scalars of its own."""
        group = self._groups[index]
        part = slice(group.start, group.stop)
        tensors = {key: self.state[key][..., part] for key in self.config.initial_state()}
        scalars = {key: self.state[_scalar(key, index)] for key in self.config.initial_scalars()}
        return UpdateState(
            values=self.values[..., part],
            gradient=self.gradient[..., part],
            state={"step": self.state["step"], **scalars, **tensors},
            lr=self.lr * group.factors.lr,
            weight_decay=self.weight_decay * group.factors.weight_decay,
            num_steps=self.num_steps,
            views=None if self.views is None else self.views.some(group.indices),
            parts=partial(self._parts, group.indices),
        )


@dataclass(frozen=True)
class _ShapedState:
    """Where the tensors that one parameter alone has stand in a flat one for each key."""

    sizes: dict[str, int]  # of the flat tensors
    places: list[dict[str, tuple[int, tuple[int, ...]]]]  # of each parameter: start and shape

    @classmethod
    def of(cls, config: OptimizerConfig, shapes: Sequence[torch.Size]) -> "_ShapedState":
        sizes: dict[str, int] = {}
        places = []
        for shape in shapes:
            place = {}
            for key, kept in config.state_shapes(tuple(shape)).items():
                place[key] = sizes.get(key, 0), kept
                sizes[key] = sizes.get(key, 0) + -(-math.prod(kept) // ALIGNMENT) * ALIGNMENT
            places.append(place)
        return cls(sizes, places)

    def views(self, state: Mapping[str, Tensor]) -> list[dict[str, Tensor]]:
        """Return each parameter's views of the flat tensors, [*shape] or [runs, *shape]."""
        return [
            {
                key: state[key][..., start : start + math.prod(shape)].view(
                    *state[key].shape[:-1], *shape
                )
                for key, (start, shape) in place.items()
            }
            for place in self.places
        ]


def _scalar(key: str, index: int) -> str:
    """Return the key of a group's own scalar; the first group has torch.optim's."""
    return f"{key}.{index}" if index else key
