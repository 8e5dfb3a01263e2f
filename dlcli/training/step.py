"""One step of the optimizer: forward, loss, backward, step."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from dlcli.training.device import GradientScaler, Placement
from dlcli.training.engines.cuda_graph import CudaGraph
from dlcli.training.engines.op_trace import OpTrace
from dlcli.training.objective import Objective
from dlcli.training.optimizers import FlatParameters, Optimizer
from dlcli.training.rows.batches import Rows


@dataclass
class _StepRecording:
    """A step's gradient, recorded for batches of some sizes."""

    copies: tuple[Rows, ...]  # what it reads
    batches: tuple[Rows, ...]  # that were copied last
    steps: OpTrace | CudaGraph


@dataclass
class Stepper:
    """Takes steps: one operation after the other (eager), or from recordings (captured)."""

    network: nn.Module
    objective: Objective
    target: str  # the field that the loss is given
    optimizer: Optimizer[FlatParameters]
    placement: Placement
    scaler: GradientScaler
    clip_norm: float | None
    is_captured: bool
    # By the rows of each batch.
    recordings: dict[tuple[int, ...], _StepRecording] = field(default_factory=dict)

    def take_step(self, batches: tuple[Rows, ...]) -> Tensor:
        """Take one step on the mean loss over all rows of the batches together.

        Returns the loss and the norm of each parameter's gradient before clipping, [1 +
        parameters], on the device: reading them is what makes the CPU wait, so that is left to the
        caller.
        """
        figures = self._replay(batches) if self.is_captured else self._compute(batches)
        self.scaler.step(self.optimizer)
        return figures

    def _replay(self, batches: tuple[Rows, ...]) -> Tensor:
        """Compute the gradient from a recording, made with the first batches of these sizes."""
        sizes = tuple(map(len, batches))
        if sizes not in self.recordings:
            copies = tuple(batch.each(torch.clone) for batch in batches)
            steps = self._record(lambda: self._compute(copies))
            self.recordings[sizes] = _StepRecording(copies, batches, steps)
            return steps.result.clone()
        recording = self.recordings[sizes]
        for copy, before, batch in zip(recording.copies, recording.batches, batches, strict=True):
            if batch is not before:  # all rows are one batch, every time
                copy.copy_from(batch)
        recording.batches = batches
        return recording.steps.replay().clone()

    def _record(self, function: Callable[[], Tensor]) -> OpTrace | CudaGraph:
        device = self.placement.device
        return CudaGraph(function, device) if device.type == "cuda" else OpTrace(function)

    def _compute(self, batches: tuple[Rows, ...]) -> Tensor:
        """Leave the gradient with the parameters; return what `take_step` does."""
        flat = self.optimizer.parameters
        num_rows = sum(map(len, batches))
        losses: list[Tensor] = []
        for batch in batches:
            with self.placement.autocast():
                outputs = self.network(batch.inputs)  # [batch, num_outputs]
            loss = self.objective(outputs.float(), batch.targets[self.target])
            if len(batches) > 1:
                # A batch's mean counts by its share of the rows: a short one weighs no row more.
                loss = loss * (len(batch) / num_rows)
            gradients = torch.autograd.grad(self.scaler.scaled(loss), flat.parameters)
            if not losses:
                torch._foreach_copy_(flat.gradients, gradients)
            else:
                torch._foreach_add_(flat.gradients, gradients)
            losses.append(loss.detach())
        self.scaler.unscale(self.optimizer)
        total = torch.stack(losses).sum() if len(losses) > 1 else losses[0]
        figures = torch.stack([total, *torch._foreach_norm(flat.gradients)])
        if self.clip_norm is not None:
            # The factor of torch.nn.utils.clip_grads_with_norm_.
            factor = self.clip_norm / (torch.linalg.vector_norm(figures[1:]) + 1e-6)
            flat.gradient *= factor.clamp(max=1.0)
        return figures
