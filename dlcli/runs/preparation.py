"""A loaded config → everything that a run is made of, and the config with nothing left open."""

from collections.abc import Iterator
from dataclasses import dataclass

from dlcli.config import Config, LoadedConfig
from dlcli.config.layers import BatchNorm, Layer, Residual
from dlcli.config.objectives import Loss
from dlcli.config.optimizers import ReduceOnPlateau
from dlcli.data.dataset import Dataset, load_dataset
from dlcli.model.heads import choose_loss, num_outputs, refuse_double_activation
from dlcli.model.plan import Plan, plan_network
from dlcli.model.shapes import ShapeError
from dlcli.training.device import Placement, choose_placement
from dlcli.training.metrics import metrics_of


@dataclass(frozen=True)
class Prepared:
    """A run that can start: config, data and network fit together."""

    config: Config  # resolved
    dataset: Dataset
    loss: Loss
    plan: Plan
    placement: Placement
    notes: tuple[str, ...]  # what was inferred, each with the key that overrides it


def prepare(loaded: LoadedConfig) -> Prepared:
    """Read the data and check that everything fits.

    Raises ConfigError, DataError or StorageError; nothing is written.
    """
    placement = choose_placement(loaded.config.training.device, loaded.config.training.precision)
    dataset = load_dataset(loaded)
    loss = choose_loss(loaded, dataset.task, dataset.fitted.target)
    refuse_double_activation(loaded, loss)
    signature = dataset.fitted.signature()
    try:
        plan = plan_network(
            loaded.config.model.layers, signature, num_outputs=num_outputs(loss, signature)
        )
    except ShapeError as error:
        raise loaded.error(("model", "layers", *error.path), str(error)) from None
    _check_training(loaded, dataset)
    return Prepared(
        _resolve(loaded.config, dataset, loss, plan),
        dataset,
        loss,
        plan,
        placement,
        (*dataset.notes, *_notes(loaded.config, dataset, loss)),
    )


def _notes(config: Config, dataset: Dataset, loss: Loss) -> Iterator[str]:
    if config.loss is None:
        yield f"loss: {loss.type}, the usual one for a {dataset.task} target (loss)"
    if "validation" not in dataset.parts:
        yield "no validation rows: the last epoch's weights count as the best (data.split)"
    if "test" not in dataset.parts:
        yield "no test rows: nothing will say how good the network is on new rows (data.split)"


def _check_training(loaded: LoadedConfig, dataset: Dataset) -> None:
    """Raise ConfigError for what can't be trained as the config says."""
    training = loaded.config.training
    if "validation" not in dataset.parts:
        missing = "needs validation rows; hold some out, as in data.split: {validation: 0.2}"
        if training.early_stopping is not None:
            raise loaded.error(("training", "early_stopping"), missing)
        if isinstance(loaded.config.schedule, ReduceOnPlateau):
            raise loaded.error(("schedule",), f"reduce_on_plateau {missing}")
    if training.early_stopping is not None:
        metric, known = training.early_stopping.metric, ("loss", *metrics_of(dataset.fitted.target))
        if metric not in known:
            raise loaded.error(
                ("training", "early_stopping", "metric"),
                f"a {dataset.task} target has no {metric}; watch one of {', '.join(known)}",
            )
    if loaded.config.schedule.warmup_epochs >= training.epochs:
        raise loaded.error(
            ("schedule", "warmup_epochs"),
            f"must be less than training.epochs, {training.epochs}, or the warm-up never ends",
        )
    _refuse_single_rows(loaded, len(dataset.parts["train"]))


def _refuse_single_rows(loaded: LoadedConfig, num_rows: int) -> None:
    """Batch norm can't take the variance of one row."""
    size = loaded.config.training.batch_size
    size = num_rows if size == "full" else size
    if size > 1 and num_rows % size != 1:
        return
    for index, layer in enumerate(loaded.config.model.layers):
        if _has_batch_norm(layer):
            raise loaded.error(
                ("model", "layers", index),
                f"batch_norm needs two rows a batch; {num_rows} training rows in batches of {size} "
                "leave a batch of one: choose another training.batch_size, or layer_norm",
            )


def _has_batch_norm(layer: Layer) -> bool:
    if isinstance(layer, Residual):
        return any(map(_has_batch_norm, layer.layers))
    return isinstance(layer, BatchNorm)


def _resolve(config: Config, dataset: Dataset, loss: Loss, plan: Plan) -> Config:
    """Write into the config what was inferred from the data."""
    data = config.data.model_copy(
        update={
            "task": dataset.task,
            "features": tuple(column.name for column in dataset.fitted.columns),
            "kinds": {column.name: column.kind for column in dataset.fitted.columns},
        }
    )
    layers = tuple(layer.config for layer in plan.layers)
    return config.model_copy(
        update={
            "data": data,
            "model": config.model.model_copy(update={"layers": layers}),
            "loss": loss,
        }
    )
