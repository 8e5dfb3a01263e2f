"""The whole config, checked."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from dlcli.config.layers import ModelConfig
from dlcli.config.objectives import Loss
from dlcli.config.optimizers import Adam, Constant, Optimizer, Schedule
from dlcli.config.sections.checkpoint import CheckpointConfig
from dlcli.config.sections.compare import CompareConfig
from dlcli.config.sections.data import DataConfig
from dlcli.config.sections.training import TrainingConfig
from dlcli.section import Section

SHORT_SECTIONS = ("loss", "optimizer", "schedule")  # `loss: mse` is short for {type: mse}


Tracker = Literal["tensorboard", "mlflow"]


class Config(Section):
    """A training run, from the data to the device."""

    name: str = Field(
        pattern=r"^[\w-][\w.-]*$",
        max_length=100,
        description="letters, digits, '-', '_' and, not first, '.'; default: the file's stem",
    )
    seed: int = Field(0, ge=0, lt=2**63, description="every random draw follows from it")
    data: DataConfig = Field(description="the table to learn from")
    model: ModelConfig = Field(description="the network")
    loss: Loss | None = Field(
        None, description="what training makes small, by name or as a mapping; default: by the task"
    )
    optimizer: Optimizer = Field(
        Adam(type="adam"), description="how the weights follow the gradient"
    )
    schedule: Schedule = Field(
        Constant(type="constant"), description="how the learning rate changes over time"
    )
    training: TrainingConfig = Field(TrainingConfig(), description="the training loop")
    checkpoint: CheckpointConfig = Field(
        CheckpointConfig(), description="how often the run's state is saved"
    )
    report: bool = Field(
        True,
        description="record what a report needs while training, and make one at the end; see "
        "`dlcli report`",
    )
    trackers: Annotated[tuple[Tracker, ...], Field(strict=False)] = Field(
        (), description="other programs that are told a run's figures while it trains"
    )
    compare: CompareConfig = Field(
        CompareConfig(), description="how `dlcli compare-optimizers` compares"
    )

    @model_validator(mode="before")
    @classmethod
    def _expand_names(cls, data: Any) -> Any:  # noqa: ANN401 - not checked yet
        return expand_names(data) if isinstance(data, dict) else data


def expand_names(data: dict[str, Any]) -> dict[str, Any]:
    """Write `loss: mse` as `loss: {type: mse}`; the optimizer and the schedule likewise."""
    short = {key: {"type": data[key]} for key in SHORT_SECTIONS if isinstance(data.get(key), str)}
    return {**data, **short}
