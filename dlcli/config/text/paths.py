"""`~`, `$NAME` and `${NAME}` in paths mean what they mean in a shell.

Only text that no shell has seen holds them: a config, an option in quotes or behind `=`, the
command of a service or a container.
"""

import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from dlcli.config.text.parsing import Document, KeyPath, Plain, format_path
from dlcli.errors import ConfigError, Problem

PATHS: tuple[tuple[str, str], ...] = (
    ("data", "path"),
    ("data", "validation_path"),
    ("data", "test_path"),
    ("model", "start_from"),
)  # the keys of a config that hold paths, beside `base`
_WEIGHTS, _NO_FILES = "weights", ("none", "pretrained")  # of a layer
_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))")


def expand_path(text: str, folder: Path) -> str:
    """Return a path with its `~` and its variables replaced; addresses stay as they are.

    So does a path that exists as it is written, relative to a folder. ConfigError where a variable
    is not set, nothing is left of the path, or there is no such home folder.
    """
    is_plain = "$" not in text and not text.startswith("~")
    if is_plain or "://" in text or os.path.lexists(folder / text):
        return text
    start, slash, rest = text.partition("/")
    if start.startswith("~"):
        try:
            home = Path(start).expanduser()
        except RuntimeError:
            raise ConfigError(
                f"{text}: there is no home folder {start}; write the path from / on"
            ) from None
        # Variables are looked for in what follows only, as a shell does.
        return f"{home}{slash}{_expand_variables(rest, text)}"
    path = _expand_variables(text, text)
    if not path:
        raise ConfigError(f"{text}: this variable is empty; set it to a path")
    return path


def _expand_variables(text: str, whole: str) -> str:
    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if (found := os.environ.get(name)) is None:
            raise ConfigError(
                f"{whole}: environment variable {name} is not set; set it, or write the path "
                "without it"
            )
        return found

    return _VARIABLE.sub(value, text)


def expand_paths(document: Document, folder: Path) -> tuple[Document, tuple[str, ...]]:
    """Return a config whose paths are expanded, and a note on each one that changed.

    ConfigError for every path that can't be.
    """
    notes: list[str] = []
    problems: list[Problem] = []

    def expand(value: Plain, path: KeyPath) -> Plain:
        if isinstance(value, list):
            return [expand(item, (*path, index)) for index, item in enumerate(value)]
        if not isinstance(value, str):
            return value
        try:
            found = expand_path(value, folder)
        except ConfigError as error:
            problems.append(document.problem(path, str(error)))
            return value
        if found != value:
            notes.append(f"{format_path(path)}: {found!r}, from {value}")
        return found

    changed = replace(document, data=with_paths(document.data, expand))
    if problems:
        raise ConfigError(*problems)
    return changed, tuple(notes)


def with_paths(data: Plain, change: Callable[[Plain, KeyPath], Plain]) -> Plain:
    """Return a config's data with what its paths are changed to; anything else as it is."""
    if not isinstance(data, dict):
        return data
    changed = dict(data)
    for name, key in PATHS:
        section = changed.get(name)
        if isinstance(section, dict) and key in section:
            changed[name] = {**section, key: change(section[key], (name, key))}
    if isinstance(model := changed.get("model"), dict):
        model = {**model, **_with_weights(model, ("model",), change)}
        if isinstance(inputs := model.get("inputs"), dict):
            model["inputs"] = {
                name: {**section, **_with_weights(section, ("model", "inputs", name), change)}
                if isinstance(section, dict)
                else section
                for name, section in inputs.items()
            }
        changed["model"] = model
    return changed


def _with_weights(
    section: dict[str, Plain], path: KeyPath, change: Callable[[Plain, KeyPath], Plain]
) -> dict[str, Plain]:
    """Return the layers of a section with the files of their weights changed; none: nothing."""
    layers = section.get("layers")
    if not isinstance(layers, list):
        return {}
    found: list[Plain] = []
    for index, layer in enumerate(layers):
        if isinstance(layer, dict) and layer.get(_WEIGHTS, "none") not in _NO_FILES:
            changed = change(layer[_WEIGHTS], (*path, "layers", index, _WEIGHTS))
            found.append({**layer, _WEIGHTS: changed})
        else:
            found.append(layer)
    return {"layers": found}
