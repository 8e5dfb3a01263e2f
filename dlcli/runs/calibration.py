"""Whether a run's probabilities are calibrated by a temperature, and by which one."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from torch import Tensor

from dlcli.config import Config
from dlcli.explaining.quality.temperature import MIN_ROWS, TemperatureFit, assess_temperature
from dlcli.losses import Loss
from dlcli.numbers import fixed_text
from dlcli.seeds import derive_seed
from dlcli.targets.base import Target
from dlcli.training.evaluation import weights_of
from dlcli.training.rows.batches import Rows

Why = Literal["requested", "helps", "unclear", "unbounded", "few rows", "groups", "class weights"]


@dataclass(frozen=True)
class Calibration:
    """What was found out about the probabilities of a run on its validation rows."""

    fit: TemperatureFit
    why: Why  # the temperature is applied, or not
    group: str | None  # the column of the groups

    @property
    def temperature(self) -> float | None:
        """The temperature that is applied; None: none is."""
        return self.fit.temperature if self.why in ("requested", "helps") else None

    @property
    def sentence(self) -> str:
        """What was done, and why."""
        fit, rows = self.fit, f"the {self.fit.num_rows:,} validation rows"
        gain = f"{fixed_text(fit.gain)} ± {fixed_text(fit.gain_error)} on rows it was not found on"
        match self.why:
            case "requested" | "helps":
                text = (
                    f"probabilities are calibrated: temperature {fit.temperature:.3g}, found on "
                    f"{rows} that early stopping watched, where it takes the log loss from "
                    f"{fixed_text(fit.loss_before)} to {fixed_text(fit.loss_after)} ({gain})"
                )
                return f"{text}; `calibration: none` leaves them as they are"
            case "unclear":
                reason = f"what it gains is within its error: {gain}"
            case "unbounded":
                reason = f"none has the lowest log loss on {rows}"
            case "few rows":
                reason = f"{rows} are fewer than {MIN_ROWS}"
            case "groups":
                reason = (
                    f"rows of one group of '{self.group}' aren't independent, so the error of what "
                    "it gains is unknown"
                )
            case "class weights":
                reason = "class weights shift probabilities on purpose (loss.class_weights)"
        text = f"no temperature is applied: {reason}"
        return text if self.why == "unbounded" else f"{text}; `calibration: temperature` applies it"

    def as_document(self) -> dict[str, Any]:
        """Return it as plain data; `applied` is the temperature of the run's predictions."""
        return {"applied": self.temperature, "why": self.why, **self.fit.as_document()}


def calibrate(
    config: Config, loss: Loss, target: Target, rows: Rows, outputs: Tensor
) -> Calibration | None:
    """Find a temperature on validation rows by the network's outputs, [rows, outputs] on the CPU.

    None where none is to be found: for numbers, or where the config wants none.
    """
    if config.calibration == "none" or not target.class_names or not len(rows):
        return None
    truth = target.truth(rows.targets[target.field].cpu().numpy()).astype(np.int64)
    seed = derive_seed(config.seed, "calibration")
    fit = assess_temperature(loss.class_logits(outputs), truth, seed, weights_of(rows))
    group = config.data.split.group
    return Calibration(fit, _why(config, loss, fit, group), group)


def _why(config: Config, loss: Loss, fit: TemperatureFit, group: str | None) -> Why:
    if fit.temperature is None:
        return "unbounded"
    if config.calibration == "temperature":
        return "requested"
    if loss.has_class_weights:
        return "class weights"
    if group is not None:
        return "groups"
    if fit.num_rows < MIN_ROWS:
        return "few rows"
    return "helps" if fit.is_clear else "unclear"
