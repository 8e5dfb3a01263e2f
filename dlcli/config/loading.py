"""A config file and its overrides → a checked `Config`, or every problem at once."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pydantic import ValidationError

from dlcli.config.config import Config, expand_names
from dlcli.config.problems import explain
from dlcli.config.text.bases import read_with_bases
from dlcli.config.text.environment import expand_environment
from dlcli.config.text.overrides import ReadValue, apply_override, set_value
from dlcli.config.text.parsing import Document, KeyPath, Plain
from dlcli.config.text.paths import expand_paths
from dlcli.config.text.writing import dump_yaml
from dlcli.config.values import read_value
from dlcli.errors import ConfigError, Problem
from dlcli.optimizers import DEFAULT_OPTIMIZER
from dlcli.schedules import DEFAULT_SCHEDULE

# Replacements for required sections that are invalid.
_PLACEHOLDERS = {"name": "run", "model": {"layers": [{"type": "dense"}]}}
# What an override begins with where the config leaves the section out.
_DEFAULTS = {"optimizer": DEFAULT_OPTIMIZER, "schedule": DEFAULT_SCHEDULE}


@dataclass(frozen=True)
class LoadedConfig:
    """A config, the folder that its paths are relative to, and the places of its values.

    If there are `problems`, the sections in `doubtful` are replaced by placeholders, so that the
    others can be checked.
    """

    config: Config
    folder: Path
    document: Document
    notes: tuple[str, ...] = ()  # values taken from environment variables
    problems: tuple[Problem, ...] = ()
    doubtful: frozenset[str] = frozenset()

    def problem(self, path: KeyPath, message: str) -> Problem:
        """Return a problem with a value of this config."""
        return self.document.problem(path, message)

    def error(self, path: KeyPath, message: str) -> ConfigError:
        """Return the error for a value of this config that doesn't fit."""
        return ConfigError(self.problem(path, message))

    def in_order(self, problems: Iterable[Problem]) -> list[Problem]:
        """Return problems in the order of the file."""
        return _in_order(self.document, problems)


def load_config(file: Path, overrides: Sequence[str] = ()) -> LoadedConfig:
    """Read and check a config; ConfigError with every problem, in the order of the file."""
    loaded = open_config(file, overrides)
    if loaded.problems:
        raise ConfigError(*loaded.problems)
    return loaded


def open_config(
    file: Path, overrides: Sequence[str] = (), options: Mapping[str, str] | None = None
) -> LoadedConfig:
    """Read a config and collect its problems, so that it can be checked further.

    `options` are overrides that have an option of their own, by what the user wrote.
    Raises ConfigError if the file is not YAML, or its `data` section is invalid.
    """
    read = partial(read_value, Config)
    document, notes = read_with_bases(file)
    if isinstance(document.data, dict):
        stem = re.sub(r"[^\w.-]", "-", file.stem).lstrip(".") or "run"
        document = Document({"name": stem, **document.data}, document.places)
    for override in overrides:
        document = _override(document, override, read)
    for source, override in (options or {}).items():
        document = _override(document, override, read, source)
    document, more_notes = expand_environment(document, read)
    document, expanded = expand_paths(document, file.parent)
    notes += (*more_notes, *expanded)
    data = document.data
    if not isinstance(data, dict):
        raise ConfigError(
            document.problem((), "a config must be a mapping with `data` and `model`")
        )
    try:
        return LoadedConfig(Config.model_validate(data), file.parent, document, notes)
    except ValidationError as error:
        explained = explain(error, data, Config)
    problems = _in_order(
        document, (document.problem(path, text) for path, text in explained.items())
    )
    doubtful = frozenset(str(path[0]) if path else "data" for path in explained)
    if "data" in doubtful:
        raise ConfigError(*problems)
    placeholders = {key: value for key, value in _PLACEHOLDERS.items() if key in doubtful}
    valid = {key: value for key, value in data.items() if key not in doubtful}
    config = Config.model_validate({**valid, **placeholders})
    return LoadedConfig(config, file.parent, document, notes, tuple(problems), doubtful)


def _override(
    document: Document, override: str, read: ReadValue, source: str | None = None
) -> Document:
    """Return the document with one value set, of a section that is a name or left out as well.

    `optimizer.lr` is that of `optimizer: sgd`, and that of the default optimizer.
    """
    document = _with_sections_of(document, [override])
    return apply_override(document, override, read, source)


def _with_sections_of(document: Document, keys: Iterable[str]) -> Document:
    """Return the document with the sections of some keys as mappings, where they have a default."""
    if not isinstance(document.data, dict):
        return document
    sections = [key.partition(".")[0] for key in keys]
    defaults = {section: _DEFAULTS[section] for section in sections if section in _DEFAULTS}
    return Document({**defaults, **expand_names(document.data)}, document.places)


def change_config(base: LoadedConfig, changes: Mapping[str, Plain]) -> LoadedConfig:
    """Return a checked config with values changed, by the keys that `--set` would name.

    Shorter keys are set before longer ones that begin alike. ConfigError with every problem.
    """
    document = _with_sections_of(base.document, changes)
    for key, value in sorted(changes.items()):
        document = set_value(document, key, value, f"changed {key}")
    try:
        config = Config.model_validate(document.data)
    except ValidationError as error:
        explained = explain(error, document.data, Config)
        problems = (document.problem(path, text) for path, text in explained.items())
        raise ConfigError(*_in_order(document, problems)) from None
    return LoadedConfig(config, base.folder, document, base.notes)


def dump_config(config: Config) -> str:
    """Write a config as YAML that loads as an equal config, with every default spelled out."""
    return dump_yaml(config.model_dump(mode="json"))


def _in_order(document: Document, problems: Iterable[Problem]) -> list[Problem]:
    order = {place: index for index, place in enumerate(document.places.values())}
    return sorted(problems, key=lambda problem: order[problem.place])
