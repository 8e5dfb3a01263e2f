import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from dlcli.config.schema import json_schema
from tests.conftest import ROOT, Command

SHIPPED = sorted((ROOT / "configs").rglob("*.yaml"))
VALIDATOR = Draft202012Validator(json_schema())


def test_it_is_a_schema_of_its_draft() -> None:
    Draft202012Validator.check_schema(json_schema())


@pytest.mark.parametrize("config", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_config_is_valid_and_names_the_schema(config: Path) -> None:
    text = config.read_text(encoding="utf-8")
    VALIDATOR.validate(yaml.safe_load(text))
    modeline = text.splitlines()[0].removeprefix("# yaml-language-server: $schema=")
    assert (config.parent / modeline).resolve() == ROOT / "configs" / "schema.json"


@pytest.mark.parametrize(
    "change",
    [
        {"sede": 1},
        {"seed": -1},
        {"loss": "msee"},
        {"loss": {"type": "mse", "delta": 1.0}},
        {"schedule": "step"},
        {"training": {"batch_size": "all"}},
        {"model": {"layers": [{"type": "dense", "unit": 3}]}},
        {"model": {"layers": []}},
    ],
)
def test_what_dlcli_refuses_the_schema_refuses(change: dict[str, Any]) -> None:
    config = {"data": {"path": "x.csv", "target": "y"}, "model": {"layers": [{"type": "dense"}]}}
    assert VALIDATOR.is_valid(config)
    assert not VALIDATOR.is_valid({**config, **change})


def test_every_key_is_described_and_every_number_is_bounded() -> None:
    schema = json_schema()
    for section in [schema, *schema["$defs"].values()]:
        for key, about in section["properties"].items():
            assert about.get("description"), key
            for number in _numbers(about):
                assert {"minimum", "exclusiveMinimum"} & set(number), key
            needed = section["anyOf"][0] if "anyOf" in section else section
            assert key in needed.get("required", []) or "default" in about or key == "name"


def _numbers(about: dict[str, Any]) -> list[dict[str, Any]]:
    if about.get("type") in ("integer", "number"):
        return [about]
    inner = [*about.get("anyOf", []), *about.get("prefixItems", [])]
    return [number for part in inner for number in _numbers(part)]


def test_the_schema_in_the_repository_is_the_one_that_is_printed(dlcli: Command) -> None:
    printed = dlcli("schema").out
    assert json.loads(printed) == json_schema()
    assert (ROOT / "configs" / "schema.json").read_text(encoding="utf-8") == printed


def test_the_reference_page_is_the_one_that_is_printed(dlcli: Command) -> None:
    page = (ROOT / "docs" / "reference" / "config.md").read_text(encoding="utf-8")
    assert page == dlcli("schema", "--markdown").out
