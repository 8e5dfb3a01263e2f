"""The reference page of the config, in Markdown, made from the JSON Schema."""

from collections.abc import Iterator
from typing import Any

from dlcli.config.schema import json_schema

JsonObject = dict[str, Any]

_HEADER = """# The config, key by key

Made by `dlcli schema --markdown`. Unknown keys are rejected. "required" means: where the section is
given.
"""
# The sections in the order of a config, and the title of each.
_SECTIONS = {
    "DataConfig": "data",
    "ImageSettings": "data.images",
    "SplitConfig": "data.split",
    "ModelConfig": "model",
    "InputConfig": "model.inputs (each)",
    "OutputConfig": "model.outputs (each)",
    "EnsembleConfig": "model.ensemble",
    "TrainingConfig": "training",
    "EarlyStopping": "training.early_stopping",
    "Ema": "training.ema",
    "CheckpointConfig": "checkpoint",
    "FoldsConfig": "folds",
    "CompareConfig": "compare",
    "TuneConfig": "tune",
    "Spread": "tune.space (of each key)",
    "HalvingConfig": "tune.halving",
    "AdamWBeside": "adamw (of the optimizer muon)",
    "InitialValues": "initial (of dense and convolutional layers)",
    "LrFactors": "lr_factor (of dense and convolutional layers)",
    "WeightDecayFactors": "weight_decay_factor (of dense and convolutional layers)",
}


def reference_page() -> str:
    """Return the page."""
    schema = json_schema()
    definitions = schema["$defs"]
    lines = [_HEADER, *_section("The top level", schema, definitions)]
    for name, title in _SECTIONS.items():
        lines += _section(f"`{title}`", definitions[name], definitions)
    for title, owner, key in (
        ("Layers", definitions["ModelConfig"], "layers"),
        ("Augmentations", definitions["TrainingConfig"], "augment"),
        ("Losses", schema, "loss"),
        ("Optimizers", schema, "optimizer"),
        ("Schedules", schema, "schedule"),
        ("Numbers that change with every step", definitions["Dropout"], "rate"),
    ):
        lines.append(f"## {title}\n")
        for reference in _references(owner["properties"][key]):
            definition = definitions[reference]
            kind = definition["properties"]["type"]["const"]
            lines += _section(f"`{kind}`", definition, definitions, level="###")
    return "\n".join(lines)


def _section(
    title: str, definition: JsonObject, definitions: JsonObject, level: str = "##"
) -> Iterator[str]:
    yield f"{level} {title}\n"
    yield definition["description"] + "\n"
    rows = {key: about for key, about in definition["properties"].items() if key != "type"}
    if not rows:
        return
    needed = next(iter(definition.get("anyOf", [])), definition)
    required = needed.get("required", [])
    yield "| key | value | default | meaning |"
    yield "|---|---|---|---|"
    for key, about in rows.items():
        default = "required" if key in required else _default(about)
        text = about.get("description", "").replace("|", "\\|")
        yield f"| `{key}` | {_value(about, definitions)} | {default} | {text} |"
    yield ""


def _default(about: JsonObject) -> str:
    value = about.get("default")
    if isinstance(value, dict) and value.get("type"):
        return f"`{value['type']}`"
    if value is None or value == {} or isinstance(value, dict):
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, list):
        return ", ".join(f"`{item}`" if item != "" else "the empty cell" for item in value)
    return "`\\t`" if value == "\t" else f"`{value}`"


def _value(about: JsonObject, definitions: JsonObject) -> str:
    """Say in words what a value may be."""
    if "$ref" in about:
        return "a mapping"
    if "enum" in about:
        return ", ".join(f"`{_shown(item)}`" for item in about["enum"])
    if "const" in about:
        return f"`{_shown(about['const'])}`"
    parts = [part for part in about.get("anyOf", []) if part.get("type") != "null"]
    if any("$ref" not in part for part in about.get("oneOf", [])):
        parts = about["oneOf"]
    if parts:
        return " or ".join(dict.fromkeys(_value(part, definitions) for part in parts))
    if "oneOf" in about:
        return "a mapping with `type`"
    match about.get("type"):
        case "array":
            items = about.get("items") or about.get("prefixItems", [{}])[0]
            return f"a list: {_value(items, definitions)}" if items else "nested lists of numbers"
        case "object":
            values = about.get("additionalProperties")
            return f"a mapping to {_value(values, definitions)}" if values else "a mapping"
        case "boolean":
            return "`true`, `false`"
        case "string":
            return "text"
        case "integer":
            return "a whole number" + _bounds(about)
        case "number":
            return "a number" + _bounds(about)
        case None if "description" in about:
            return str(about["description"])
        case _:
            return "numbers"


def _bounds(about: JsonObject) -> str:
    words = {
        "minimum": "≥",
        "exclusiveMinimum": ">",
        "maximum": "≤",
        "exclusiveMaximum": "<",
    }
    found = [f"{sign} {about[key]:,}" for key, sign in words.items() if key in about]
    return f" {' and '.join(found)}" if found else ""


def _shown(item: str) -> str:
    return {"\t": "\\t", "|": "\\|"}.get(item, item)


def _references(about: JsonObject) -> list[str]:
    """Return the definitions that a value may be, in their order."""
    if "$ref" in about:
        return [about["$ref"].rpartition("/")[2]]
    parts = [*about.get("anyOf", []), *about.get("oneOf", [])]
    parts += [about["items"]] if "items" in about else []
    return [name for part in parts for name in _references(part)]
