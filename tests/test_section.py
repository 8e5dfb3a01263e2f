"""Families of sections: told apart as pydantic does it, but built one by one."""

import json
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, TypeAdapter, ValidationError

from dlcli.section import ByType, Section


class Bounds(Section):
    """A section within another."""

    low: float = 0.0
    high: float = 1.0


class Plain(Section):
    """A member."""

    type: Literal["plain"]
    size: Annotated[int, Field(ge=1)] = 1


class Twice(Section):
    """A member that has one and the same section at two keys."""

    type: Literal["twice"]
    before: Bounds = Bounds()
    after: Bounds = Bounds()


class Block(Section):
    """A member that is made of members."""

    type: Literal["block"]
    parts: tuple["Lazy", ...] = Field(strict=False)


class EagerBlock(Section):
    """A member that is made of members."""

    type: Literal["block"]
    parts: tuple["Eager", ...] = Field(strict=False)


Lazy = Annotated[Plain | Block | Twice, ByType()]
Eager = Annotated[Plain | EagerBlock | Twice, Field(discriminator="type")]
LAZY: TypeAdapter[Any] = TypeAdapter(Lazy)
EAGER: TypeAdapter[Any] = TypeAdapter(Eager)


@pytest.mark.parametrize(
    "given",
    [
        {"type": "plain", "size": 2},
        {"type": "block", "parts": [{"type": "plain"}, {"type": "block", "parts": []}]},
        {"type": "twice", "before": {"low": -1.0}},
    ],
)
def test_a_family_reads_and_writes_what_pydantic_does(given: dict[str, Any]) -> None:
    for settings in ({}, {"exclude_unset": True}, {"mode": "json"}):
        lazy = LAZY.dump_python(LAZY.validate_python(given), **settings)
        assert lazy == EAGER.dump_python(EAGER.validate_python(given), **settings)


@pytest.mark.parametrize(
    "given",
    [
        {"type": "plain", "size": 0},
        {"type": "plian"},
        {"size": 1},
        {"type": 1},
        "plain",
        None,
        {"type": "twice", "after": {"low": "x", "lower": 1}},
        {"type": "block", "parts": [{"type": "plain"}, {"type": "plain", "sise": 2}, {}]},
        Bounds(),
    ],
)
def test_a_family_finds_the_mistakes_that_pydantic_does(given: object) -> None:
    found = []
    for adapter in (LAZY, EAGER):
        with pytest.raises(ValidationError) as caught:
            adapter.validate_python(given)
        found.append(caught.value.errors(include_url=False))
    assert found[0] == found[1]


def test_a_family_takes_its_members_as_they_are() -> None:
    member = Plain(type="plain", size=3)
    assert LAZY.validate_python(member) is member


def test_a_family_has_the_json_schema_that_pydantic_gives() -> None:
    eager = json.dumps(EAGER.json_schema()).replace("EagerBlock", "Block")
    assert LAZY.json_schema() == json.loads(eager)


def test_a_member_is_built_once_a_config_names_it() -> None:
    class Unused(Section):
        type: Literal["unused"]

    class Used(Section):
        type: Literal["used"]

    family: TypeAdapter[Any] = TypeAdapter(Annotated[Used | Unused, ByType()])
    assert isinstance(family.validate_python({"type": "used"}), Used)
    assert (Used.__pydantic_complete__, Unused.__pydantic_complete__) == (True, False)
