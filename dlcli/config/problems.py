"""Validation errors of a config as messages that say what to write instead."""

import textwrap
from collections import defaultdict

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from dlcli.config.model_tree import sections_at
from dlcli.config.text.parsing import KeyPath, Plain
from dlcli.config.unknown_keys import explain_unknown_key
from dlcli.errors import suggest

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
            return explain_unknown_key(model, detail["loc"][:-1], str(detail["loc"][-1]))
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
            return f"must be a list, not {given}" + _list_hint(detail["input"])
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
    return ": put what stands there in quotes" if isinstance(value, int | float) else ""


def _list_hint(value: object) -> str:
    return f": write [{value}]" if isinstance(value, str | int | float) else ""


def _description(model: type[BaseModel], location: tuple[str | int, ...]) -> str:
    """Return the description of the field at a pydantic location."""
    name = str(location[-1])
    sections = sections_at(model, location[:-1])
    fields = [section.model_fields[name] for section in sections if name in section.model_fields]
    return fields[0].description or "" if fields else ""
