"""`base: other.yaml`: a config that extends another.

The rules: mappings are merged key by key; anything else, lists too, replaces what the base says; so
does a mapping whose `type` differs from the base's. Paths in a base start from the base's folder.
"""

import os
from pathlib import Path as FilePath

from dlcli.config.config import expand_names
from dlcli.config.text.environment import expand_environment
from dlcli.config.text.parsing import Document, Path, Plain, parse_yaml, refusal
from dlcli.errors import Place

_PATHS: tuple[Path, ...] = (("data", "path"), ("data", "validation_path"), ("data", "test_path"))


def read_with_bases(
    file: FilePath, children: tuple[FilePath, ...] = ()
) -> tuple[Document, tuple[str, ...]]:
    """Read a config and what it extends, with notes on what came from the environment.

    ConfigError with the place of what can't be read.
    """
    document = parse_yaml(_read_text(file), str(file))
    if not isinstance(document.data, dict):
        return document, ()
    data: dict[str, Plain] = expand_names(document.data)
    if "base" not in data:
        return Document(data, document.places), ()
    place = document.places["base",]
    expanded, notes = expand_environment(Document({"base": data["base"]}, document.places))
    assert isinstance(expanded.data, dict)
    named = expanded.data["base"]
    if not isinstance(named, str):
        raise refusal(place, "base: must be the path of another config")
    base_file = file.parent / named
    family = (*children, file)
    if base_file.resolve() in [member.resolve() for member in family]:
        circle = " → ".join(map(str, (*family, base_file)))
        raise refusal(place, f"base: a config can't extend itself: {circle}")
    if not base_file.is_file():
        raise refusal(place, f"base: there is no file {base_file}")
    read, more_notes = read_with_bases(base_file, family)
    base = _moved(read, base_file.parent, file.parent)
    if not isinstance(base.data, dict):
        raise refusal(place, f"base: {base_file} holds no mapping")
    own: dict[str, Plain] = {key: value for key, value in data.items() if key != "base"}
    places = {path: at for path, at in document.places.items() if path != ("base",)}
    return _merged(base, Document(own, places)), (*notes, *more_notes)


def _read_text(file: FilePath) -> str:
    try:
        return file.read_bytes().decode("utf-8")
    except OSError as error:
        raise refusal(Place(str(file)), f"cannot read this config: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise refusal(Place(str(file)), f"not UTF-8 text, from byte {error.start} on") from None


def _moved(document: Document, source: FilePath, destination: FilePath) -> Document:
    """Return the same config with its data's paths starting from another folder."""
    data = document.data
    section = data.get("data") if isinstance(data, dict) else None
    if source == destination or not isinstance(data, dict) or not isinstance(section, dict):
        return document
    moved: dict[str, Plain] = {}
    for _, key in _PATHS:
        path = section.get(str(key))
        if isinstance(path, str) and not FilePath(path).is_absolute():
            moved[str(key)] = os.path.relpath(source.resolve() / path, destination.resolve())
    return Document({**data, "data": {**section, **moved}}, document.places)


def _merged(base: Document, own: Document) -> Document:
    data, kept = _merge(base.data, own.data, ())
    places = {path: at for path, at in base.places.items() if _is_kept(path, kept)}
    return Document(data, {**places, **own.places})


def _merge(base: Plain, own: Plain, path: Path) -> tuple[Plain, set[Path]]:
    """Return the merged data, and the paths of the base that were replaced."""
    if (
        not isinstance(base, dict)
        or not isinstance(own, dict)
        or ("type" in own and own["type"] != base.get("type"))
    ):
        return own, {path}
    merged: dict[str, Plain] = dict(base)
    replaced: set[Path] = set()
    for key, value in own.items():
        if key in base:
            merged[key], inside = _merge(base[key], value, (*path, key))
            replaced |= inside
        else:
            merged[key] = value
    return merged, replaced


def _is_kept(path: Path, replaced: set[Path]) -> bool:
    return not any(path[: len(gone)] == gone for gone in replaced)
