"""Plain data → YAML that is read back as the same data."""

import math
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from dlcli.config.text.environment import escape_references
from dlcli.config.text.parsing import KeyPath, reads_as_text

_WIDTH = 100


def dump_yaml(data: Any) -> str:  # noqa: ANN401 - whatever YAML holds
    """Write data in block style."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def dump_commented(data: Mapping[str, Any], comments: Mapping[KeyPath, str]) -> str:
    """Write a mapping with a comment above each path that has one.

    A mapping or list with a comment inside is written in block style, any other on one line.
    """
    return "\n".join(_mapping(data, (), comments)) + "\n"


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:  # noqa: ANN401, ARG002 - PyYAML's signature
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    """Quote also what only our parser would read as something else, such as 1e3."""
    text = escape_references(text)
    style = None if reads_as_text(text) and text.isprintable() else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def _mapping(
    data: Mapping[str, Any], path: KeyPath, comments: Mapping[KeyPath, str]
) -> Iterator[str]:
    for key, value in data.items():
        yield from _entry(f"{write_on_one_line(key)}:", value, (*path, key), comments)


def _list(items: list[Any], path: KeyPath, comments: Mapping[KeyPath, str]) -> Iterator[str]:
    for index, item in enumerate(items):
        yield from _entry("-", item, (*path, index), comments)


def _entry(start: str, value: Any, path: KeyPath, comments: Mapping[KeyPath, str]) -> Iterator[str]:  # noqa: ANN401
    """Yield a key or a dash with its value, indented as deep as its path is long."""
    indent = "  " * (len(path) - 1)
    if path in comments:
        yield from _comment(comments[path], indent)
    has_inner = any(len(other) > len(path) and other[: len(path)] == path for other in comments)
    if has_inner and isinstance(value, dict):
        yield indent + start
        yield from _mapping(value, path, comments)
    elif has_inner and isinstance(value, list):
        yield indent + start
        yield from _list(value, path, comments)
    elif isinstance(value, list) and all(isinstance(item, str) for item in value):
        yield from _texts(
            f"{indent}{start} [", [write_on_one_line(item) for item in value], indent + "  "
        )
    else:
        yield f"{indent}{start} {write_on_one_line(value)}"


def _comment(text: str, indent: str) -> Iterator[str]:
    """Yield comment lines; unprintable characters can't end a line early."""
    for line in text.split("\n"):
        shown = "".join(character if character.isprintable() else " " for character in line)
        start = f"{indent}# "
        yield from textwrap.wrap(shown, _WIDTH, initial_indent=start, subsequent_indent=start)


def _texts(line: str, items: list[str], indent: str) -> Iterator[str]:
    """Yield a list of texts, wrapped over several lines."""
    for index, item in enumerate(items):
        last = index == len(items) - 1
        word = item + ("]" if last else ", ")
        if len(line) + len(word) > _WIDTH and not line.endswith("["):
            yield line.rstrip()
            line = indent
        line += word
    yield line


def write_on_one_line(value: Any) -> str:  # noqa: ANN401
    """Write a value on one line."""
    text: str = yaml.dump(
        [value],
        Dumper=_Dumper,
        default_flow_style=True,
        sort_keys=False,
        allow_unicode=True,
        width=math.inf,
    )
    return text.strip()[1:-1]
