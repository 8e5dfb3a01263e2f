"""What is said when training has left the finite numbers."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from dlcli.errors import DivergedError
from dlcli.network.branches.planning import INPUTS, input_of_module


@dataclass(frozen=True)
class StepFigures:
    """An optimizer's step, as read off the device."""

    step: int  # from 1, over the whole run
    lr: float
    loss: float  # mean over the step's rows, in scaled targets
    norms: Sequence[float]  # of the gradient before clipping, a parameter each

    @property
    def gradient_norm(self) -> float:
        """The norm of the whole gradient."""
        return math.hypot(*self.norms)


def diverged(
    what: str, epoch: int, step: int, lr: float, before: StepFigures | None, names: Sequence[str]
) -> DivergedError:
    """Return the error: what is not finite, where, what the gradient was before, what to try.

    `names` are the parameters', in the order of the norms.
    """
    last = ""
    if before is not None:
        largest = max(range(len(names)), key=before.norms.__getitem__)
        last = (
            f"; the gradient's norm was {before.gradient_norm:.3g} at step {before.step}, most of "
            f"it in {layer_of(names[largest])}"
        )
    return DivergedError(
        f"{what} at step {step}, in epoch {epoch}, with learning rate {lr:g}: training "
        f"diverged{last}; try optimizer.lr: {lr / 10:g}, training.gradient_clip_norm: 1, a "
        "schedule with warmup_epochs, or data.scale: standard"
    )


def layer_of(parameter: str) -> str:
    """Return where a parameter's layer stands in the config."""
    path = "model"
    inputs, _, rest = parameter.partition(".")
    if inputs == INPUTS:
        branch, _, parameter = rest.partition(".")
        path += f".inputs.{input_of_module(branch)}" if "_" in branch else ".combine"
    for part in parameter.split("."):
        if match := re.match(r"(\d+)_", part):
            path += f".layers[{match[1]}]"
    return path if path != "model" else "the embeddings"
