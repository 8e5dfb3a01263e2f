"""The config section `data`: files, target, features, roles of columns, encoding."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    field_validator,
    model_validator,
)

from dlcli.columns.base import OrderedColumn
from dlcli.columns.family import ColumnKind, kind_named
from dlcli.columns.scaling.scales import Scale
from dlcli.columns.sequence_settings import SequenceSettings
from dlcli.config.sections.split import SplitConfig
from dlcli.config.sections.text_files import (
    Auto,
    DateFormats,
    Decimal,
    Encoding,
    Names,
    Quote,
    Separator,
    Thousands,
)
from dlcli.config.sections.window import WindowConfig
from dlcli.images.settings import ImageSettings
from dlcli.section import ALL_DEFAULTS, PositiveInt, Section, Size
from dlcli.tables.databases.address import has_password
from dlcli.tables.names import ColumnName, normalise_name, refuse_twins
from dlcli.tables.sources import DataPath, Selection
from dlcli.tables.text.text_format import TextFormat
from dlcli.targets.base import TargetScale
from dlcli.targets.task import Task, is_of_numbers
from dlcli.texts.settings import TextSettings

MISSING_VALUES = ("", "NA", "N/A", "NaN", "nan", "null", "NULL")

Role = tuple[str | int, ...]  # the key below `data`, then the key or the index in it
_File = Annotated[str, Field(min_length=1)]
_Target = Annotated[str, Field(min_length=1), AfterValidator(normalise_name)]
_Targets = Annotated[tuple[_Target, ...], Field(strict=False, min_length=2)]
Files = _File | Annotated[tuple[_File, ...], Field(strict=False, min_length=1)]
Label = Annotated[str, Field(min_length=1)]
Labels = Annotated[tuple[Label, ...], Field(strict=False, min_length=2)]
Shape = Annotated[tuple[Size, ...], Field(strict=False, min_length=1, max_length=3)]


def _form_of_target(target: object) -> str:
    return "several" if isinstance(target, list | tuple) else "one"


def _refuse_a_list_of_one(target: object) -> object:
    """Raise ValueError for a list with one name, of which nobody knows what it is to be."""
    if isinstance(target, list) and len(target) == 1:
        raise ValueError(f"one target is written without brackets, as in target: {target[0]}")
    return target


_OneOrSeveral = Annotated[
    Annotated[_Target, Tag("one")] | Annotated[_Targets, Tag("several")],
    Discriminator(_form_of_target),
    BeforeValidator(_refuse_a_list_of_one),
]
_Value = TypeVar("_Value")
_ByName = Annotated[dict[ColumnName, _Value], Field(min_length=1), BeforeValidator(refuse_twins)]


def _form_of_value(value: object) -> str:
    return "by_name" if isinstance(value, dict) else "of_all"


# The same for all targets, or one for each by name.
ByTarget = Annotated[
    Annotated[_Value, Tag("of_all")] | Annotated[_ByName[_Value], Tag("by_name")],
    Discriminator(_form_of_value),
]


@dataclass(frozen=True)
class OneTargetSettings:
    """What a config says of one target."""

    target_scale: TargetScale
    order: tuple[str, ...] | None  # of classes, from the lowest to the highest
    label_separator: str


class DataConfig(Section):
    """The data: a table, its target and its features."""

    path: Files = Field(
        description="the rows: a file, a list of files, a pattern such as parts/*.csv, a folder of "
        "parts, or a folder of images with a folder for each class; relative to the config's folder"
    )
    query: str | None = Field(
        None,
        min_length=1,
        description="SQL whose rows are read, where `path` is an SQLite file or the address of a "
        "PostgreSQL database",
    )
    sheet: str | None = Field(
        None, description="sheet of an Excel workbook; default: the only one with rows"
    )
    target: _OneOrSeveral = Field(
        description="the column to predict, or a list of several: a row may lack some of them; of "
        "forecasts, `window.targets` says it instead",
    )
    features: Annotated[tuple[ColumnName, ...], Field(strict=False, min_length=1)] | None = Field(
        None, description="columns to predict from; default: all other columns that can be used"
    )
    weight: ColumnName | None = Field(
        None,
        min_length=1,
        description="a column that says how much each row counts, in losses, metrics and all that "
        "is fitted: numbers, 0 or more; it is no feature",
    )
    keep: Annotated[tuple[ColumnName, ...], Field(strict=False)] = Field(
        (),
        description="columns that are no features but stay in the table, such as names: "
        "predictions carry them where the table has them, and don't need them",
    )
    kinds: Annotated[dict[ColumnName, ColumnKind], BeforeValidator(refuse_twins)] = Field(
        {}, description="kinds of columns, overriding the inferred ones"
    )
    task: ByTarget[Task] | None = Field(
        None,
        description="what is predicted, of several targets by name; default: inferred from the "
        "target",
    )
    order: ByTarget[Labels] | None = Field(
        None,
        description="the classes of an ordinal target from the lowest to the highest, of several "
        "targets by name; default: numbers by size",
    )
    label_separator: Label = Field(
        "auto",
        description="separator of the labels in a cell of a multilabel target; `list`: cells are "
        "lists; auto: recognised, a list or one of ; | ,",
    )
    scale: Scale = Field(
        "standard",
        description="scaling of numeric features, fitted on the training rows: to mean 0 and "
        "standard deviation 1; to the range 0 to 1; by median and quartiles, with outliers clipped "
        "smoothly at ±3 (`robust_clip`); by rank, to a normal distribution (`quantile`); or none",
    )
    target_scale: ByTarget[TargetScale] = Field(
        "standard",
        description="scaling of a regression target inside the network: to mean 0 and standard "
        "deviation 1, its logarithm likewise (all numbers must be above 0), or none; metrics and "
        "predictions are in its original units, with `log` the loss is that of the logarithm, and "
        "predictions are medians. Of several targets by name; `standard` for those without",
    )
    one_hot_max: int = Field(
        10,
        ge=1,
        le=1000,
        description="maximum number of one-hot categories; above it, the column is embedded",
    )
    embedding_dim: PositiveInt | None = Field(
        None,
        le=4096,
        description="size of the embedding vectors; default: 1.6 × categories^0.56, at most 50",
    )
    missing_values: Annotated[tuple[str, ...], Field(strict=False)] = Field(
        MISSING_VALUES, description="cell values treated as missing"
    )
    separator: Separator = Field(
        "auto", description="separator of the cells of a text file; auto: recognised in each file"
    )
    decimal: Decimal = Field(
        "auto", description="mark before the decimals of numbers in text; auto: recognised"
    )
    thousands: Thousands = Field(
        "auto", description="mark between groups of three digits; auto: recognised"
    )
    encoding: Encoding = Field(
        "auto",
        description="encoding of text files, such as utf-8 or windows-1252; auto: recognised",
    )
    quote: Quote = Field(
        "auto", description="mark around cells that contain separators; auto: recognised"
    )
    header: Auto | bool = Field(
        "auto", description="whether the first line names the columns; auto: recognised"
    )
    names: Names | None = Field(
        None, description="names of the columns of text files without a header line"
    )
    date_formats: Auto | DateFormats = Field(
        "auto",
        description="formats of dates beside ISO 8601, such as '%d.%m.%Y', tried in this order; "
        "auto: recognised where one format fits a whole column",
    )
    drop_missing_target: bool = Field(
        False,
        description="leave out rows without a target, instead of rejecting the data; of several "
        "targets, rows that lack all",
    )
    streaming: Literal["auto"] | bool = Field(
        "auto",
        description="read rows from disk in each epoch, so that memory does not grow with the "
        "file; auto: if the table would take more than a quarter of the free memory",
    )
    shape: Shape | None = Field(
        None,
        description="shape that the numeric features are arranged in, in column order: [channels, "
        "length] or [channels, height, width]",
    )
    window: WindowConfig | None = Field(
        None, description="forecasts: rows are steps of a series, examples are windows over it"
    )
    images: ImageSettings = Field(
        ALL_DEFAULTS, validate_default=True, description="what image files become"
    )
    text: TextSettings = Field(
        ALL_DEFAULTS, validate_default=True, description="what texts are cut into"
    )
    sequence: SequenceSettings = Field(
        ALL_DEFAULTS, validate_default=True, description="how much of sequences is kept"
    )
    split: SplitConfig = Field(
        ALL_DEFAULTS, validate_default=True, description="the validation and test rows"
    )
    validation_path: Files | None = Field(
        None, description="the validation rows, named as in `path`"
    )
    test_path: Files | None = Field(None, description="the test rows, named as in `path`")

    @property
    def targets(self) -> tuple[str, ...]:
        """The columns to predict."""
        return (self.target,) if isinstance(self.target, str) else self.target

    @property
    def target_text(self) -> str:
        """The columns to predict, in words: target a."""
        return f"target{'s' * (len(self.targets) > 1)} {', '.join(self.targets)}"

    def task_of(self, target: str) -> Task | None:
        """Return the task that the config gives a target; None where it is to be inferred."""
        if self.settings_of(target).order is not None:
            return "ordinal"
        return self.task.get(target) if isinstance(self.task, dict) else self.task

    def settings_of(self, target: str) -> "OneTargetSettings":
        """Return what the config says of one target."""
        scale, order = self.target_scale, self.order
        return OneTargetSettings(
            scale.get(target, "standard") if isinstance(scale, dict) else scale,
            order.get(target) if isinstance(order, dict) else order,
            self.label_separator,
        )

    def roles(self) -> Iterator[tuple[Role, str]]:
        """Yield each column with a role other than feature or target: where that is said, it."""
        for key in ("column", "group", "time"):
            name = getattr(self.split, key)
            if name is not None:
                yield ("split", key), name
        if self.weight is not None:
            yield ("weight",), self.weight
        for index, name in enumerate(self.keep):
            yield ("keep", index), name
        if self.window is not None:
            for index, name in enumerate(self.window.time_columns):
                is_only = isinstance(self.window.time, str)
                yield (("window", "time") if is_only else ("window", "time", index)), name
            if self.window.group is not None:
                yield ("window", "group"), self.window.group

    def may_be_feature(self, name: str) -> bool:
        """Say whether a column can be a feature: it has no role, or `features` names it.

        The past of a forecast's targets always is.
        """
        if self.window is not None and name in self.window.targets:
            return True
        if self.features is not None:
            return name in self.features
        return name not in self.targets and all(name != column for _, column in self.roles())

    @property
    def selection(self) -> Selection:
        """What is read of a database or a workbook."""
        return Selection(self.query, self.sheet)

    @property
    def text_format(self) -> TextFormat:
        """How text files are written, as far as the config says so."""
        return TextFormat(
            separator=_said(self.separator),
            decimal=_said(self.decimal),
            thousands=_said(self.thousands),
            encoding=_said(self.encoding),
            quote=_said(self.quote),
            header=None if self.header == "auto" else self.header,
            names=self.names,
            date_formats=None if self.date_formats == "auto" else self.date_formats,
            missing_values=self.missing_values,
            labels=frozenset(self._labels()),
        )

    def _labels(self) -> Iterator[str]:
        """Yield the columns that are said to be neither numbers nor dates."""
        for name, kind in self.kinds.items():
            if not issubclass(kind_named(kind), OrderedColumn):
                yield name
        for name in self.targets:
            task = self.task_of(name)
            if task is not None and not is_of_numbers(task):
                yield name

    @field_validator("path", "validation_path", "test_path")
    @classmethod
    def _refuse_passwords(cls, path: DataPath | None) -> DataPath | None:
        for item in [path] if isinstance(path, str) else path or ():
            if has_password(item):
                raise ValueError(
                    "a password in a config would be copied to the run folder; write "
                    "${env:NAME} for it, and set that environment variable"
                )
        return path

    @model_validator(mode="before")
    @classmethod
    def _take_target(cls, data: Any) -> Any:  # noqa: ANN401 - whatever a config holds
        """Take the first target of a forecast for the target."""
        if not isinstance(data, dict) or data.get("window") is None or "target" in data:
            return data
        window = data["window"]
        targets = window.get("targets") if isinstance(window, dict) else None
        first = targets[0] if isinstance(targets, list | tuple) and targets else None
        # Where they are wrong, what is wrong is said there.
        return {**data, "target": first if isinstance(first, str) else "-"}

    @model_validator(mode="after")
    def _check_window(self) -> Self:
        """Refuse what forecasts leave no room for."""
        window = self.window
        if window is None:
            if self.task == "forecast":
                raise ValueError("`task: forecast` needs `window`, which says what a forecast is")
            return self
        if self.target != window.targets[0]:
            raise ValueError(
                "`target` is for tables of rows: a forecast's are `window.targets`; leave it out"
            )
        if self.task not in (None, "forecast"):
            raise ValueError(f"`task: {self.task}` does nothing beside `window`; leave it out")
        for key in ("weight", "validation_path", "test_path", "shape", "order"):
            if getattr(self, key) is not None:
                raise ValueError(f"`{key}` can't be used with `window` yet; leave it out")
        if self.streaming is True:
            raise ValueError("windows are cut from a series in memory; leave `streaming` out")
        for key in ("group", "time", "column", "seed"):
            if getattr(self.split, key) is not None:
                raise ValueError(
                    f"windows are split by `window.time`; leave `split.{key}` out, and give "
                    "fractions of the time, as in split: {validation: 0.2, test: 0.2}"
                )
        used = self.features
        lacking = [name for name in window.known if used is not None and name not in used]
        if lacking:
            raise ValueError(f"'{lacking[0]}' of `window.known` is not listed in `features`")
        return self

    @model_validator(mode="after")
    def _check_targets(self) -> Self:
        twice = {name for name in self.targets if self.targets.count(name) > 1}
        if twice:
            raise ValueError(f"`target` has duplicates: {', '.join(sorted(twice))}")
        for key in ("task", "target_scale", "order"):
            by_target = getattr(self, key)
            unknown = by_target.keys() - self.targets if isinstance(by_target, dict) else None
            if unknown:
                raise ValueError(
                    f"`{key}` names '{min(unknown)}', which is no target; the targets: "
                    f"{', '.join(self.targets)}"
                )
        for name in self.targets:
            if len(self.targets) > 1 and self.task_of(name) == "forecast":
                raise ValueError("several targets are forecast by `window.targets`, not `target`")
            order = self.settings_of(name).order or ()
            task = self.task.get(name) if isinstance(self.task, dict) else self.task
            if order and task not in (None, "ordinal"):
                raise ValueError(f"`order` is for `task: ordinal`, not for {task}")
            twice = {label for label in order if order.count(label) > 1}
            if twice:
                raise ValueError(f"`order` has duplicates: {', '.join(sorted(twice))}")
        return self

    @model_validator(mode="after")
    def _check(self) -> Self:
        for role, name in self.roles():
            if name in self.targets and role[0] != "keep":
                raise ValueError(f"the target '{name}' can't be `{'.'.join(map(str, role))}` too")
        for key in ("features", "keep"):
            names = getattr(self, key) or ()
            # The past of a forecast's targets is seen, whether it is listed or not.
            is_allowed = key == "features" and self.window is not None
            for name in self.targets:
                if name in names and not is_allowed:
                    raise ValueError(f"the target '{name}' is listed in `{key}`")
            twice = {name for name in names if names.count(name) > 1}
            if twice:
                raise ValueError(f"`{key}` has duplicates: {', '.join(sorted(twice))}")
        both = [name for name in self.keep if name in (self.features or ())]
        if both:
            raise ValueError(
                f"'{both[0]}' is listed in `keep`, for columns that are no features, and in "
                "`features`; take it out of one"
            )
        if self.weight is not None and self.weight in (self.features or ()):
            raise ValueError(
                f"the weight column '{self.weight}' is listed in `features`; take it out there"
            )
        if self.decimal != "auto" and self.decimal == self.thousands:
            raise ValueError(f"`decimal` and `thousands` can't both be {self.decimal!r}")
        if self.names is not None and self.header is True:
            raise ValueError("`names` are for files without a header line; leave it out")
        for part in ("validation", "test"):
            if getattr(self, f"{part}_path") is None:
                continue
            if getattr(self.split, part) or self.split.column:
                raise ValueError(f"the {part} rows come from {part}_path or from `split`, not both")
            for key in ("group", "time"):
                if getattr(self.split, key):
                    raise ValueError(
                        f"`split.{key}` keeps its promise within one file only: put the rows of "
                        f"{part}_path into `path`, and give a fraction (`split.{part}`) instead"
                    )
        return self


def _said(value: str) -> str | None:
    """Return what is said of how a file is written; None: nothing."""
    return {"auto": None, "none": ""}.get(value, value)
