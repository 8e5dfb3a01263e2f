"""`base: other.yaml`: a config that extends another.

Mappings are merged key by key; anything else, lists included, replaces the base's value, and so
does a mapping whose `type` differs from the base's. Paths in a base are relative to its folder.
"""

import shlex
from contextlib import suppress
from pathlib import Path

from dlcli.config.config import expand_names
from dlcli.config.text.environment import expand_environment
from dlcli.config.text.parsing import Document, KeyPath, Plain, parse_yaml, refusal
from dlcli.config.text.paths import expand_path, with_paths
from dlcli.errors import ConfigError, Place
from dlcli.tables.formats.family import suffix_of
from dlcli.tables.sources import moved


def read_with_bases(
    file: Path, children: tuple[Path, ...] = ()
) -> tuple[Document, tuple[str, ...]]:
    """Read a config merged with its bases, and notes on environment variables used in `base`.

    ConfigError, with its place, for what can't be read.
    """
    document = parse_yaml(_read_text(file), str(file))
    if not isinstance(document.data, dict):
        return document, ()
    data: dict[str, Plain] = expand_names(document.data)
    if "base" not in data:
        return Document(data, document.places), ()
    place = document.places["base",]
    named_base = Document({"base": data["base"]}, document.places)
    expanded, notes = expand_environment(named_base, lambda _path, text, _source: text)
    assert isinstance(expanded.data, dict)
    named = expanded.data["base"]
    if not isinstance(named, str):
        raise refusal(place, "base: must be the path of another config")
    try:
        base_file = file.parent / expand_path(named, file.parent)
    except ConfigError as error:
        raise refusal(place, f"base: {error}") from None
    chain = (*children, file)
    if base_file.resolve() in [link.resolve() for link in chain]:
        circle = " → ".join(map(str, (*chain, base_file)))
        raise refusal(place, f"base: a config can't extend itself: {circle}")
    if not base_file.is_file():
        raise refusal(place, f"base: file not found: {base_file}")
    read, more_notes = read_with_bases(base_file, chain)
    base = _moved(read, base_file.parent, file.parent)
    if not isinstance(base.data, dict):
        raise refusal(place, f"base: {base_file} is not a mapping")
    extension: dict[str, Plain] = {key: value for key, value in data.items() if key != "base"}
    places = {path: at for path, at in document.places.items() if path != ("base",)}
    return _merged(base, Document(extension, places)), (*notes, *more_notes)


def _read_text(file: Path) -> str:
    if suffix_of(file.name) and file.is_file():
        advice = (
            f"make one with: dlcli init {shlex.quote(str(file))} --target COLUMN -o config.yaml"
        )
        raise refusal(Place(str(file)), f"a table, not a config; {advice}")
    try:
        return file.read_bytes().decode("utf-8")
    except OSError as error:
        raise refusal(Place(str(file)), f"cannot read this config: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise refusal(Place(str(file)), f"not UTF-8 text, from byte {error.start} on") from None


def _moved(document: Document, source: Path, destination: Path) -> Document:
    """Return the same config with its paths relative to another folder."""
    if source == destination:
        return document
    changed = with_paths(document.data, lambda value, _: _moved_path(value, source, destination))
    return Document(changed, document.places)


def _moved_path(value: Plain, source: Path, destination: Path) -> Plain:
    """Return a path, or a list of them, relative to another folder; anything else as it is."""
    if isinstance(value, list):
        return [_moved_path(one, source, destination) for one in value]
    if not isinstance(value, str):
        return value
    with suppress(ConfigError):  # refused later, unless the extension replaces it
        value = expand_path(value, source)
    return str(moved(value, source, destination))


def _merged(base: Document, extension: Document) -> Document:
    data, replaced = _merge(base.data, extension.data, ())
    places = {path: at for path, at in base.places.items() if _is_kept(path, replaced)}
    return Document(data, {**places, **extension.places})


def _merge(base: Plain, extension: Plain, path: KeyPath) -> tuple[Plain, set[KeyPath]]:
    """Return the merged data, and the paths of the base that were replaced."""
    if (
        not isinstance(base, dict)
        or not isinstance(extension, dict)
        or ("type" in extension and extension["type"] != base.get("type"))
    ):
        return extension, {path}
    merged: dict[str, Plain] = dict(base)
    replaced: set[KeyPath] = set()
    for key, value in extension.items():
        if key in base:
            merged[key], inside = _merge(base[key], value, (*path, key))
            replaced |= inside
        else:
            merged[key] = value
    return merged, replaced


def _is_kept(path: KeyPath, replaced: set[KeyPath]) -> bool:
    return not any(path[: len(prefix)] == prefix for prefix in replaced)
