"""The few modules that PyTorch lacks."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from dlcli.layers.time.modules import MeanOverTime
from dlcli.schedules.base import ScheduledNumber
from dlcli.schedules.scheduled_number import highest, scheduled


class RandomMask(nn.Module):
    """Sets numbers to zero at random while training, and scales the others up.

    Like nn.Dropout, with cheaper random numbers on the CPU: 16 bits of them for each number. The
    rate is therefore a multiple of 1/65536; what is kept is scaled by exactly that.

    Rate and scale are tensors that a recorded step reads: a rate that changes needs no new one.
    """

    def __init__(self, rate: float | ScheduledNumber) -> None:
        super().__init__()
        self.schedule = scheduled(rate)
        self._least_kept = torch.tensor(0, dtype=torch.int16)  # of the values that 16 bits have
        self._scale = torch.tensor(1.0)
        self._device_rate = torch.tensor(0.0)  # where rates change, on the network's device
        self.rate = -1.0
        self.set_rate(highest(rate))

    def set_rate(self, rate: float) -> None:
        """Drop this share from now on."""
        if rate == self.rate:
            return
        self.rate = rate
        num_dropped = min(round(rate * 2**16), 2**16 - 1)
        self._least_kept.fill_(num_dropped - 2**15)
        self._scale.fill_(2**16 / (2**16 - num_dropped))
        self._device_rate.fill_(num_dropped / 2**16)

    @property
    def drops_something(self) -> bool:
        """Whether it does anything while training."""
        return self.schedule is not None or round(self.rate * 2**16) > 0

    @property
    def is_active(self) -> bool:
        """Whether it does anything now."""
        return self.training and self.drops_something

    def forward(self, x: Tensor) -> Tensor:
        """Drop numbers at random, while training."""
        if not self.is_active:
            return x
        shape = self.mask_shape(x.shape)
        if x.device.type != "cpu" and (self.schedule is not None or shape != x.shape):
            is_kept = torch.rand(shape, device=x.device) >= self._device_rate
            return x * (is_kept / (1 - self._device_rate)).to(x.dtype)
        if x.device.type != "cpu":
            return functional.dropout(x, self.rate)
        words = torch.empty(-(-shape.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
        return x * self.mask_from(words.view(torch.int16)[: shape.numel()].view(shape), x.dtype)

    def mask_shape(self, shape: torch.Size) -> torch.Size:
        """Return the shape of the mask for rows of a shape: a number for each of theirs."""
        return shape

    def mask_from(self, bits: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """Return each number's factor, 0 or what makes up for the zeros, from int16 bits."""
        # Numbers at once, and the scale as a tensor: both are faster than what is usual.
        mask = torch.ge(bits, self._least_kept, out=torch.empty(bits.shape, dtype=dtype))
        return mask.mul_(self._scale)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "RandomMask":
        self._device_rate = fn(self._device_rate)
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self


class ScaledLinear(nn.Linear):
    """scale · x·Wᵀ + b."""

    def __init__(self, in_features: int, out_features: int, *, bias: bool, scale: float) -> None:
        super().__init__(in_features, out_features, bias=bias)
        self.scale, self.has_bias = scale, bias

    def forward(self, x: Tensor) -> Tensor:
        """Scale the product: [batch, in_features] to [batch, out_features]."""
        if not self.has_bias:
            return functional.linear(x, self.weight) * self.scale
        return torch.addmm(self.bias, x, self.weight.t(), alpha=self.scale)


class ChannelLinear(nn.Linear):
    """x·Wᵀ + b of the channels of each position of `[batch, channels, …]`."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - PyTorch's name
        """Multiply, with the channels last."""
        return super().forward(input.movedim(1, -1)).movedim(-1, 1)


class LearnedActivation(nn.Module):
    """x + a·(f(x) − x), with a learned `weight` a for each feature or channel, 1 at first."""

    def __init__(self, function: nn.Module, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.function = function
        self.weight = nn.Parameter(torch.ones(shape[0]))
        self._shape = (shape[0], *(1 for _ in shape[1:]))

    def forward(self, x: Tensor) -> Tensor:
        """Mix the function with the identity."""
        return torch.lerp(x, self.function(x), self.weight.view(self._shape))


class MembersLinear(nn.Module):
    """A linear map for each member of an ensemble: `[members · batch, inputs]`, `… outputs]`.

    They begin as nn.Linear does, each by itself. The weights are multiplied by a scale.
    """

    def __init__(
        self, num_members: int, num_inputs: int, num_outputs: int, *, bias: bool, scale: float
    ) -> None:
        super().__init__()
        self.scale = scale
        bound = num_inputs**-0.5
        self.weight = nn.Parameter(
            torch.empty(num_members, num_outputs, num_inputs).uniform_(-bound, bound)
        )
        self.bias = (
            nn.Parameter(torch.empty(num_members, num_outputs).uniform_(-bound, bound))
            if bias
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """Multiply each member's rows by its weight."""
        rows, weight = _by_member(x, len(self.weight)), _scaled(self.weight, self.scale).mT
        if self.bias is None:
            return torch.bmm(rows, weight).flatten(0, 1)
        return torch.baddbmm(self.bias[:, None], rows, weight).flatten(0, 1)


class AdaptedLinear(nn.Module):
    """One matrix for all members of an ensemble: `[members · batch, inputs]` to `… outputs]`.

    BatchEnsemble (Wen et al. 2020, arXiv:2002.06715): each member has factors for the inputs and
    the outputs, and a bias, s · W(r · x) + b. As in TabM (Gorishniy et al. 2025, arXiv:2410.24210),
    factors begin at 1, and all biases with the same numbers. The matrix is multiplied by a scale.
    """

    def __init__(
        self,
        num_members: int,
        num_inputs: int,
        num_outputs: int,
        *,
        bias: bool,
        scale: float,
        scales_input: bool,
    ) -> None:
        super().__init__()
        self.scale = scale
        shared = nn.Linear(num_inputs, num_outputs, bias=bias)
        self.weight = shared.weight
        self.input_scale = (
            nn.Parameter(torch.ones(num_members, num_inputs)) if scales_input else None
        )
        self.output_scale = nn.Parameter(torch.ones(num_members, num_outputs))
        self.bias = nn.Parameter(shared.bias.detach().repeat(num_members, 1)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """Scale, multiply by the matrix, scale and shift."""
        num_members = len(self.output_scale)
        if self.input_scale is not None:
            x = (_by_member(x, num_members) * self.input_scale[:, None]).flatten(0, 1)
        x = _by_member(functional.linear(x, _scaled(self.weight, self.scale)), num_members)
        return _scaled_and_shifted(x, self.output_scale, self.bias)


class MembersLayerNorm(nn.Module):
    """Layer norm of `[members · batch, …]`, with a scale and a shift for each member."""

    def __init__(self, num_members: int, shape: tuple[int, ...], eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(num_members, *shape))
        self.bias = nn.Parameter(torch.zeros(num_members, *shape))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise each row, scale and shift."""
        x = functional.layer_norm(x, self.weight.shape[1:], eps=self.eps)
        return _scaled_and_shifted(_by_member(x, len(self.weight)), self.weight, self.bias)


def _scaled(weight: Tensor, scale: float) -> Tensor:
    return weight if scale == 1 else weight * scale


def _by_member(x: Tensor, num_members: int) -> Tensor:
    """Return `[members · batch, …]` as `[members, batch, …]`."""
    return x.reshape(num_members, -1, *x.shape[1:])


def _scaled_and_shifted(x: Tensor, scale: Tensor, shift: Tensor | None) -> Tensor:
    """Return `[members, batch, …]` times and plus each member's numbers, `[members · batch, …]`."""
    if shift is None:
        return (x * scale[:, None]).flatten(0, 1)
    return torch.addcmul(shift[:, None], x, scale[:, None]).flatten(0, 1)


class ChannelNorm(nn.Module):
    """Layer norm over the channels of each position of `[batch, channels, …]`."""

    def __init__(self, num_channels: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(num_channels))
        self.bias = nn.Parameter(torch.zeros(num_channels))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise, scale and shift, with the channels last."""
        x = x.movedim(1, -1)
        x = functional.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)
        return x.movedim(-1, 1)


class ChannelRmsNorm(nn.RMSNorm):
    """RMS norm over the channels of each position of `[batch, channels, …]`."""

    def __init__(self, num_channels: int, eps: float) -> None:
        super().__init__(num_channels, eps=eps)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise and scale, with the channels last."""
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class ChannelMeans(MeanOverTime):
    """`[batch, channels, …]` to `[batch, channels]`."""

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Take the mean over all positions: of images without another order of their numbers."""
        if lengths is not None:
            return super().forward(x, lengths)
        if x.dim() == 4:
            return functional.adaptive_avg_pool2d(x, 1).flatten(1)
        return x.flatten(2).mean(2)


class FeatureScale(nn.Module):
    """`[batch, features, …]` times a learned factor for each feature or channel."""

    def __init__(self, num_features: int, start: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((num_features,), start))

    def forward(self, x: Tensor) -> Tensor:
        """Multiply."""
        return x * self.weight.view(-1, *(1 for _ in x.shape[2:]))
