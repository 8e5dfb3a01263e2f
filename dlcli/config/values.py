"""A value as it is typed, or as an environment variable has it → what its key takes it for."""

from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from dlcli.config.text.parsing import KeyPath, Plain, parse_value
from dlcli.errors import ConfigError

_FLOW = ("[", "{")  # what a list and a mapping begin with


def read_value(model: type[BaseModel], path: KeyPath, text: str, source: str) -> Plain:
    """Return what a text means as the value at a path of a section.

    Where text may stand, it is that text, whole: `score #2`, `001`, `,`; but for what else may
    stand there (true, 64, [a, b], null) and for text in quotes. All other values are read as YAML,
    with ConfigError where they can't be.
    """
    types = {*_types_at(model, path)}
    if str not in types:
        return parse_value(text, source)
    try:
        value = parse_value(text, source)
    except ConfigError:
        if text.startswith(_FLOW) and types & {tuple, list, dict}:
            raise
        return text
    if isinstance(value, str):
        is_quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
        return value if is_quoted else text
    if value is None:
        return None if NoneType in types else text
    return value if types & _types_of(value) else text


def _types_of(value: Plain) -> set[type]:
    """Return the types of fields that take a value."""
    match value:
        case bool():
            return {bool}
        case int() | float():
            return {int, float}
        case list():
            return {tuple, list}
        case _:
            return {dict}


def _types_at(annotation: Any, path: KeyPath) -> Iterator[type]:  # noqa: ANN401 - any annotation
    """Yield the types of what may stand at a path below something of an annotation."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        yield from _types_at(parts[0], path)
    elif origin in (Union, UnionType):
        for part in parts:
            yield from _types_at(part, path)
    elif not path:
        yield from map(type, parts) if origin is Literal else [origin or annotation]
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if str(path[0]) in annotation.model_fields:
            yield from _types_at(annotation.model_fields[str(path[0])].annotation, path[1:])
    elif origin in (tuple, list, dict):
        yield from _types_at(parts[1 if origin is dict else 0], path[1:])
