"""What becomes of an epoch's last batch, where layers need more rows than it has."""

from collections.abc import Iterator

from dlcli.config import LoadedConfig
from dlcli.config.sections.training import TrainingConfig
from dlcli.errors import Problem
from dlcli.layers.base import PlannedLayer
from dlcli.network.plan import Plan

_MAX_TRIED = 100_000  # batch sizes above the config's


def with_last_batch(training: TrainingConfig, plan: Plan, num_rows: int) -> TrainingConfig:
    """Return the settings with `auto` as `join` where a last batch is too short for its layers."""
    if training.last_batch != "auto" or _fits(training, plan, num_rows):
        return training
    joined = training.model_copy(update={"last_batch": "join"})
    return joined if _fits(joined, plan, num_rows) else training


def last_batch_notes(said: TrainingConfig, taken: TrainingConfig, num_rows: int) -> Iterator[str]:
    """Say what becomes of a short last batch, unless it is a batch like any other."""
    size, left = taken.rows_of_whole_batch(num_rows), taken.rows_left_over(num_rows)
    if not left or taken.last_batch in ("auto", "keep"):
        return
    rows = f"{left} row{'s' * (left > 1)}"
    if taken.last_batch == "drop":
        yield f"each epoch leaves out the last {rows} of its order (training.last_batch)"
        return
    reason = ": it is too short to be normalised" if said.last_batch == "auto" else ""
    yield (
        f"the last batch of each epoch, {rows}, joins the one before, {size + left} rows together"
        f"{reason} (training.last_batch)"
    )


def small_batch_problems(
    loaded: LoadedConfig, training: TrainingConfig, plan: Plan, num_rows: int
) -> Iterator[Problem]:
    """Yield the layers that need more rows than the smallest batch, or part of one, has."""
    smallest = training.rows_of_smallest_shard(num_rows)
    rows = f"{num_rows} training row{'s' * (num_rows > 1)}"
    batches = f"in batches of {training.rows_of_whole_batch(num_rows)}"
    cut = " leave a batch"
    if training.shards > 1:
        cut = f", each cut into {training.shards} parts (training.shards), leave a part"
    for (path, layer), (name, _) in zip(plan.placed(), plan.modules(), strict=True):
        needed = plan.min_rows_of(name, layer)
        if smallest < needed:
            repairs = " or ".join(_repairs(training, plan, num_rows, layer))
            yield loaded.problem(
                ("model", *path),
                f"{layer.config.type} needs at least {needed} rows per batch; {rows} {batches}"
                f"{cut} of {smallest}: use {repairs}",
            )


def _repairs(
    training: TrainingConfig, plan: Plan, num_rows: int, layer: PlannedLayer
) -> Iterator[str]:
    """Yield the settings with which a layer gets enough rows, and the layer that needs fewer."""
    for size in range(training.rows_of_whole_batch(num_rows) + 1, num_rows + 1)[:_MAX_TRIED]:
        larger = training.model_copy(update={"batch_size": size})
        if _fits(with_last_batch(larger, plan, num_rows), plan, num_rows):
            yield f"training.batch_size: {size}"
            break
    joined = training.model_copy(update={"last_batch": "join"})
    if _fits(joined, plan, num_rows):
        yield "training.last_batch: join"
    mixing = layer.config.traits.row_mixing
    assert mixing is not None, "a layer that needs several rows mixes them"
    yield mixing.alternative


def _fits(training: TrainingConfig, plan: Plan, num_rows: int) -> bool:
    return training.rows_of_smallest_shard(num_rows) >= plan.min_rows
