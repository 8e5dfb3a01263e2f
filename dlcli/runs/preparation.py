"""A loaded config → a run that can start, or every problem at once, without torch."""

import importlib.util
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dlcli.config import Config, LoadedConfig
from dlcli.config.config import TrackerName
from dlcli.config.sections.training import TrainingConfig
from dlcli.data.dataset import Dataset, read_dataset
from dlcli.data.kept_rows import KeptParts
from dlcli.data.signature import Signature
from dlcli.data.stream import Reading, drain
from dlcli.errors import ConfigError, DataError, Problem
from dlcli.layers.base import ShapeError
from dlcli.losses import Loss
from dlcli.metrics import figures_of, why_undefined
from dlcli.network.augmented_inputs import augmentation_obstacles
from dlcli.network.branches.columns import input_problems
from dlcli.network.heads import (
    choose_loss,
    default_loss_notes,
    refuse_double_activation,
    resolved_outputs,
)
from dlcli.network.plan import Plan, plan_model
from dlcli.runs.combinations.registry import refused_combinations, reported_combinations
from dlcli.runs.combinations.rule import Facts
from dlcli.runs.last_batch import last_batch_notes, small_batch_problems, with_last_batch
from dlcli.runs.search_problems import search_problems
from dlcli.runs.starting import Origin, begin, encoding_problems, find_origin, start_of
from dlcli.runs.unused_settings import unused_settings

if TYPE_CHECKING:
    from dlcli.training.saving.weights import SavedWeights

_TRACKER_PACKAGES: dict[TrackerName, str] = {"tensorboard": "tensorboardX", "mlflow": "mlflow"}


@dataclass(frozen=True)
class Prepared:
    """A run that can start: its config, data and network fit together."""

    loaded: LoadedConfig  # what was prepared
    config: Config  # resolved
    folder: Path  # that the config's paths are relative to
    dataset: Dataset
    loss: Loss
    plan: Plan
    notes: tuple[str, ...]  # what was inferred, each with the key that overrides it
    origin: "SavedWeights | None" = None  # whose weights it begins with

    @property
    def checksums(self) -> dict[str, str]:
        """SHA-256 of what the run is made from, by the config key that names it."""
        begun = {} if self.origin is None else {"start_from": self.origin.sha256}
        return self.dataset.checksums | begun


def prepare(
    loaded: LoadedConfig, dataset: Dataset | None = None, *, is_trial: bool = False
) -> Prepared:
    """Do what `preparing` does, without yielding progress.

    Of a trial, a changed config, the space that it was taken from is not checked again.
    """
    return drain(preparing(loaded, dataset=dataset, checks_search=not is_trial))


def preparing(
    loaded: LoadedConfig,
    *,
    max_blocks: int | None = None,
    dataset: Dataset | None = None,
    resumed: Origin | None = None,
    has_weights: bool = False,
    kept: KeptParts = "none",
    checks_search: bool = True,
) -> Generator[Reading, None, Prepared]:
    """Read the data and check that everything fits, without torch; nothing is written.

    Yields how far streamed files are read; of each, at most `max_blocks` blocks if that is given.
    A `dataset` that a config with the same `data` and `seed` has read is taken as it is, unless its
    layers asked for other bins. A run that is `resumed` is encoded as it was, and needs no weights
    to start from; nor do layers of one that `has_weights` in a checkpoint. Rows of the parts that
    `kept` says stay as they are in the files beside the encoded ones. `tune` is looked at where it
    `checks_search`.
    Raises ConfigError with every problem of the config that can be found in one pass, DataError
    where only the data is wrong, StorageError where it can't be read.
    """
    found = list(loaded.problems)
    origin = None if loaded.config.model.start_from is None else resumed
    beginning: list[Problem] = []
    if origin is None:
        with _collected(beginning):
            origin = find_origin(loaded)
    if dataset is None or dataset.num_bins != loaded.config.model.num_bins:
        dataset = yield from _read_dataset(loaded, found, max_blocks, origin, kept)
    has_sound_data = len(found) == len(loaded.problems)
    loss, plan = _fit_network(loaded, dataset, found, has_sound_data=has_sound_data)
    begun: tuple[str, ...] = ()
    if origin is not None:
        beginning += encoding_problems(loaded, dataset.fitted, origin)
    found += beginning
    if plan is not None and not beginning:
        with _collected(found):
            plan, begun = begin(loaded, plan, dataset, origin, has_weights=has_weights)
    num_rows, training = dataset.num_rows["train"], loaded.config.training
    if plan is not None and "training" not in loaded.doubtful:
        for place, reason in augmentation_obstacles(training.augment, plan.signature):
            found.append(loaded.problem(("training", "augment", place), reason))
        training = with_last_batch(training, plan, num_rows)
        found += small_batch_problems(loaded, training, plan, num_rows)
    found += _training_problems(loaded, dataset, training)
    found += _missing_trackers(loaded)
    if checks_search:
        found += search_problems(loaded, dataset if has_sound_data else None)
    facts = Facts(loaded, training, dataset, plan)
    if has_sound_data:
        found += unused_settings(loaded, dataset)
        found += refused_combinations(facts)
    if found or loss is None or plan is None:
        raise ConfigError(*loaded.in_order(found))
    return Prepared(
        loaded,
        _resolve(loaded.config, dataset, loss, plan, training, start_of(loaded, origin)),
        loaded.folder,
        dataset,
        loss,
        plan,
        (
            *loaded.notes,
            *dataset.notes,
            *_notes(loaded.config, dataset, loss),
            *last_batch_notes(loaded.config.training, training, num_rows),
            *begun,
            *reported_combinations(facts),
        ),
        None if origin is None or origin.is_resumed else origin.saved,
    )


@contextmanager
def _collected(found: list[Problem]) -> Iterator[None]:
    """Add the problems that the block raises to `found`."""
    try:
        yield
    except ConfigError as error:
        found.extend(error.problems)


def _read_dataset(
    loaded: LoadedConfig,
    found: list[Problem],
    max_blocks: int | None,
    origin: Origin | None,
    kept: KeptParts,
) -> Generator[Reading, None, Dataset]:
    """Read the data; raise its problems together with those found before."""
    before = None if origin is None else origin.fitted
    try:
        return (
            yield from read_dataset(loaded, found, max_blocks=max_blocks, before=before, kept=kept)
        )
    except ConfigError as error:
        raise ConfigError(*loaded.in_order({*found, *error.problems})) from None
    except DataError as error:
        if not found:
            raise
        problem = loaded.problem(("data", "path"), str(error))
        raise ConfigError(*loaded.in_order([*found, problem])) from None


def _fit_network(
    loaded: LoadedConfig, dataset: Dataset, found: list[Problem], *, has_sound_data: bool
) -> tuple[Loss | None, Plan | None]:
    """Choose the loss and plan the network; None where one can't be had. Adds to `found` why."""
    loss: Loss | None = None
    plan: Plan | None = None
    with _collected(found):
        loss = choose_loss(loaded, dataset.fitted.target)
    if loss is None or "model" in loaded.doubtful:
        return loss, None
    with _collected(found):
        refuse_double_activation(loaded, loss)
    misplaced = [*input_problems(loaded, dataset)]
    found += misplaced
    if has_sound_data and not misplaced:
        with _collected(found):
            plan = _plan(loaded, dataset.fitted.signature(), loss)
    if plan is not None and not plan.num_parameters:
        path = ("model", "layers")
        found.append(loaded.problem(path, "there is nothing to train: no layer has weights"))
    return loss, plan


def _plan(loaded: LoadedConfig, signature: Signature, loss: Loss) -> Plan:
    try:
        return plan_model(loaded.config.model, signature, loss)
    except ShapeError as error:
        raise loaded.error(("model", *error.path), str(error)) from None
    except ConfigError as error:  # a library that a layer needs is not there
        raise loaded.error(("model", "layers"), str(error)) from None


def _notes(config: Config, dataset: Dataset, loss: Loss) -> Iterator[str]:
    yield from default_loss_notes(config, loss, dataset.fitted.target)
    if loss.smoothing:
        stopping = config.training.early_stopping
        is_watched = "validation" in dataset.num_rows and (
            stopping is None or stopping.metric == "loss"
        )
        chosen = ", and the best epoch is chosen by it" if is_watched else ""
        yield (
            f"every reported loss is that of smoothed labels{chosen}; accuracy and the other "
            "metrics are of the labels as they are (loss.label_smoothing)"
        )
    weight = config.data.weight
    if weight is not None:
        yield f"rows count as much as '{weight}' says, which is no feature (data.weight)"
    if "validation" not in dataset.num_rows:
        yield "no validation rows: the last epoch's weights count as the best (data.split)"
    if "test" not in dataset.num_rows:
        yield "no test rows: performance on new rows won't be measured (data.split)"


def _training_problems(
    loaded: LoadedConfig, dataset: Dataset, training: TrainingConfig
) -> Iterator[Problem]:
    """Yield problems of the training settings with this data."""
    schedule = loaded.config.schedule
    if "validation" not in dataset.num_rows:
        missing = "needs validation rows; hold some out, as in data.split: {validation: 0.2}"
        if training.early_stopping is not None:
            yield loaded.problem(("training", "early_stopping"), missing)
        if schedule.needs_validation:
            yield loaded.problem(("schedule",), f"{schedule.type} {missing}")
    if training.early_stopping is not None:
        metric, known = training.early_stopping.metric, figures_of(dataset.fitted.target)
        if metric not in known:
            yield loaded.problem(
                ("training", "early_stopping", "metric"),
                f"{dataset.target_text} has no {metric}; use one of {', '.join(known)}",
            )
        values = dataset.target_values.get("validation")
        if reason := why_undefined(metric, values):
            others = [name for name in known if not why_undefined(name, values)]
            yield loaded.problem(
                ("training", "early_stopping", "metric"),
                f"{metric} has no value on the validation rows: {reason}; monitor another metric "
                f"({', '.join(others)}), or hold out other rows (data.split)",
            )
    if "training" in loaded.doubtful:
        return
    if dataset.stream is not None and training.batch_size == "full":
        yield loaded.problem(
            ("training", "batch_size"),
            "full needs all rows in memory, but they are streamed (data.streaming); give a number "
            "of rows, or set data.streaming: false with enough memory",
        )


def _missing_trackers(loaded: LoadedConfig) -> Iterator[Problem]:
    """Yield a problem for each tracker whose package is not installed."""
    for index, name in enumerate(loaded.config.trackers):
        if importlib.util.find_spec(_TRACKER_PACKAGES[name]) is None:
            yield loaded.problem(
                ("trackers", index),
                f"{name} is not installed: pip install 'dlcli[{name}]'",
            )


def _resolve(
    config: Config,
    dataset: Dataset,
    loss: Loss,
    plan: Plan,
    training: TrainingConfig,
    start_from: str | None,
) -> Config:
    """Return the config with what was inferred from the data."""
    data = config.data.model_copy(
        update={
            "task": dataset.config_task,
            "features": tuple(column.name for column in dataset.fitted.columns),
            "kinds": {column.name: column.kind for column in dataset.fitted.columns},
            "streaming": dataset.stream is not None,
            **(dataset.text_settings or {}),
        }
    )
    layers = tuple(layer.config for layer in plan.layers)
    combine = None if plan.inputs is None else plan.inputs.join.config.type
    outputs = resolved_outputs(config.model, loss, plan.heads)
    model = {"layers": layers, "combine": combine, "outputs": outputs, "start_from": start_from}
    return config.model_copy(
        update={
            "data": data,
            "model": config.model.model_copy(update=model),
            "loss": None if loss.of_targets else loss,
            "training": training,
        }
    )
