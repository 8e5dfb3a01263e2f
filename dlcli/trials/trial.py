"""A trial: changes of a config, a seed and a fold, under a key that is the same everywhere."""

import json
from functools import cached_property
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, JsonValue

from dlcli.section import NonNegativeInt, Section

_MAX_WHOLE = 2**53  # up to it, every whole number is a float of the same value, in any language


def canonical_json(value: object) -> str:
    """Write plain data the one way: keys sorted, no spaces, floats to their last digit.

    Whole floats up to 2^53 are written as integers, as JSON has one kind of number. ValueError for
    numbers that are not finite.
    """
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), allow_nan=False)


def _plain(value: Any) -> Any:  # noqa: ANN401 - not checked yet
    if isinstance(value, float) and value.is_integer() and abs(value) <= _MAX_WHOLE:
        return int(value)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


class Trial(Section):
    """A training run, identified by its key."""

    # By the key that `--set` would name, as `optimizer.lr`; where one key lies within another's
    # value, the longer one comes after it.
    changes: Annotated[dict[str, JsonValue], BeforeValidator(_plain)]
    seed: Annotated[int, Field(ge=0)]  # of weights, order of rows and dropout; not of the split
    fold: NonNegativeInt | None = None  # of the data; None: they are not folded

    @cached_property
    def key(self) -> str:
        """Its canonical JSON."""
        return canonical_json(self.model_dump())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Trial) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)
