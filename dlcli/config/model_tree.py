"""The sections of the config's model: which are where, and which have a key."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from types import UnionType
from typing import Annotated, Union, get_args, get_origin

from pydantic import BaseModel

from dlcli.section import type_of

Location = tuple[str | int, ...]  # as pydantic has it: with indices, and names of union members


@dataclass(frozen=True)
class Home:
    """A section that has a key of some name."""

    path: tuple[str, ...]  # without indices; () for the top level
    type: str | None  # of a member of a family of sections

    def __str__(self) -> str:
        return ".".join(self.path) or "the top level"


def sections_at(model: type[BaseModel], location: Location) -> list[type[BaseModel]]:
    """Return the section at a location; several where its type is open."""
    models = [model]
    for step in location:
        tagged = [section for section in models if type_of(section) == step]
        models = tagged or [
            option
            for section in models
            for option in (
                models_in(section.model_fields[str(step)].annotation)
                if step in section.model_fields
                else [section]  # an index
            )
        ]
    return models


def path_of(model: type[BaseModel], location: Location) -> tuple[str, ...]:
    """Return the keys of a location, without indices and names of union members."""
    path: tuple[str, ...] = ()
    for index, step in enumerate(location):
        sections = sections_at(model, location[:index])
        is_tag = any(type_of(section) == step for section in sections)
        if not is_tag and any(step in section.model_fields for section in sections):
            path = (*path, str(step))
    return path


def homes_of(model: type[BaseModel], name: str) -> tuple[Home, ...]:
    """Return every section that has a key."""
    return _homes(model).get(name, ())


@cache  # a walk takes many times as long as a look-up, and the sections never change
def _homes(model: type[BaseModel]) -> dict[str, tuple[Home, ...]]:
    """Return the sections that have a key, for each key."""
    found = dict[str, tuple[Home, ...]]()
    for home, section in _sections_within(model, (), ()):
        for name in section.model_fields:
            found[name] = (*found.get(name, ()), home)
    return found


def _sections_within(
    model: type[BaseModel], path: tuple[str, ...], seen: tuple[type[BaseModel], ...]
) -> Iterator[tuple[Home, type[BaseModel]]]:
    """Yield a section and those in it, down to those that hold themselves."""
    if model in seen:
        return
    yield Home(path, type_of(model)), model
    for key, field in model.model_fields.items():
        for section in models_in(field.annotation):
            yield from _sections_within(section, (*path, key), (*seen, model))


def models_in(annotation: object) -> Iterator[type[BaseModel]]:
    """Yield the sections that a field can hold."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in (Union, UnionType, Annotated, tuple, dict):
        for part in get_args(annotation):
            yield from models_in(part)
