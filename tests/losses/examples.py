"""Every loss of the family with its settings, and a target that each fits."""

from typing import Any

from pydantic import TypeAdapter

from dlcli.losses import LOSSES, AnyLoss, Loss
from dlcli.section import type_of
from dlcli.targets.base import Target
from dlcli.targets.class_target import ClassTarget
from dlcli.targets.multilabel_target import MultilabelTarget
from dlcli.targets.number_target import ForecastTarget, NumberTarget
from dlcli.targets.ordinal_target import OrdinalTarget
from dlcli.targets.task import Task

CLASSES = ClassTarget(name="y", classes=("a", "b", "c"), counts=(1, 2, 5), label_type="text")
PAIR = ClassTarget(name="y", classes=("a", "b"), counts=(2, 6), label_type="text")
NUMBER = NumberTarget(name="y", center=3.0, scale=4.0)
SIZES = OrdinalTarget(name="y", classes=("a", "b", "c"), counts=(1, 2, 5), label_type="text")
STEPS = ForecastTarget.of([NUMBER], horizon=1)
LABELS = MultilabelTarget(name="y", labels=("a", "b"), totals=(2, 6), total=8, separator=";")
TARGETS: dict[Task, Target] = {
    "binary": PAIR,
    "multiclass": CLASSES,
    "multilabel": LABELS,
    "ordinal": SIZES,
    "regression": NUMBER,
    "forecast": STEPS,
}

# Values for the settings that losses have; a setting that is not here fails a test.
SETTINGS: dict[str, list[Any]] = {
    "class_weights": ["balanced", {"b": 3.0}],
    "label_smoothing": [0.2],
    "label_weights": ["balanced", {"b": 3.0}],
    "delta": [0.5, 100.0],
    "quantiles": [[0.5], [0.2, 0.5, 0.6, 0.95]],
}


def _specs(loss: type[Loss]) -> list[dict[str, Any]]:
    plain = {"type": type_of(loss)}
    settings = [key for key in loss.model_fields if key != "type"]
    specs = [plain, *({**plain, key: value} for key in settings for value in SETTINGS[key])]
    if len(settings) > 1:
        specs.append({**plain, **{key: SETTINGS[key][-1] for key in settings}})
    return specs


EVERY_LOSS: list[tuple[dict[str, Any], Target]] = [
    (spec, TARGETS[loss.tasks()[0]]) for loss in LOSSES for spec in _specs(loss)
]
EVERY_LOSS_AND_TASK: list[tuple[dict[str, Any], Target]] = [
    (spec, TARGETS[task]) for loss in LOSSES for task in loss.tasks() for spec in _specs(loss)
]


def loss_of(spec: dict[str, Any]) -> Loss:
    loss: Loss = TypeAdapter[Loss](AnyLoss).validate_python(spec)
    return loss
