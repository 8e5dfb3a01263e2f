"""Base class of all config sections, families of them, and field types that sections share."""

from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import core_schema

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema


class Section(BaseModel):
    """A mapping in the config: frozen, without unknown keys or type conversions."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, defer_build=True
    )


@cache
def type_of(section: type[BaseModel]) -> Any:  # noqa: ANN401 - whatever the literal holds
    """Return the `type` by which a config names a member of a family; None of other sections."""
    field = section.model_fields.get("type")
    if field is None or get_origin(field.annotation) is not Literal:
        return None
    return get_args(field.annotation)[0]


class ByType:
    """Annotates a union of sections that their `type` tells apart; each is built when named.

    Errors, their places and the JSON Schema are those of `Field(discriminator="type")`, for which
    pydantic builds all members first: for the families of a config, that takes longer than to
    check it.
    """

    def __get_pydantic_core_schema__(
        self,
        union: Any,  # noqa: ANN401 - a form of types
        _handler: "GetCoreSchemaHandler",
        /,
    ) -> "CoreSchema":
        """Return the schema of the union, whose members check by validators of their own."""
        members: dict[str, type[BaseModel]] = {type_of(one): one for one in get_args(union)}
        is_inside = False  # a description of the union, as layers are of residual blocks

        def describe(_schema: "CoreSchema", handler: "GetJsonSchemaHandler") -> "JsonSchemaValue":
            nonlocal is_inside
            built = {}
            for name, member in members.items():
                member.model_rebuild()
                schema = member.__pydantic_core_schema__
                built[name] = _reference_to(schema) if is_inside else schema
            was_inside, is_inside = is_inside, True
            try:
                return handler(core_schema.tagged_union_schema(built, "type"))
            finally:
                is_inside = was_inside

        lazy: dict[Any, CoreSchema] = {
            name: core_schema.no_info_plain_validator_function(member.model_validate)
            for name, member in members.items()
        }
        return core_schema.tagged_union_schema(
            lazy,
            "type",
            strict=False,
            from_attributes=True,
            metadata={"pydantic_js_functions": [describe]},
        )


def _reference_to(schema: "CoreSchema") -> "CoreSchema":
    """Return a reference to what a schema defines, with or without definitions of its parts."""
    if schema["type"] == "definitions":
        return _reference_to(schema["schema"])
    if schema["type"] == "definition-ref":
        return schema
    return core_schema.definition_reference_schema(schema["ref"])


# A section's default: its own defaults, which are checked together with what it stands in. Taking
# `ItsConfig()` instead would build its schema as it is imported, and once more within that.
ALL_DEFAULTS: Any = {}

PositiveFloat = Annotated[float, Field(gt=0)]
NonNegativeFloat = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
PositiveInt = Annotated[int, Field(ge=1, le=1_000_000_000)]
NonNegativeInt = Annotated[int, Field(ge=0, le=1_000_000_000)]
Size = Annotated[int, Field(ge=1, le=1_000_000)]  # of a layer
