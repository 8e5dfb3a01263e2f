"""A batch → the rows of each member of an ensemble; what they make of them → one prediction."""

import torch
from torch import Tensor, nn

from dlcli.losses import Loss
from dlcli.network.ensemble import PlannedEnsemble


class MembersInput(nn.Module):
    """The same rows for each member, times its factors: `[batch, features]` to `[members · batch]`.

    The rows of a member are side by side. Without factors, where members share nothing.
    """

    weight: nn.Parameter | None

    def __init__(self, ensemble: PlannedEnsemble) -> None:
        super().__init__()
        self.num_members = ensemble.num_members
        factors = _draw_factors(ensemble) if ensemble.has_adapter else None
        self.register_parameter("weight", None if factors is None else nn.Parameter(factors))

    def forward(self, x: Tensor) -> Tensor:
        """Repeat and scale the rows."""
        if self.weight is None:
            return x.expand(self.num_members, *x.shape).flatten(0, 1)
        return (x * self.weight[:, None]).flatten(0, 1)


class MembersMean(nn.Module):
    """In training, each member's outputs, `[batch, members, num_outputs]`.

    In evaluation mode the outputs `[batch, num_outputs]` whose prediction is the mean of theirs.
    """

    def __init__(self, num_members: int, loss: Loss) -> None:
        super().__init__()
        self.num_members = num_members
        self.loss = loss

    def forward(self, x: Tensor) -> Tensor:
        """Take the mean, unless in training."""
        outputs = x.reshape(self.num_members, -1, *x.shape[1:]).transpose(0, 1)
        return outputs if self.training else self.loss.mean_of_members(outputs.float())


def num_members(network: nn.Module) -> int:
    """Return how many rows a row of the input becomes in a network."""
    stages = (one for one in network.children() if isinstance(one, MembersInput))
    return next((one.num_members for one in stages), 1)


def _draw_factors(ensemble: PlannedEnsemble) -> Tensor:
    """Draw `[members, features]`, the same for all numbers of a column."""
    columns = torch.tensor(ensemble.columns)
    shape = (ensemble.num_members, int(columns.max()) + 1)
    if ensemble.config.adapter_init == "normal":
        drawn = torch.randn(shape)
    else:
        drawn = torch.randint(2, shape) * 2.0 - 1
    return drawn[:, columns]
