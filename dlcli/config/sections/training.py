"""The config section `training`: batches, epochs, early stopping, device, precision, threads."""

import math
from typing import Annotated, Literal

from pydantic import Field

from dlcli.augmentations.family import AnyAugmentation
from dlcli.config.sections.duration import Duration
from dlcli.metrics import MetricName
from dlcli.section import Fraction, NonNegativeFloat, PositiveFloat, PositiveInt, Section

Precision = Literal["auto", "fp32", "tf32", "bf16", "fp16"]
EngineName = Literal["auto", "eager", "captured"]
LastBatch = Literal["auto", "keep", "drop", "join"]


class EarlyStopping(Section):
    """Stop when the validation metric no longer improves."""

    patience: PositiveInt = Field(10, description="epochs without improvement before stopping")
    patience_factor: float = Field(
        1.0,
        ge=1,
        le=1_000_000,
        description="makes patience grow: training stops after epoch `patience` + "
        "`patience_factor` × the last epoch that improved, rounded down",
    )
    min_delta: NonNegativeFloat = Field(
        0.0, description="smallest change that counts as improvement"
    )
    metric: MetricName = Field(
        "loss",
        description="validation metric to monitor; of several targets, NAME.METRIC, or `loss`: the "
        "weighted sum of theirs",
    )

    @property
    def shortest_wait(self) -> int:
        """The fewest epochs without improvement that end a run: after its first epoch."""
        return math.floor(self.patience + self.patience_factor) - 1


class Ema(Section):
    """Exponential moving average of the weights, as torch.optim.swa_utils computes it."""

    decay: Fraction = Field(0.999, description="share of the average that each step keeps")


class TrainingConfig(Section):
    """The training loop."""

    batch_size: PositiveInt | Literal["full"] = Field(
        32, description='rows per batch, or "full": all rows, plain gradient descent'
    )
    last_batch: LastBatch = Field(
        "auto",
        description="what becomes of an epoch's last batch where it is shorter than the others. "
        "keep: it is a batch; drop: its rows wait for another epoch's order; join: they are added "
        "to the batch before. auto: keep, but join where it is too short for batch_norm",
    )
    epochs: PositiveInt = Field(100, description="maximum number of passes over the training rows")
    max_seconds: Duration | None = Field(
        None,
        description="training ends after this time, as by early stopping: seconds, or text such "
        "as `1h 30m`, `90s`, `2d`; a resumed run counts anew. Default: no limit",
    )
    early_stopping: EarlyStopping | None = Field(
        None, description="stop when the validation metric no longer improves; default: never"
    )
    augment: Annotated[tuple[AnyAugmentation, ...], Field(strict=False)] = Field(
        (),
        description="random changes of the training rows, as images, signals or numbers, anew in "
        "each epoch; those that move pixels are done together, in one pass, before the others",
    )
    ema: Ema | None = Field(
        None,
        description="average the weights over the steps; the average is what is judged, saved and "
        "predicted with. Default: the weights as they are",
    )
    gradient_clip_norm: PositiveFloat | None = Field(
        None, description="maximum global gradient norm; larger gradients are scaled down"
    )
    accumulate_batches: PositiveInt = Field(
        1, description="batches whose gradients are accumulated for one optimizer step"
    )
    shards: PositiveInt = Field(
        1,
        description="parts that each batch is cut into, for any number of processes that divides "
        "it; the results are the same for all of these numbers, to the bit",
    )
    engine: EngineName = Field(
        "auto",
        description="how steps are computed: by PyTorch modules (eager), or by replaying the "
        "recorded operations of the first step (captured); the results are the same, to the bit",
    )
    precision: Precision = Field(
        "auto",
        description="numeric precision of the computation; weights are always fp32. auto: fp32. "
        "tf32: fp32 with factors rounded to 10 bits in matrix products, on CUDA",
    )
    device: str = Field(
        "auto",
        pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$",
        description="auto | cpu | cuda | cuda:N | mps; auto uses CUDA if available",
    )
    threads: Annotated[PositiveInt, Field(le=1024)] | Literal["auto"] = Field(
        "auto",
        description="CPU threads per step; auto: as many as a step has work for, at most the cores "
        "that the machine, container or batch job (cgroups) allows, or OMP_NUM_THREADS",
    )

    def rows_of_whole_batch(self, num_rows: int) -> int:
        """Return the rows of every batch but a shorter or longer last one."""
        return num_rows if self.batch_size == "full" else min(self.batch_size, num_rows)

    def rows_left_over(self, num_rows: int) -> int:
        """Return how many of `num_rows` training rows fill no whole batch."""
        return num_rows % self.rows_of_whole_batch(num_rows)

    def rows_per_epoch(self, num_rows: int) -> int:
        """Return how many of `num_rows` training rows an epoch takes."""
        return num_rows - (self.rows_left_over(num_rows) if self.last_batch == "drop" else 0)

    def rows_per_batch(self, num_rows: int) -> int:
        """Return the rows of the largest batch, of `num_rows` training rows."""
        joined = self.rows_left_over(num_rows) if self.last_batch == "join" else 0
        return self.rows_of_whole_batch(num_rows) + joined

    def rows_per_shard(self, num_rows: int) -> int:
        """Return the rows of the largest part of a batch, of `num_rows` training rows."""
        return -(-self.rows_per_batch(num_rows) // self.shards)

    def rows_of_smallest_shard(self, num_rows: int) -> int:
        """Return the rows of the smallest part of a batch, of `num_rows` training rows."""
        whole, left = self.rows_of_whole_batch(num_rows), self.rows_left_over(num_rows)
        if self.last_batch in ("auto", "keep"):
            smallest = left or whole
        else:  # the only batch may be the one that is joined
            smallest = whole if num_rows >= 2 * whole else self.rows_per_batch(num_rows)
        return max(1, smallest // self.shards)

    def batches_per_epoch(self, num_rows: int) -> int:
        """Return how many batches `num_rows` training rows make."""
        whole, left = divmod(num_rows, self.rows_of_whole_batch(num_rows))
        return whole + (left > 0 and self.last_batch in ("auto", "keep"))

    def steps_per_epoch(self, num_rows: int) -> int:
        """Return the optimizer's steps in an epoch of `num_rows` training rows."""
        return -(-self.batches_per_epoch(num_rows) // self.accumulate_batches)
