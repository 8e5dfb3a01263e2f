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
        models = _sections_below(models, step)
    return models


def path_of(model: type[BaseModel], location: Location) -> tuple[str, ...]:
    """Return the keys of a location, without indices and names of union members."""
    path: tuple[str, ...] = ()
    models = [model]
    for step in location:
        is_tag = any(type_of(section) == step for section in models)
        if not is_tag and any(step in section.model_fields for section in models):
            path = (*path, str(step))
        models = _sections_below(models, step)
    return path


def _sections_below(models: list[type[BaseModel]], step: str | int) -> list[type[BaseModel]]:
    tagged = [section for section in models if type_of(section) == step]
    return tagged or [
        option
        for section in models
        for option in sections_of(section).get(step, (section,))  # itself at an index
    ]


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
    for key, sections in sections_of(model).items():
        for section in sections:
            yield from _sections_within(section, (*path, str(key)), (*seen, model))


@cache
def sections_of(model: type[BaseModel]) -> dict[str | int, tuple[type[BaseModel], ...]]:
    """Return the sections that each field can hold."""
    fields = model.model_fields.items()
    return {name: tuple(_sections_in(field.annotation)) for name, field in fields}


def _sections_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in (Union, UnionType, Annotated, tuple, dict):
        for part in get_args(annotation):
            yield from _sections_in(part)
