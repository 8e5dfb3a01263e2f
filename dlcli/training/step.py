"""One step of the optimizer: forward, loss, backward, step."""

import torch
from torch import Tensor, nn, optim
from torch.nn.utils import clip_grads_with_norm_

from dlcli.training.batches import Rows
from dlcli.training.device import GradientScaler, Placement
from dlcli.training.losses import Objective


def take_step(
    network: nn.Module,
    objective: Objective,
    optimizer: optim.Optimizer,
    batches: tuple[Rows, ...],
    *,
    placement: Placement,
    scaler: GradientScaler,
    clip_norm: float | None,
) -> tuple[Tensor, Tensor]:
    """Take one step on the mean loss over all rows of the batches together.

    Returns the loss, a scalar, and the norms of the gradient before clipping, [parameters], both on
    the device: reading them is what makes the CPU wait, so that is left to the caller.
    """
    num_rows = sum(len(batch) for batch in batches)
    parameters = list(network.parameters())
    total = batches[0].features.new_zeros(())

    optimizer.zero_grad()
    for batch in batches:
        with placement.autocast():
            outputs = network(batch.features)  # [batch, num_outputs]
        # A batch's mean counts by its share of the rows: a short one weighs no row more.
        loss = objective(outputs.float(), batch.targets) * (len(batch) / num_rows)
        scaler.backward(loss)
        total += loss.detach()
    scaler.unscale(optimizer)
    norms = torch.stack(torch._foreach_norm([p.grad for p in parameters if p.grad is not None]))
    if clip_norm is not None:
        clip_grads_with_norm_(parameters, clip_norm, torch.linalg.vector_norm(norms))
    scaler.step(optimizer)
    return total, norms
