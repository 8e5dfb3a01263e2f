"""Settings of `data` that would have no effect, which is never what was meant."""

from collections.abc import Iterable, Iterator
from functools import cache

from dlcli.columns import family
from dlcli.config import LoadedConfig
from dlcli.config.sections.data import DataConfig
from dlcli.config.text_options import FILE_KEYS
from dlcli.data.dataset import Dataset, find_sources
from dlcli.errors import ConfigError, Problem
from dlcli.tables.reading import settings_of
from dlcli.tables.sources import Source
from dlcli.targets.task import is_of_numbers

_LACKING = {"query": "the rows come from no database", "sheet": "the rows come from no workbook"}


def unused_settings(loaded: LoadedConfig, dataset: Dataset) -> Iterator[Problem]:
    """Yield a problem for each setting that was given and, with this data, does nothing.

    `training` is the config's, with what is to become of its last batch.
    """
    for path, reason in _unused_data(loaded, dataset):
        yield loaded.problem(("data", path), f"does nothing: {reason}")


def refuse_unused_options(said: DataConfig, source: Source) -> None:
    """Raise ConfigError for what `--set` says of how a source is read and does nothing there.

    Standard input, which can be read only once, is not looked at.
    """
    if not source.is_standard_input:
        unused = _unused_file_keys(_given(said), [source])
        if problems := [f"--set data.{key}: does nothing: {reason}" for key, reason in unused]:
            raise ConfigError(*problems)


def _given(config: DataConfig) -> set[str]:
    """Return the keys that say something other than their defaults."""
    return {
        name
        for name in config.model_fields_set
        if getattr(config, name) != getattr(_defaults(), name)
    }


@cache
def _defaults() -> DataConfig:
    """Return what a config that says nothing but what it must has."""
    return DataConfig.model_validate({"path": "-", "target": "-"})


def _unused_file_keys(given: set[str], sources: Iterable[Source]) -> Iterator[tuple[str, str]]:
    """Yield each given key that says how files are read and is of none of them, and why."""
    if given := given & {*FILE_KEYS}:
        for key in sorted(given.difference(*map(settings_of, sources))):
            yield key, _LACKING.get(key, "no file is a text file")


def _unused_data(loaded: LoadedConfig, dataset: Dataset) -> Iterator[tuple[str, str]]:
    config = loaded.config.data
    given = _given(config)
    targets = dataset.fitted.target.parts
    if "target_scale" in given and not any(is_of_numbers(one.task) for one in targets):
        yield "target_scale", f"{dataset.target_text} has no scale"
    by_name = config.target_scale if isinstance(config.target_scale, dict) else {}
    for target in targets:
        if target.name in by_name and not is_of_numbers(target.task) and len(targets) > 1:
            yield "target_scale", f"'{target.name}' is classes, and has no scale"
    if "label_separator" in given and not any(one.has_labels for one in targets):
        yield "label_separator", f"{dataset.target_text} has one label in each cell"
    yield from family.unused_settings(dataset.fitted.columns, given)
    yield from _unused_file_keys(given, find_sources(loaded).values())
