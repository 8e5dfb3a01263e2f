"""Settings that would have no effect, which is never what was meant."""

from collections.abc import Iterator

from dlcli.columns import family
from dlcli.config import LoadedConfig
from dlcli.config.sections.data import DataConfig
from dlcli.config.sections.text_files import TEXT_KEYS
from dlcli.config.text.parsing import KeyPath
from dlcli.data.dataset import Dataset, find_sources
from dlcli.errors import Problem
from dlcli.tables.reading import is_workbook


def unused_settings(loaded: LoadedConfig, dataset: Dataset) -> Iterator[Problem]:
    """Yield a problem for each setting that was given and, with this data, does nothing."""
    for path, reason in _unused_data(loaded, dataset):
        yield loaded.problem(("data", path), f"does nothing: {reason}")
    if not {"training", "schedule", "optimizer"} & loaded.doubtful:
        for setting, reason in _unused_training(loaded, dataset.num_rows["train"]):
            yield loaded.problem(setting, reason)


def _unused_data(loaded: LoadedConfig, dataset: Dataset) -> Iterator[tuple[str, str]]:
    config = loaded.config.data
    given = {
        name
        for name in config.model_fields_set
        if getattr(config, name) != DataConfig.model_fields[name].get_default()
    }
    if "target_scale" in given and dataset.task != "regression":
        yield "target_scale", f"a {dataset.task} target has no scale"
    yield from family.unused_settings(dataset.fitted.columns, given)
    if dataset.text_settings is None:
        for key in sorted(given & {*TEXT_KEYS}):
            yield key, "no file is a text file"
    parts = [part for source in find_sources(loaded).values() for part in source.parts]
    if "query" in given and not any(part.query for part in parts):
        yield "query", "the rows come from no database"
    if "sheet" in given and not any(is_workbook(part) for part in parts):
        yield "sheet", "the rows come from no Excel workbook"


def _unused_training(loaded: LoadedConfig, num_rows: int) -> Iterator[tuple[KeyPath, str]]:
    config, training = loaded.config, loaded.config.training
    for key, reason in config.schedule.unused_settings(config.optimizer.lr, training.epochs):
        yield ("schedule", key), reason
    num_batches = training.batches_per_epoch(num_rows)
    if training.accumulate_batches > num_batches:
        yield (
            ("training", "accumulate_batches"),
            f"must be at most {num_batches}, the batches per epoch",
        )
