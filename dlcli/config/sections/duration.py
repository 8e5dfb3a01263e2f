"""A duration in the config: a number of seconds, or text such as `1h 30m`."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator

from dlcli.section import PositiveFloat

_UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}  # seconds, the longest first
_PARTS = re.compile(r"\s*".join(rf"(?:(\d+(?:\.\d+)?)\s*{unit})?" for unit in _UNITS))


def _in_seconds(value: Any) -> Any:  # noqa: ANN401 - whatever the config holds
    """Return the seconds of a text, and all else as it is; ValueError for other texts."""
    if not isinstance(value, str):
        return value
    found = _PARTS.fullmatch(value.strip())
    if found is None or not any(found.groups()):
        raise ValueError(
            f"{value!r} is no duration; give a number of seconds, or text such as 1h 30m, 90s or 2d"
        )
    numbers = zip(_UNITS.values(), found.groups(default="0"), strict=True)
    return float(sum(seconds * float(number) for seconds, number in numbers))


Duration = Annotated[
    PositiveFloat, BeforeValidator(_in_seconds, json_schema_input_type=PositiveFloat | str)
]
