"""The JSON Schema of configs, draft 2020-12, for editors and other programs."""

from typing import Any

from dlcli.config.config import SHORT_SECTIONS, Config
from dlcli.optimizers import PRESETS

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_BASE = {
    "type": "string",
    "default": None,
    "description": "config that this one extends: mappings are merged, other values replaced",
}


def json_schema() -> dict[str, Any]:
    """Return the schema of a config file, before defaults are filled in."""
    schema = Config.model_json_schema()
    schema["properties"] = {"base": _BASE, **schema["properties"]}
    needed = schema.pop("required")
    needed.remove("name")  # it defaults to the file's stem
    schema["anyOf"] = [{"required": needed}, {"required": ["base"]}]  # a base may have them
    of_head = schema["$defs"]["OutputConfig"]["properties"]
    for properties, key in (
        *((schema["properties"], key) for key in SHORT_SECTIONS),
        (of_head, "loss"),
    ):
        section = properties[key]
        about = {name: section.pop(name) for name in ("default", "description") if name in section}
        names = _types_in(section, schema["$defs"])
        short = {"enum": names, "description": "short for {type: …}, with its defaults"}
        properties[key] = {"anyOf": [short, section], **about}
    of_data = schema["$defs"]["DataConfig"]
    needed = [key for key in of_data.pop("required") if key != "target"]
    # A forecast's targets are in `window`.
    of_data["anyOf"] = [{"required": [*needed, key]} for key in ("target", "window")]
    of_folds = schema["$defs"]["FoldsConfig"]["properties"]["folds"]
    schema["properties"]["folds"]["anyOf"].insert(0, {**of_folds, "description": "so many folds"})
    _put_names_beside_settings(schema["$defs"])
    for definition in schema["$defs"].values():
        if "type" in definition["properties"]:
            definition["properties"]["type"]["description"] = definition["description"]
    return {"$schema": DIALECT, **_without_titles(schema), "title": "A dlcli config"}


def _put_names_beside_settings(definitions: dict[str, Any]) -> None:
    """Describe candidates as a file writes them: a preset's name, or `name` among the settings."""
    candidate = definitions.pop("Candidate")
    name = candidate["properties"]["name"]
    references = candidate["properties"]["optimizer"]["oneOf"]
    for reference in references:
        kind = reference["$ref"].rpartition("/")[2]
        settings = definitions[kind]
        properties = {"name": name, **settings["properties"]}
        definitions[f"Named{kind}"] = {**settings, "properties": properties}
    named = [
        {"$ref": reference["$ref"].replace("$defs/", "$defs/Named")} for reference in references
    ]
    about = {"enum": list(PRESETS), "description": "a name, with the default settings"}
    optimizers = definitions["CompareConfig"]["properties"]["optimizers"]
    optimizers["anyOf"][0]["items"] = {"anyOf": [about, {"oneOf": named}]}


def _types_in(section: dict[str, Any], definitions: dict[str, Any]) -> list[str]:
    """Return the `type` of each mapping that a section may be and that needs nothing else."""
    if "$ref" in section:
        definition = definitions[section["$ref"].rpartition("/")[2]]
        alone = definition["required"] == ["type"]
        return [definition["properties"]["type"]["const"]] if alone else []
    parts = section.get("anyOf", []) + section.get("oneOf", [])
    return [name for part in parts for name in _types_in(part, definitions)]


def _without_titles(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Drop pydantic's titles, which only repeat the names."""
    if isinstance(value, list):
        return [_without_titles(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _without_titles(item)
        for key, item in value.items()
        if not (key == "title" and isinstance(item, str))
    }
