"""Weights that a config gives as numbers."""

from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from dlcli.layers.base import Shape
from dlcli.section import Section

_MAX_FLOAT32 = 3.4e38

Numbers = tuple[Any, ...]  # floats, nested to any depth and rectangular


def shape_of(numbers: Numbers | float) -> Shape:
    """Return the shape of nested numbers; ValueError where they are not rectangular."""
    if isinstance(numbers, bool) or not isinstance(numbers, int | float | tuple | list):
        raise ValueError(f"must hold numbers only, not {numbers!r}")
    if isinstance(numbers, int | float):
        if not abs(numbers) <= _MAX_FLOAT32:  # as NaN isn't
            raise ValueError(f"{numbers!s:.20} is too large for float32")
        return ()
    shapes = {shape_of(item) for item in numbers}
    if len(shapes) > 1:
        raise ValueError("its rows differ in length")
    return (len(numbers), *(shapes.pop() if shapes else ()))


def _to_numbers(value: object) -> object:
    """Turn lists into tuples of floats, so that a config stays frozen."""
    if isinstance(value, list | tuple):
        return tuple(_to_numbers(item) for item in value)
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _check_numbers(value: object) -> object:
    if not isinstance(value, list | tuple):
        raise ValueError(f"must be a list of numbers, not {value!r}")
    shape_of(tuple(value))
    return _to_numbers(value)


NestedNumbers = Annotated[Numbers, BeforeValidator(_check_numbers)]


class InitialValues(Section):
    """Weights to start from, in PyTorch's shapes."""

    weight: NestedNumbers | None = Field(
        None, description="for dense: one row per unit, one number per feature"
    )
    bias: NestedNumbers | None = Field(None, description="one number per unit or channel")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.weight is None and self.bias is None:
            raise ValueError("give `weight`, `bias` or both")
        return self
