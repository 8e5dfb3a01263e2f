"""What is said of a key that a section doesn't have."""

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from dlcli.config.config import Config
from dlcli.config.model_tree import homes_of, path_of, sections_at, sections_of
from dlcli.config.unknown_keys import explain_unknown_key
from dlcli.section import type_of

DENSE = ("model", "layers", 0, "dense")


@pytest.mark.parametrize(
    ("location", "name", "message"),
    [
        # A section directly within this one, or around it, though another key is spelt alike.
        (("data",), "test", "unknown key here; it belongs to data.split"),
        (("data",), "validation", "unknown key here; it belongs to data.split"),
        (("data",), "column", "unknown key here; it belongs to data.split"),
        (("data", "split"), "streaming", "unknown key here; it belongs to data"),
        (("training",), "patience", "unknown key here; it belongs to training.early_stopping"),
        (
            DENSE,
            "weight",
            "unknown key here; it belongs to model.layers.initial or model.layers.lr_factor or "
            "model.layers.weight_decay_factor",
        ),
        (("training",), "loss", "unknown key here; it belongs to the top level"),
        (
            ("data",),
            "groups",
            "unknown key here; it belongs to data.window or data.split, as group",
        ),
        # A typing error rather than a section far away.
        (("compare",), "seed", "unknown key; did you mean 'seeds'?"),
        (("training",), "threats", "unknown key; did you mean 'threads'?"),
        # The very name elsewhere rather than one that is only a little alike.
        (("data",), "eta_min", "unknown key here; it belongs to schedule"),
        (("data",), "units", "unknown key here; it belongs to model.layers"),
        ((), "batch_size", "unknown key here; it belongs to training"),
        # Other libraries' names.
        (("data",), "sep", "unknown key; did you mean 'separator'?"),
        ((), "learning_rate", "unknown key here; it belongs to optimizer, as lr"),
        (("data",), "test_size", "unknown key here; it belongs to data.split, as test"),
        # Of another member of the family.
        (("loss", "mse"), "delta", "mse has no 'delta'; it is a setting of huber"),
    ],
)
def test_the_most_helpful_place_is_named(
    location: tuple[str | int, ...], name: str, message: str
) -> None:
    assert explain_unknown_key(Config, location, name) == message


def test_a_name_that_means_something_else_deep_inside_is_not_sent_there() -> None:
    """`bias` and `weight` are the arrays that a layer begins with."""
    for location in ((), ("training",), ("optimizer", "adam")):
        message = explain_unknown_key(Config, location, "weight")
        assert "initial" not in message, message
    assert explain_unknown_key(Config, ("checkpoint",), "type").startswith("unknown key; known: ")


def test_the_place_that_is_named_has_the_key() -> None:
    """For every key of the config, in every section that lacks it."""
    located = dict(_sections(Config, ()))
    names = {name for section in located.values() for name in section.model_fields}
    homes = {name: {str(home) for home in homes_of(Config, name)} for name in names}
    for location, section in located.items():
        for name in names - section.model_fields.keys():
            message = explain_unknown_key(Config, location, name)
            _, belongs, places = message.partition("it belongs to ")
            places, _, meant = places.partition(", as ")
            named = set(places.split(" or "))
            assert named <= homes[meant or name] or not belongs, (location, message)


def _sections(model: type[BaseModel], location: tuple[Any, ...]) -> Iterator[tuple[Any, Any]]:
    yield location, model
    for name, sections in sections_of(model).items():
        for section in sections:
            tag = type_of(section)
            inner = (*location, name, *([tag] if tag else []))
            if name not in location:
                assert path_of(Config, inner) == (*path_of(Config, location), name)
                assert section in sections_at(Config, inner)
                yield from _sections(section, inner)
