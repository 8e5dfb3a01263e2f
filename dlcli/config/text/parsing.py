"""YAML text → plain data, and the place of each value.

Only what a config needs: mappings, lists, text, numbers, true, false, null, by the rules of the
YAML 1.2 core schema (`1e-3` is a number, `yes` and `2024-01-01` are text). Tags, which could name
code, are rejected, and so are duplicate keys.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NoReturn

import yaml

from dlcli.errors import ConfigError, Place, Problem

KeyPath = tuple[str | int, ...]
Plain = None | bool | int | float | str | list["Plain"] | dict[str, "Plain"]

MAX_CHARACTERS = 250_000
MAX_NODES = 50_000
MAX_DEPTH = 50

_TOO_DEEP = f"nested deeper than {MAX_DEPTH} levels"
_TOO_MANY = f"more than {MAX_NODES:,} values, with aliases expanded"
_NULL = re.compile(r"~|null|Null|NULL|")
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?[0-9]{1,300}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INFINITY = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


@dataclass(frozen=True)
class Document:
    """Plain data, the place of each of its values, and what some were filled in for."""

    data: Plain
    places: dict[KeyPath, Place]
    references: dict[KeyPath, str] = field(default_factory=dict)  # `${env:NAME}`

    def place_of(self, path: KeyPath) -> Place:
        """Return the place of a value, or of the nearest value around it that has one."""
        while path not in self.places:
            path = path[:-1]
        return self.places[path]

    def problem(self, path: KeyPath, message: str) -> Problem:
        """Return a problem with a value."""
        origin = f", from {self.references[path]}" if path in self.references else ""
        return Problem(self.place_of(path), format_path(path), message + origin)


def format_path(path: KeyPath) -> str:
    """Write a path as `--set` reads it: `model.layers[0].units`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")


def parse_yaml(text: str, source: str) -> Document:
    """Read one YAML document; ConfigError with the place of what can't be read."""
    if len(text) > MAX_CHARACTERS:
        raise refusal(Place(source), f"longer than {MAX_CHARACTERS:,} characters")
    try:
        node = _Loader(text.removeprefix("\ufeff"), source).get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(source, mark.line + 1, mark.column + 1) if mark else Place(source)
        reason = error.problem or ""
        if not reason or reason.startswith("but "):  # the second half of a sentence
            reason = f"{error.context} {reason}".strip()
        if mark and "${" in text.split("\n")[mark.line]:
            reason += "; within {…} or […], put quotes around ${…}"
        raise refusal(place, f"not YAML: {reason}") from None
    except yaml.YAMLError as error:
        raise refusal(Place(source), f"not YAML: {error}") from None
    if node is None:
        return Document(None, {(): Place(source)})
    reader = _Reader(source)
    return Document(reader.read(node, ()), reader.places)


def parse_value(text: str, source: str) -> Plain:
    """Read a value that stands alone; ConfigError where it is not YAML, or has a comment."""
    data = parse_yaml(text, source).data
    if "#" in text:
        node = yaml.compose(text, yaml.BaseLoader)
        rest = text[node.end_mark.index if node is not None else 0 :].strip()
        if rest.startswith("#"):
            message = f"{rest!r} would be a comment: leave it out, or put the value in quotes"
            raise refusal(Place(source), message)
    return data


def reads_as_text(text: str) -> bool:
    """Say whether text without quotes is read as text, not as a number, boolean or null."""
    try:
        return isinstance(_scalar(text, Place("")), str)
    except ConfigError:
        return False


def refusal(place: Place, message: str) -> ConfigError:
    """Return the error for a place."""
    return ConfigError(Problem(place, "", message))


class _Loader(yaml.BaseLoader):
    """PyYAML's loader, which is slow and recursive, with limits on nodes and depth."""

    def __init__(self, text: str, source: str) -> None:
        super().__init__(text)
        self._source = source
        self._num_nodes = self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self._num_nodes += 1
        self._depth += 1
        if self._depth > MAX_DEPTH + 1:
            self._refuse(_TOO_DEEP)
        if self._num_nodes > MAX_NODES:
            self._refuse(_TOO_MANY)
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def _refuse(self, problem: str) -> NoReturn:
        mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
        raise refusal(Place(self._source, mark.line + 1, mark.column + 1), problem)


class _Reader:
    """Turns composed nodes into plain data and collects places, within the limits."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.places: dict[KeyPath, Place] = {}

    def read(self, node: yaml.Node, path: KeyPath) -> Plain:
        place = self._place(node)
        if len(path) > MAX_DEPTH:
            raise refusal(place, _TOO_DEEP)
        if len(self.places) >= MAX_NODES:
            raise refusal(place, _TOO_MANY)
        self.places[path] = place
        match node:
            case yaml.SequenceNode(tag="tag:yaml.org,2002:seq"):
                return [self.read(item, (*path, index)) for index, item in enumerate(node.value)]
            case yaml.MappingNode(tag="tag:yaml.org,2002:map"):
                return dict(self._items(node, path))
            case yaml.ScalarNode(tag="tag:yaml.org,2002:str"):
                return _scalar(node.value, place) if node.style is None else str(node.value)
            case _:
                raise refusal(place, f"tags such as {node.tag} are not allowed")

    def _items(self, node: yaml.MappingNode, path: KeyPath) -> Iterator[tuple[str, Plain]]:
        first: dict[str, Place] = {}
        for key_node, value_node in node.value:
            place = self._place(key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                raise refusal(place, "a key must be text")
            key = str(key_node.value)
            if key in first:
                raise refusal(place, f"duplicate key '{key}', already given at {first[key]}")
            first[key] = place
            yield key, self.read(value_node, (*path, key))
            self.places[(*path, key)] = place

    def _place(self, node: yaml.Node) -> Place:
        return Place(self.source, node.start_mark.line + 1, node.start_mark.column + 1)


def _scalar(text: str, place: Place) -> Plain:
    if _NULL.fullmatch(text):
        return None
    if text in _BOOL:
        return _BOOL[text]
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text) and math.isfinite(float(text)):
        return float(text)
    if _FLOAT.fullmatch(text) or _INFINITY.fullmatch(text):
        raise refusal(place, f"{text[:40]} is not a finite number")
    return text
