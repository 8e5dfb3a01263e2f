"""Nothing in the product names a part of a family but its own file and its family's tuple."""

import ast

import pytest

from tests.family_names import deciding_strings, families, imported_names, naming_files

FAMILIES = ("columns", "layers", "losses", "metrics", "optimizers", "schedules", "targets")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_member_is_named_by_its_familys_tuple_alone(family: str) -> None:
    members = families()[family]
    assert len(members) > 1
    for member in members:
        assert naming_files()[member] == [f"{family}/{_tuple_file(family)}"], member


def _tuple_file(family: str) -> str:
    return "family.py" if family in ("columns", "layers", "targets") else "__init__.py"


def test_a_name_is_found_however_a_file_decides_by_it() -> None:
    code = """
if a.type == "one" or a.type in ("two", "three"):
    heavy = {"four": 1}.get(a.type) if a.type in {"five"} else 0
match a.type:
    case "six" | "seven":
        b: Literal["eight"] = {"type": "nine"}["type"]
"""
    found = set(deciding_strings(ast.parse(code)))
    assert found == {"one", "two", "three", "four", "five", "six", "seven", "eight", "type"}
    code = """
from dlcli.optimizers.adam import Adam as A
from dlcli.optimizers import sgd
import dlcli.losses.regression as r
isinstance(x, sgd.Sgd | r.Huber | nn.Dropout)
"""
    named = set(imported_names(ast.parse(code)))
    assert {("optimizers", "Adam"), ("optimizers", "Sgd"), ("losses", "Huber")} < named
    assert "Dropout" not in {name for _, name in named}
