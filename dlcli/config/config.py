"""The whole config, checked."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from dlcli.config.sections.checkpoint import CheckpointConfig
from dlcli.config.sections.compare import CompareConfig
from dlcli.config.sections.data import DataConfig
from dlcli.config.sections.folds import FoldsConfig, expand_folds
from dlcli.config.sections.model import ModelConfig
from dlcli.config.sections.training import TrainingConfig
from dlcli.config.sections.tune import TuneConfig
from dlcli.losses import AnyLoss
from dlcli.optimizers import DEFAULT_OPTIMIZER, AnyOptimizer
from dlcli.schedules import DEFAULT_SCHEDULE, AnySchedule
from dlcli.section import ALL_DEFAULTS, Section

SHORT_SECTIONS = ("loss", "optimizer", "schedule")  # `loss: mse` is short for {type: mse}


TrackerName = Literal["tensorboard", "mlflow"]
ReportKind = Literal["quick", "full"]
CalibrationKind = Literal["auto", "temperature", "none"]


class Config(Section):
    """A training run, from the data to the device."""

    name: str = Field(
        pattern=r"^[\w-][\w.-]*$",
        max_length=100,
        description="letters, digits, '-', '_' and '.', not beginning with '.'; default: the "
        "file's stem",
    )
    seed: int = Field(
        0,
        ge=0,
        lt=2**63,
        description="seed of everything random: split, initial weights, row order, dropout",
    )
    data: DataConfig = Field(description="the training data")
    model: ModelConfig = Field(description="the network")
    loss: AnyLoss | None = Field(
        None, description="loss to minimise, by name or as a mapping; default: by the task"
    )
    optimizer: AnyOptimizer = Field(
        DEFAULT_OPTIMIZER, validate_default=True, description="update rule for the weights"
    )
    schedule: AnySchedule = Field(
        DEFAULT_SCHEDULE, validate_default=True, description="learning-rate schedule"
    )
    training: TrainingConfig = Field(
        ALL_DEFAULTS,
        validate_default=True,
        description="length, batches, device and speed of training",
    )
    calibration: CalibrationKind = Field(
        "auto",
        description="calibration of predicted probabilities: by a temperature found on the "
        "validation rows; auto: where that lowers their log loss by more than its standard error",
    )
    checkpoint: CheckpointConfig = Field(
        ALL_DEFAULTS, validate_default=True, description="how often checkpoints are saved"
    )
    report: Annotated[
        ReportKind | bool, AfterValidator(lambda report: "quick" if report is True else report)
    ] = Field(
        "quick",
        description="page about the run, made at its end: quick, from what is in memory, or full, "
        "as `dlcli report` makes it; true: quick; false: none, and nothing is recorded for it",
    )
    trackers: Annotated[tuple[TrackerName, ...], Field(strict=False)] = Field(
        (), description="experiment trackers to log metrics to"
    )
    folds: FoldsConfig | None = Field(
        None,
        description="cross-validation: so many folds, or their settings; `train` leaves an "
        "ensemble of the folds' networks, other commands ignore it",
    )
    compare: CompareConfig = Field(
        ALL_DEFAULTS, validate_default=True, description="settings of `dlcli compare-optimizers`"
    )
    tune: TuneConfig = Field(
        ALL_DEFAULTS, validate_default=True, description="settings of `dlcli tune`"
    )

    @property
    def split_seed(self) -> int:
        """The seed of the random split."""
        return self.seed if self.data.split.seed is None else self.data.split.seed

    @model_validator(mode="before")
    @classmethod
    def _expand_names(cls, data: Any) -> Any:  # noqa: ANN401 - not checked yet
        return expand_names(data) if isinstance(data, dict) else data


def expand_names(data: dict[str, Any]) -> dict[str, Any]:
    """Write `loss: mse` as `loss: {type: mse}`; optimizer, schedule and `folds: 5` likewise."""
    data = expand_folds(data)
    short = {key: {"type": data[key]} for key in SHORT_SECTIONS if isinstance(data.get(key), str)}
    return {**data, **short}
