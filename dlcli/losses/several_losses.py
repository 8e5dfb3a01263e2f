"""The losses of several targets, as one loss."""

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Literal, Self, final

from pydantic import Field

from dlcli.losses import AnyLoss, Loss
from dlcli.losses.base import Reduction
from dlcli.section import PositiveFloat, Section
from dlcli.targets.base import Target
from dlcli.targets.several_targets import SeveralTargets
from dlcli.targets.task import AnyTask

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    _Given = tuple[np.ndarray, np.ndarray | None, np.ndarray | None]


class HeadLoss(Section):
    """The loss of one of several targets, and which of the numbers of a row are its own."""

    name: str  # of the target
    loss: AnyLoss
    weight: PositiveFloat = 1.0
    share: PositiveFloat  # of the rows, by their weights, that have the target
    num_classes: int | None
    num_predictions: int
    encoded: tuple[int, int]  # the first of its encoded numbers, and the one after its last
    is_class: bool  # whether encoded targets are whole numbers
    is_vector: bool = False  # whether a row's encoded target is [numbers]

    @property
    def num_outputs(self) -> int:
        """How many of the network's outputs are its own."""
        return self.loss.num_outputs(self.num_classes)

    def cut(self, targets: "Tensor") -> "tuple[Tensor, Tensor]":
        """Return its encoded targets, 0 where one is missing, and which rows have it, bool [rows].

        `targets` are those of all targets, [rows, numbers], NaN where one is missing.
        """
        first, end = self.encoded
        mine = targets[:, first:end] if self.is_vector else targets[:, first]
        is_missing = mine.isnan()
        mine = mine.masked_fill(is_missing, 0.0)
        if mine.ndim > 1:
            is_missing = is_missing.any(1)
        return mine.long() if self.is_class else mine, ~is_missing


@final
class SeveralLosses(Loss):
    """The weighted sum of the losses of several targets, each a mean over the rows that have it.

    The loss of a row counts, for each target that it has, weight / share times: over all rows,
    the mean is the sum of weights times means over the rows with each target. The share is that of
    the training rows, so that a row counts alike in whichever batch it falls (decision 25).
    Outputs are those of the targets side by side; so are encoded targets and predictions.
    """

    type: Literal["several"] = "several"
    heads: Annotated[tuple[HeadLoss, ...], Field(strict=False, min_length=2)]

    @classmethod
    def of(
        cls,
        target: SeveralTargets,
        losses: Mapping[str, AnyLoss],
        weights: Mapping[str, float],
    ) -> Self:
        """Return that of targets, by their losses and weights; 1 where there is no weight."""
        heads, start = [], 0
        for part, share in zip(target.targets, target.shares, strict=True):
            end = start + math.prod(part.shape)
            heads.append(
                HeadLoss(
                    name=part.name,
                    loss=losses[part.name],
                    weight=weights.get(part.name, 1.0),
                    share=share,
                    num_classes=len(part.score_names) or None,
                    num_predictions=math.prod(part.prediction_shape),
                    encoded=(start, end),
                    is_class=part.dtype.kind in "iu",
                    is_vector=bool(part.shape),
                )
            )
            start = end
        return cls(heads=tuple(heads))

    @classmethod
    def tasks(cls) -> tuple[AnyTask, ...]:
        return ("several",)

    @property
    def title(self) -> str:
        return "the weighted sum of the targets' losses"

    def unit_name(self, target: str) -> str:
        del target
        return "the sum"

    def unit(self, scale: float) -> float:
        del scale
        return 1.0

    @property
    def of_targets(self) -> tuple[HeadLoss, ...]:
        return self.heads

    def num_outputs(self, num_classes: int | None, num_values: int = 1) -> int:
        del num_classes, num_values
        return sum(head.num_outputs for head in self.heads)

    def on(self, targets: "Tensor", weights: "Tensor | None") -> Self:
        """Return it with the shares of some rows, [rows, numbers]: their mean loss is exact.

        A target that none of the rows has doesn't count.
        """
        heads = []
        for head in self.heads:
            known = head.cut(targets)[1].double()
            count = known.mean() if weights is None else (known * weights).sum() / weights.sum()
            heads.append(head.model_copy(update={"share": float(count) or 1.0}))
        return self.model_copy(update={"heads": tuple(heads)})

    def each(
        self, outputs: "Tensor", targets: "Tensor", class_weights: "Tensor | None" = None
    ) -> "Tensor":
        total = outputs.new_zeros(len(outputs))
        for head, mine, of_classes in self._cut(outputs, class_weights):
            theirs, is_known = head.cut(targets)
            losses = head.loss.each(mine, theirs, of_classes)
            total = total + losses.where(is_known, 0.0) * (head.weight / head.share)
        return total

    def compute(self, outputs: "Tensor", targets: "Tensor", *, reduction: Reduction) -> "Tensor":
        each = self.each(outputs, targets)
        return each.mean() if reduction == "mean" else each

    def class_weights_of(self, target: Target) -> list[float] | None:
        found: list[float] = []
        has_weights = False
        for head, part in zip(self.heads, target.parts, strict=True):
            weights = head.loss.class_weights_of(part)
            has_weights |= weights is not None
            found += [1.0] * len(part.score_names) if weights is None else weights
        return found if has_weights else None

    @property
    def has_class_weights(self) -> bool:
        return any(head.loss.has_class_weights for head in self.heads)

    @property
    def smoothing(self) -> float:
        return max(head.loss.smoothing for head in self.heads)

    def smoothed(self, share: float) -> Self:
        heads = (head.model_copy(update={"loss": head.loss.smoothed(share)}) for head in self.heads)
        return self.model_copy(update={"heads": tuple(heads)})

    def predictions(self, outputs: "Tensor") -> "np.ndarray":
        import numpy as np

        found = [head.loss.predictions(mine) for head, mine, _ in self._cut(outputs)]
        return np.concatenate([some.reshape(len(outputs), -1) for some in found], axis=1)

    def mean_of_members(self, outputs: "Tensor") -> "Tensor":
        import torch

        means = [head.loss.mean_of_members(mine) for head, mine, _ in self._cut(outputs)]
        return torch.cat(means, dim=1)

    def log_odds(self, outputs: "Tensor") -> "np.ndarray":
        del outputs
        raise ValueError("each of several targets has log odds of its own")

    def class_logits(self, outputs: "Tensor") -> "np.ndarray":
        del outputs
        raise ValueError("each of several targets has logits of its own")

    def to_outputs(self, values: "np.ndarray") -> "np.ndarray":
        import numpy as np

        ends = np.cumsum([head.num_predictions for head in self.heads])
        cut = np.split(values, ends[:-1], axis=1)
        found = [head.loss.to_outputs(some) for head, some in zip(self.heads, cut, strict=True)]
        return np.concatenate(found, axis=1)

    def outputs_of(self, predictions: "np.ndarray") -> "np.ndarray":
        import numpy as np

        ends = np.cumsum([head.num_predictions for head in self.heads])
        found = []
        for head, some in zip(self.heads, np.split(predictions, ends[:-1], axis=1), strict=True):
            is_number = head.num_classes is None and not head.is_vector
            found.append(head.loss.outputs_of(some[:, 0] if is_number else some))
        return np.concatenate(found, axis=1)

    def best_constant(
        self,
        values: "np.ndarray",
        counts: "np.ndarray | None" = None,
        class_weights: "np.ndarray | None" = None,
    ) -> "np.ndarray":
        import numpy as np

        found = self._constants(values, counts, class_weights)
        return np.concatenate([head.loss.best_constant(*given) for head, given in found])

    def best_constant_loss(
        self,
        values: "np.ndarray",
        counts: "np.ndarray | None" = None,
        class_weights: "np.ndarray | None" = None,
    ) -> float:
        found = self._constants(values, counts, class_weights)
        return sum(head.weight * head.loss.best_constant_loss(*given) for head, given in found)

    @property
    def best_constant_text(self) -> str:
        parts = (f"of {head.name}, {head.loss.best_constant_text}" for head in self.heads)
        return "; ".join(parts)

    def calibration_notes(self) -> Iterator[str]:
        for head in self.heads:
            yield from head.loss.calibration_notes()

    def _cut(
        self, outputs: "Tensor", class_weights: "Tensor | None" = None
    ) -> "Iterator[tuple[HeadLoss, Tensor, Tensor | None]]":
        """Yield each target's loss with its outputs, [..., num_outputs], and its class weights."""
        start = class_start = 0
        for head in self.heads:
            end, class_end = start + head.num_outputs, class_start + (head.num_classes or 0)
            of_classes = None
            if class_weights is not None and class_end > class_start:
                of_classes = class_weights[class_start:class_end]
            yield head, outputs[..., start:end], of_classes
            start, class_start = end, class_end

    def _constants(
        self,
        values: "np.ndarray",
        counts: "np.ndarray | None",
        class_weights: "np.ndarray | None",
    ) -> "Iterator[tuple[HeadLoss, _Given]]":
        """Yield each target's loss with what `best_constant` takes, of the rows that have it."""
        import torch

        of_classes = None if class_weights is None else torch.from_numpy(class_weights)
        nothing = torch.empty(0, self.num_outputs(None))
        for head, _, weights in self._cut(nothing, of_classes):
            mine, known = (found.numpy() for found in head.cut(torch.from_numpy(values)))
            yield (
                head,
                (
                    mine[known],
                    None if counts is None else counts[known],
                    None if weights is None else weights.numpy(),
                ),
            )
