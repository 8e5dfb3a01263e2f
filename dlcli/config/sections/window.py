"""The config section `data.window`: forecasts of a table's rows to come."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from dlcli.section import PositiveInt, Section
from dlcli.tables.names import ColumnName

Fill = Literal["missing", "previous"]
_Names = Annotated[tuple[ColumnName, ...], Field(strict=False, min_length=1)]


class WindowConfig(Section):
    """Forecasts: from `past` steps of a series, the targets of the `horizon` steps after them."""

    time: ColumnName | _Names = Field(
        description="the column of times: dates or numbers with one regular step; or the columns "
        "that make up a date, from the year on, as in [year, month, day, hour]"
    )
    group: ColumnName | None = Field(
        None, description="a column that tells several series apart; windows stay within one"
    )
    past: PositiveInt = Field(description="steps that a forecast is made from")
    horizon: PositiveInt = Field(description="steps that are forecast")
    targets: _Names = Field(description="the columns to forecast; their past is seen too")
    known: Annotated[tuple[ColumnName, ...], Field(strict=False)] = Field(
        (),
        description="columns whose values are known in advance, such as holidays: the network sees "
        "them over the horizon too; `predict` needs their rows to come",
    )
    calendar: bool = Field(
        True,
        description="whether the network sees the hour of the day, the day of the week and the "
        "time of the year of the steps to come, as far as the step is shorter than these",
    )
    fill: Fill | None = Field(
        None,
        description="what becomes of steps that the table leaves out, and of missing values: "
        "`missing` puts such steps in without values; `previous` takes each column's last value "
        "before, of targets too; default: steps that are left out are refused",
    )
    season: PositiveInt | None = Field(
        None,
        description="steps of the season that the last-season baseline repeats; default: the best "
        "on the training windows of those that the step suggests, such as a day and a week",
    )

    @property
    def time_columns(self) -> tuple[str, ...]:
        """The columns that say when a row is."""
        return (self.time,) if isinstance(self.time, str) else self.time

    @model_validator(mode="after")
    def _check(self) -> Self:
        roles = {"time": self.time_columns, "targets": self.targets, "known": self.known}
        if self.group is not None:
            roles["group"] = (self.group,)
        named: dict[str, str] = {}
        for key, names in roles.items():
            for name in names:
                if name in named:
                    both = f"`{key}`" if named[name] == key else f"`{named[name]}` and `{key}`"
                    raise ValueError(f"'{name}' is listed twice, in {both}; a column has one role")
                named[name] = key
        if self.season is not None and self.season > self.past:
            raise ValueError(
                f"`season` is {self.season} steps, and a forecast is made from `past`, "
                f"{self.past}: give no more"
            )
        return self
