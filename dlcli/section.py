"""Base class of all config sections, and field types that sections share."""

from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field


class Section(BaseModel):
    """A mapping in the config: frozen, without unknown keys or type conversions."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, defer_build=True
    )


def type_of(section: type[BaseModel]) -> Any:  # noqa: ANN401 - whatever the literal holds
    """Return the `type` by which a config names a member of a family; None of other sections."""
    field = section.model_fields.get("type")
    if field is None or get_origin(field.annotation) is not Literal:
        return None
    return get_args(field.annotation)[0]


# A section's default: its own defaults, which are checked together with what it stands in. Taking
# `ItsConfig()` instead would build its schema as it is imported, and once more within that.
ALL_DEFAULTS: Any = {}

PositiveFloat = Annotated[float, Field(gt=0)]
NonNegativeFloat = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
PositiveInt = Annotated[int, Field(ge=1, le=1_000_000_000)]
NonNegativeInt = Annotated[int, Field(ge=0, le=1_000_000_000)]
Size = Annotated[int, Field(ge=1, le=1_000_000)]  # of a layer
