"""Validation errors of a config as messages that say what to write instead."""

import textwrap
from collections import defaultdict
from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from dlcli.config.text.parsing import KeyPath, Plain
from dlcli.errors import suggest
from dlcli.section import type_of

# Names of settings in Keras and other libraries, and their names here.
_OTHER_NAMES = {
    "learning_rate": "lr",
    "neurons": "units",
    "filters": "out_channels",
    "p": "rate",
    "beta1": "betas",
    "max_epochs": "epochs",
}
_BOUNDS = ("ge", "gt", "le", "lt")


def explain(error: ValidationError, data: Plain, model: type[BaseModel]) -> dict[KeyPath, str]:
    """Return one message for each path of the data that pydantic rejected, in its order."""
    messages: dict[KeyPath, list[str]] = defaultdict(list)
    for detail in error.errors(include_url=False):
        if detail["type"] == "too_short" and len(detail["input"]) >= detail["ctx"]["min_length"]:
            continue  # not short: some of its items were rejected, each with its message
        path = _path_in(data, detail["loc"], missing=detail["type"] == "missing")
        message = _message(detail, model)
        if message not in messages[path]:
            messages[path].append(message)
    return {path: _join(found) for path, found in messages.items()}


def _path_in(data: Plain, location: tuple[str | int, ...], *, missing: bool) -> KeyPath:
    """Drop what pydantic adds to a location: the names of a union's members."""
    path: list[str | int] = []
    for step in location:
        if isinstance(data, dict) and step in data:
            data = data[str(step)]
        elif isinstance(data, list) and isinstance(step, int) and step < len(data):
            data = data[step]
        else:
            continue
        path.append(step)
    return (*path, location[-1]) if missing else tuple(path)


def _join(messages: list[str]) -> str:
    """Join the messages of a union: `must be A` and `must be B` → `must be A or B`."""
    if len(messages) == 1:
        return messages[0]
    wanted = [message.partition(", not ") for message in messages]
    given = wanted[0][2]
    options = " or ".join(want.removeprefix("must ").removeprefix("be ") for want, _, _ in wanted)
    return f"must be {options}" + (f", not {given}" if given else "")


def _message(detail: ErrorDetails, model: type[BaseModel]) -> str:
    context = detail.get("ctx", {})
    bound = next((f"{context[key]:,}".removesuffix(".0") for key in _BOUNDS if key in context), "")
    given = _brief(detail["input"])
    match detail["type"]:
        case "missing":
            return "is required"
        case "extra_forbidden":
            return _unknown_key(model, detail["loc"][:-1], str(detail["loc"][-1]))
        case "int_type" | "int_from_float" | "int_parsing":
            return f"must be a whole number, not {given}"
        case "float_type" | "finite_number":
            return f"must be a number, not {given}"
        case "string_type":
            return f"must be text, not {given}" + _quote_hint(detail["input"])
        case "bool_type":
            return f"must be true or false, not {given}"
        case "model_type" | "dict_type" | "model_attributes_type":
            return f"must be a mapping, not {given}"
        case "tuple_type" | "list_type":
            return f"must be a list, not {given}"
        case "greater_than_equal":
            return f"must be at least {bound}, not {given}"
        case "greater_than":
            return f"must be above {bound}, not {given}"
        case "less_than_equal":
            return f"must be at most {bound}, not {given}"
        case "less_than":
            return f"must be below {bound}, not {given}"
        case "literal_error":
            hint = suggest(str(detail["input"]), context["expected"].replace("'", "").split(", "))
            return f"must be {context['expected']}, not {given}{hint}"
        case "union_tag_invalid":
            tags = context["expected_tags"].replace("'", "").split(", ")
            hint = suggest(str(context["tag"]), tags)
            return f"unknown type '{context['tag']}'{hint or ''}; known: {', '.join(tags)}"
        case "union_tag_not_found":
            return "needs a `type`, as in {type: …}"
        case "too_short":
            return f"must have at least {context['min_length']}, not {given}"
        case "string_too_short":
            return "must not be empty"
        case "too_long":
            return f"must have at most {context['max_length']}, not {given}"
        case "string_pattern_mismatch":
            wanted = _description(model, detail["loc"]).partition(";")[0]
            return f"must be {wanted}, not {given}"
        case "value_error":
            return str(context["error"])
        case _:
            return f"{detail['msg']}, not {given}"


def _brief(value: object) -> str:
    """Write a value as YAML has it, cut where it is long."""
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case _:
            return textwrap.shorten(repr(value), 60, placeholder="…")


def _quote_hint(value: object) -> str:
    return f": put it in quotes, '{value}'" if isinstance(value, int | float) else ""


def _unknown_key(model: type[BaseModel], location: tuple[str | int, ...], name: str) -> str:
    """Suggest the key that is meant, or the section that has a key of this name."""
    sections = _sections_at(model, location)
    known = sorted({key for section in sections for key in section.model_fields})
    if hint := suggest(_OTHER_NAMES.get(name, name), known):
        return f"unknown key{hint}"
    section_type = type_of(sections[0]) if len(sections) == 1 else None
    homes = dict.fromkeys(_homes(model, name, ""))
    path = ".".join(
        str(step) for step in location if isinstance(step, str) and step != section_type
    )
    siblings = [tag for home, tag in homes if tag and section_type and home == path]
    if siblings:
        return f"{section_type} has no '{name}'; it is a setting of {', '.join(siblings)}"
    elsewhere = list(dict.fromkeys(home for home, _ in homes))
    if elsewhere:
        return f"unknown key here; it belongs to {' or '.join(elsewhere[:3])}"
    return f"unknown key; known: {', '.join(known)}"


def _description(model: type[BaseModel], location: tuple[str | int, ...]) -> str:
    """Return the description of the field at a pydantic location."""
    name = str(location[-1])
    sections = _sections_at(model, location[:-1])
    fields = [section.model_fields[name] for section in sections if name in section.model_fields]
    return fields[0].description or "" if fields else ""


def _homes(
    model: type[BaseModel], name: str, path: str, seen: tuple[type[BaseModel], ...] = ()
) -> Iterator[tuple[str, str | None]]:
    """Yield the path of every section that knows a key, with its type where it has several."""
    if model in seen:
        return
    if name in model.model_fields:
        yield path or "the top level", type_of(model)
    for key, field in model.model_fields.items():
        for section in _models_in(field.annotation):
            yield from _homes(section, name, f"{path}.{key}".lstrip("."), (*seen, model))


def _sections_at(model: type[BaseModel], location: tuple[str | int, ...]) -> list[type[BaseModel]]:
    """Return the section at a pydantic location; several where its type is open."""
    models = [model]
    for step in location:
        options = [
            option
            for held in models
            for option in (
                _models_in(held.model_fields[str(step)].annotation)
                if step in held.model_fields
                else [held]  # an index, or the name of a union's member
            )
        ]
        tagged = [option for option in options if type_of(option) == step]
        models = tagged or options
    return models


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in (Union, UnionType, Annotated, tuple):
        for part in get_args(annotation):
            yield from _models_in(part)
