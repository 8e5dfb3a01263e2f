"""A config file and its overrides → a checked `Config`, or every problem at once."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath

import yaml
from pydantic import ValidationError

from dlcli.config.config import Config, expand_names
from dlcli.config.overrides import apply_override
from dlcli.config.parsing import Document, Path, parse_yaml
from dlcli.config.problems import explain, format_path
from dlcli.errors import ConfigError


@dataclass(frozen=True)
class LoadedConfig:
    """A checked config, the folder its paths start from, and where its values stand."""

    config: Config
    folder: FilePath
    document: Document

    def error(self, path: Path, message: str) -> ConfigError:
        """Return the error for a value of this config that turns out not to fit."""
        return ConfigError(_describe(self.document, path, message))


def load_config(file: FilePath, overrides: Sequence[str] = ()) -> LoadedConfig:
    """Read and check a config.

    Raises ConfigError with a line for each problem, in the order of the file.
    """
    try:
        text = file.read_bytes().decode("utf-8")
    except OSError as error:
        raise ConfigError(f"{file}: cannot read this config: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: not UTF-8 text, from byte {error.start} on") from None
    document = parse_yaml(text, str(file))
    if isinstance(document.data, dict):
        stem = re.sub(r"[^A-Za-z0-9._-]", "-", file.stem).lstrip(".") or "run"
        document = Document(expand_names({"name": stem, **document.data}), document.places)
    for override in overrides:
        document = apply_override(document, override)
    return LoadedConfig(_check(document), file.parent, document)


def dump_config(config: Config) -> str:
    """Write a config as YAML that loads to an equal one, every default spelled out."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _check(document: Document) -> Config:
    data = document.data
    if not isinstance(data, dict):
        raise ConfigError(f"{document.places[()]}: a config is a mapping, with `data` and `model`")
    try:
        return Config.model_validate(data)
    except ValidationError as error:
        problems = explain(error, data, Config)
    order = {path: index for index, path in enumerate(document.places)}
    located = sorted(problems.items(), key=lambda item: order[_standing(document, item[0])])
    raise ConfigError("\n".join(_describe(document, path, text) for path, text in located))


def _standing(document: Document, path: Path) -> Path:
    """Return the path itself, or the nearest one above it that stands in the document."""
    while path not in document.places:
        path = path[:-1]
    return path


def _describe(document: Document, path: Path, message: str) -> str:
    place, name = document.places[_standing(document, path)], format_path(path)
    return f"{place}: {name + ': ' if name else ''}{message}"
