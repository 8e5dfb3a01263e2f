"""The loss for several labels at once."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Literal, Self, final

from pydantic import Field

from dlcli.losses.base import Loss, Reduction
from dlcli.section import PositiveFloat
from dlcli.targets.base import Target
from dlcli.targets.task import Task

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

LabelWeights = Literal["balanced"] | Annotated[dict[str, PositiveFloat], Field(min_length=1)]
_LEAST = 1e-12  # probability of a constant: a label of all training rows may lack elsewhere


@final
class MultilabelCrossEntropy(Loss):
    """Binary cross-entropy of each label, averaged over labels; an output a label, a logit."""

    type: Literal["multilabel_cross_entropy"]
    label_weights: LabelWeights | None = Field(
        None,
        description="factor for the loss of a label where a row has it (`pos_weight` of PyTorch), "
        "1 for labels not listed; `balanced`: rows without the label / rows with it",
    )
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="share of each label's 1 or 0 that is replaced by 0.5"
    )

    @classmethod
    def tasks(cls) -> tuple[Task, ...]:
        return ("multilabel",)

    @property
    def title(self) -> str:
        return "binary cross-entropy of each label"

    def unit_name(self, target: str) -> str:
        del target
        return "nats per label"

    def unit(self, scale: float) -> float:
        del scale
        return 1.0

    def num_outputs(self, num_classes: int | None, num_values: int = 1) -> int:
        del num_values
        assert num_classes is not None, "the loss fits the task"
        return num_classes

    def compute(self, outputs: "Tensor", targets: "Tensor", *, reduction: Reduction) -> "Tensor":
        losses = self._of_labels(outputs, targets, None).mean(1)
        return losses.mean() if reduction == "mean" else losses

    def each(
        self, outputs: "Tensor", targets: "Tensor", class_weights: "Tensor | None" = None
    ) -> "Tensor":
        return self._of_labels(outputs, targets, class_weights).mean(1)

    def mean(
        self, outputs: "Tensor", targets: "Tensor", class_weights: "Tensor | None" = None
    ) -> "Tensor":
        return self._of_labels(outputs, targets, class_weights).mean()

    def _of_labels(
        self, outputs: "Tensor", targets: "Tensor", weights: "Tensor | None"
    ) -> "Tensor":
        from torch.nn.functional import binary_cross_entropy_with_logits

        truth = targets.to(outputs.dtype)
        if self.label_smoothing:
            truth = truth * (1 - self.label_smoothing) + self.label_smoothing / 2
        factors = None if weights is None else weights.to(outputs.dtype)
        return binary_cross_entropy_with_logits(
            outputs, truth, pos_weight=factors, reduction="none"
        )

    def class_weights_of(self, target: Target) -> list[float] | None:
        match self.label_weights:
            case None:
                return None
            case "balanced":
                total = target.total_weight
                return [max(total - count, 1.0) / count for count in target.score_totals]
            case weights:
                return [weights.get(name, 1.0) for name in target.score_names]

    @property
    def has_class_weights(self) -> bool:
        return self.label_weights is not None

    @property
    def smoothing(self) -> float:
        return self.label_smoothing

    def smoothed(self, share: float) -> Self:
        return self.model_copy(update={"label_smoothing": max(share, self.label_smoothing)})

    def unknown_classes(self, classes: Sequence[str]) -> Iterator[tuple[str, str]]:
        if isinstance(self.label_weights, dict):
            unknown = (name for name in self.label_weights if name not in classes)
            yield from (("label_weights", name) for name in unknown)

    @property
    def activation(self) -> str:
        return "sigmoid"

    def predictions(self, outputs: "Tensor") -> "np.ndarray":
        return outputs.double().sigmoid().numpy()

    def mean_of_members(self, outputs: "Tensor") -> "Tensor":
        from torch.nn.functional import logsigmoid

        return logsigmoid(outputs).logsumexp(1) - logsigmoid(-outputs).logsumexp(1)

    def log_odds(self, outputs: "Tensor") -> "np.ndarray":
        return outputs.float().numpy()

    def class_logits(self, outputs: "Tensor") -> "np.ndarray":
        del outputs
        raise ValueError("labels have no logits that a softmax could turn into probabilities")

    def to_outputs(self, values: "np.ndarray") -> "np.ndarray":
        return values

    def outputs_of(self, predictions: "np.ndarray") -> "np.ndarray":
        import numpy as np

        bounded = np.clip(predictions, _LEAST, 1 - _LEAST)
        outputs: np.ndarray = np.log(bounded) - np.log1p(-bounded)
        return outputs

    def best_constant(
        self,
        values: "np.ndarray",
        counts: "np.ndarray | None" = None,
        class_weights: "np.ndarray | None" = None,
    ) -> "np.ndarray":
        import numpy as np

        present = np.average(values, axis=0, weights=counts)
        present = present * (1 - self.label_smoothing) + self.label_smoothing / 2
        weighted = present if class_weights is None else present * class_weights
        return self.outputs_of(weighted / (weighted + 1 - present))

    @property
    def best_constant_text(self) -> str:
        text = "the share of the training rows that has each label"
        if self.label_weights is not None:
            text += "; its loss is that of the shares with the label weights"
        return text

    def calibration_notes(self) -> Iterator[str]:
        if self.label_smoothing:
            yield "Label smoothing in training keeps predicted probabilities away from 0 and 1."
        if self.label_weights is not None:
            yield "Label weights in training shift predicted probabilities on purpose."
