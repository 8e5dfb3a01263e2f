"""What tests of every family of parts share: settings to try, and where each part is described."""

from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

from dlcli.config.reference import reference_page
from dlcli.config.schema import json_schema
from dlcli.section import Section, type_of

Settings = dict[str, Any]
_REQUIRED = {int: 2, float: 0.5}  # what a setting without a default is given


def samples_of(
    members: Iterable[type[Section]], more: dict[str, list[Settings]]
) -> dict[str, Settings]:
    """Return settings by a name: each member's defaults, its switches, and those of `more`."""
    found = {}
    for member in members:
        kind = type_of(member)
        fields = {name: field for name, field in member.model_fields.items() if name != "type"}
        needed = {
            name: _REQUIRED[int if "int" in str(field.annotation) else float]
            for name, field in fields.items()
            if field.is_required()
        }
        switches = [{name: True} for name, field in fields.items() if field.annotation is bool]
        for settings in ({}, *switches, *more.get(kind, [])):
            spec = {"type": kind, **needed, **settings}
            try:
                member.model_validate(spec)
            except ValidationError:  # a switch that does nothing by itself
                continue
            found["-".join([kind, *(f"{key}={value}" for key, value in settings.items())])] = spec
    return found


def check_is_described(member: type[Section], key: str) -> None:
    """Check that the schema and the reference page know a member and all of its settings."""
    schema = json_schema()
    names, sections = schema["properties"][key]["anyOf"]
    references = [part["$ref"].rpartition("/")[2] for part in sections["oneOf"]]
    definitions = [schema["$defs"][name] for name in references]
    found = next(
        definition
        for definition in definitions
        if definition["properties"]["type"]["const"] == type_of(member)
    )
    assert found["properties"].keys() == member.model_fields.keys()
    is_complete = not any(
        field.is_required() for name, field in member.model_fields.items() if name != "type"
    )
    assert (type_of(member) in names["enum"]) == is_complete
    section = reference_page().partition(f"### `{type_of(member)}`\n")[2].partition("###")[0]
    assert (member.__doc__ or "nothing").strip() in section
    for name, field in member.model_fields.items():
        if name != "type":
            assert f"| `{name}` |" in section
            assert found["properties"][name]["description"] in section
            assert field.is_required() == ("| required |" in _row(section, name))


def _row(section: str, name: str) -> str:
    return next(line for line in section.splitlines() if line.startswith(f"| `{name}` |"))
