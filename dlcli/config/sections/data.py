"""The config section `data`: files, target, features, splits and encoding."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from dlcli.columns.base import Scale
from dlcli.columns.family import ColumnKind
from dlcli.section import ALL_DEFAULTS, Fraction, PositiveInt, Section, Size
from dlcli.targets.task import Task

MISSING_VALUES = ("", "NA", "N/A", "NaN", "nan", "null", "NULL")

Separator = Literal[",", ";", "\t", "|"]
Shape = Annotated[tuple[Size, ...], Field(strict=False, min_length=1, max_length=3)]


class SplitConfig(Section):
    """Validation and test rows. A part that is left out is empty."""

    validation: Fraction = Field(
        0.0, description="fraction of the rows used for validation during training"
    )
    test: Fraction = Field(0.0, description="fraction of the rows used for the final test metrics")
    seed: int | None = Field(
        None, ge=0, description="seed of the random split; default: the config's `seed`"
    )
    column: str | None = Field(
        None,
        description="instead of fractions: a column with the values train, validation and test",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.column is not None and (self.validation or self.test or self.seed is not None):
            raise ValueError("give either `column` or fractions (`validation`, `test`, `seed`)")
        if self.seed is not None and not self.validation + self.test:
            raise ValueError("`seed` does nothing without fractions (`validation`, `test`)")
        if self.validation + self.test >= 1:
            raise ValueError(
                f"validation {self.validation} and test {self.test} leave no rows for training"
            )
        return self


class DataConfig(Section):
    """The data: a table, its target and its features."""

    path: str = Field(
        min_length=1, description="a .csv or .parquet file, relative to the config's folder"
    )
    target: str = Field(min_length=1, description="the column to predict")
    features: Annotated[tuple[str, ...], Field(strict=False, min_length=1)] | None = Field(
        None, description="columns to predict from; default: all other columns that can be used"
    )
    kinds: dict[str, ColumnKind] = Field(
        {}, description="kinds of columns, overriding the inferred ones"
    )
    task: Task | None = Field(
        None, description="what is predicted; default: inferred from the target"
    )
    scale: Scale = Field(
        "standard",
        description="scaling of numeric features, fitted on the training rows: to mean 0 and "
        "standard deviation 1, to the range 0 to 1, or none",
    )
    target_scale: Literal["standard", "none"] = Field(
        "standard",
        description="scaling of a regression target inside the network; losses, metrics and "
        "predictions are in its original units",
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
    separator: Separator = Field(",", description="separator of the cells of a CSV file")
    drop_missing_target: bool = Field(
        False, description="leave out rows without a target, instead of rejecting the data"
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
    split: SplitConfig = Field(
        ALL_DEFAULTS, validate_default=True, description="the validation and test rows"
    )
    validation_path: str | None = Field(
        None, description="file with the validation rows, relative to the config's folder"
    )
    test_path: str | None = Field(
        None, description="file with the test rows, relative to the config's folder"
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.features is not None:
            if self.target in self.features:
                raise ValueError(f"the target '{self.target}' is listed in `features`")
            twice = {name for name in self.features if self.features.count(name) > 1}
            if twice:
                raise ValueError(f"`features` has duplicates: {', '.join(sorted(twice))}")
        for part in ("validation", "test"):
            if getattr(self, f"{part}_path") and (getattr(self.split, part) or self.split.column):
                raise ValueError(f"the {part} rows come from {part}_path or from `split`, not both")
        return self
