import contextlib
import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlcli.config.text.parsing import parse_yaml
from dlcli.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1E3", 1000.0),
        (".5", 0.5),
        ("-2", -2),
        ("true", True),
        ("null", None),
        ("~", None),
        ("yes", "yes"),
        ("no", "no"),
        ("2024-02-31", "2024-02-31"),
        ("012", 12),
        ("1_000", "1_000"),
        ('"5"', "5"),
        ("'true'", "true"),
        ("[1, a]", [1, "a"]),
    ],
)
def test_scalars_are_read_by_yaml_1_2(text: str, value: object) -> None:
    assert parse_yaml(f"key: {text}", "f").data == {"key": value}


def test_keys_are_text_as_written() -> None:
    assert parse_yaml("{0: a, true: b, null: c}", "f").data == {"0": "a", "true": "b", "null": "c"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 2", "f:2:1: duplicate key 'a', already given at f:1:1"),
        ("a: !!python/object:os.system x", "tags such as"),
        ("a: !x [1]", "f:1:4: tags such as !x are not allowed"),
        ("a: .nan", "f:1:4: .nan is not a finite number"),
        ("a: 1e999", "f:1:4: 1e999 is not a finite number"),
        ("a: [1, 2", "f:1:9: not YAML: expected ',' or ']'"),
        ("a: {b: ${env:B}}", "in {…} or […], put quotes around ${…}"),
        ("a: 1\n b: 2", "f:2:3: not YAML: mapping values are not allowed here"),
        ("a: 1\n---\nb: 2", "not YAML"),
        ("[x]: 1", "f:1:1: a key must be text"),
        ("&a [*a]", "nested deeper than 50 levels"),
        ("[" * 5000, "nested deeper than 50 levels"),
        ("a: \x00", "not YAML"),
        ("- " * 60 + "x", "nested deeper than 50 levels"),
        ("a: 1\n" * 300_000, "longer than 250,000 characters"),
    ],
)
def test_what_is_not_a_plain_document_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_yaml(text, "f")
    assert message in str(caught.value)


BOMBS = {
    "itself": "a: &a [*a, *a]",
    "lists": "l0: &l0 x\n"
    + "\n".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 10)),
    "merges": "m0: &m0 {a: 1}\n"
    + "\n".join(f"m{n}: &m{n} {{<<: [{', '.join([f'*m{n - 1}'] * 10)}]}}" for n in range(1, 10)),
    "depth": "[" * 100_000,
    "braces": "{a: " * 100_000,
    "digits": "a: " + "1" * 240_000,
    "anchors": "\n".join(f"a{n}: &a{n} [x]" for n in range(14_000)),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_refused_within_2_seconds_and_50_megabytes(bomb: str) -> None:
    started = time.perf_counter()
    with pytest.raises(ConfigError):
        parse_yaml(BOMBS[bomb], "f")
    assert time.perf_counter() - started < 2
    tracemalloc.start()  # makes it slower, so it has a turn of its own
    with contextlib.suppress(ConfigError):
        parse_yaml(BOMBS[bomb], "f")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50 * 2**20


def test_an_alias_is_the_value_again() -> None:
    assert parse_yaml("a: &x [1]\nb: *x", "f").data == {"a": [1], "b": [1]}


def test_a_byte_order_mark_is_fine() -> None:
    assert parse_yaml("\ufeffa: 1", "f").data == {"a": 1}


def test_places_are_those_of_the_keys() -> None:
    document = parse_yaml("a:\n  - b: 1\n    c: [x, y]", "f")
    assert str(document.places["a", 0, "c"]) == "f:3:5"
    assert str(document.places["a", 0, "c", 1]) == "f:3:12"


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(ConfigError):
        parse_yaml(text, "f")
