"""`--set model.layers[0].units=64`: one value of the config, replaced or added."""

import re
from collections.abc import Callable

from dlcli.config.text.parsing import Document, KeyPath, Plain, refusal
from dlcli.errors import Place
from dlcli.tables.databases.address import without_password

# From the path of a key, what was typed as its value, and its source to the value.
ReadValue = Callable[[KeyPath, str, str], Plain]

_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")
_KEY = re.compile(r"[^.\[\]]+(\.[^.\[\]]+|\[\d+\])*")


def apply_override(
    document: Document, override: str, read: ReadValue, source: str | None = None
) -> Document:
    """Return the document with one value set; ConfigError if the key leads nowhere.

    `source` is what the user wrote, if that was another option than --set.
    """
    source = source or f"--set {without_password(override)}"
    key, equals, text = override.partition("=")
    if not equals or not _KEY.fullmatch(key):
        raise refusal(Place(source), "write KEY=VALUE, as in --set model.layers[0].units=64")
    return set_value(document, key, read(_path(key), text, source), source)


def set_value(document: Document, key: str, value: Plain, source: str) -> Document:
    """Return the document with a value under a key as `--set` names it, such as `optimizer.lr`.

    `source` is where messages say that the value stands. ConfigError where the key leads nowhere.
    """
    path = _path(key)
    data = _with_value(document.data, path, value, source)
    kept = {at: place for at, place in document.places.items() if at[: len(path)] != path}
    made = {path[:end]: Place(source) for end in range(1, len(path)) if path[:end] not in kept}
    return Document(data, {**kept, **made, path: Place(source)})


def _path(key: str) -> KeyPath:
    return tuple(name or int(index) for name, index in _STEP.findall(key))


def _with_value(data: Plain, path: KeyPath, value: Plain, source: str) -> Plain:
    """Return a copy of `data` with `value` at `path`; mappings on the way are made."""
    if not path:
        return value
    step, rest = path[0], path[1:]
    if isinstance(step, int):
        if not isinstance(data, list) or step >= len(data):
            held = f"a list of {len(data)}" if isinstance(data, list) else "not a list"
            raise refusal(Place(source), f"there is no item [{step}]: the value is {held}")
        return [
            _with_value(item, rest, value, source) if index == step else item
            for index, item in enumerate(data)
        ]
    if data is not None and not isinstance(data, dict):
        raise refusal(Place(source), f"can't set '{step}': the value there is not a mapping")
    held_before = data or {}
    return {**held_before, step: _with_value(held_before.get(step), rest, value, source)}
