"""The config's `training`: how long, in which batches, on what."""

from typing import Annotated, Literal

from pydantic import Field

from dlcli.section import NonNegativeFloat, PositiveFloat, PositiveInt, Section

Precision = Literal["auto", "fp32", "tf32", "bf16", "fp16"]
EngineName = Literal["auto", "eager", "captured"]
Metric = Literal[
    "loss", "accuracy", "balanced_accuracy", "macro_f1", "roc_auc", "rmse", "mae", "r2"
]


class EarlyStopping(Section):
    """Stop when the validation rows have stopped getting better."""

    patience: PositiveInt = Field(10, description="epochs without a better figure to wait")
    min_delta: NonNegativeFloat = Field(0.0, description="how much better counts as better")
    metric: Metric = Field("loss", description="the validation figure to watch")


class TrainingConfig(Section):
    """The training loop."""

    batch_size: PositiveInt | Literal["full"] = Field(
        32, description='rows a batch, or "full": all of them, plain gradient descent'
    )
    epochs: PositiveInt = Field(100, description="times that every training row is seen, at most")
    early_stopping: EarlyStopping | None = Field(None, description="default: none")
    gradient_clip_norm: PositiveFloat | None = Field(
        None, description="longest gradient, over all parameters together, that is not shortened"
    )
    accumulate_batches: PositiveInt = Field(
        1, description="batches whose gradients go into one step of the optimizer"
    )
    engine: EngineName = Field(
        "auto",
        description="how steps are computed: one by one (eager), or from a recording of the first "
        "(captured); the bits are the same",
    )
    precision: Precision = Field(
        "auto",
        description="of the arithmetic; weights are always fp32. auto: fp32. tf32: fp32 whose "
        "products round their factors to 10 bits, on CUDA",
    )
    device: str = Field(
        "auto",
        pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$",
        description="auto | cpu | cuda | cuda:N | mps; auto takes CUDA where there is one",
    )
    threads: Annotated[PositiveInt, Field(le=1024)] | Literal["auto"] = Field(
        "auto",
        description="that share a step's arithmetic on the CPU; auto: as many as it has work for",
    )

    def rows_per_batch(self, num_rows: int) -> int:
        """Return the rows of the largest batch, of `num_rows` training rows."""
        return num_rows if self.batch_size == "full" else min(self.batch_size, num_rows)

    def batches_per_epoch(self, num_rows: int) -> int:
        """Return how many batches `num_rows` training rows make, a short last one included."""
        return -(-num_rows // self.rows_per_batch(num_rows))

    def steps_per_epoch(self, num_rows: int) -> int:
        """Return the optimizer's steps in an epoch of `num_rows` training rows."""
        return -(-self.batches_per_epoch(num_rows) // self.accumulate_batches)
