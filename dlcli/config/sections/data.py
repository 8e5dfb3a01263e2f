"""The config's `data`: the file, its target, and what becomes of each column."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from dlcli.columns.base import Scale
from dlcli.columns.family import ColumnKind
from dlcli.section import Fraction, PositiveInt, Section, Size

Task = Literal["binary", "multiclass", "regression"]

MISSING_VALUES = ("", "NA", "N/A", "NaN", "nan", "null", "NULL")

Separator = Literal[",", ";", "\t", "|"]
Shape = Annotated[tuple[Size, ...], Field(strict=False, min_length=1, max_length=3)]


class SplitConfig(Section):
    """Which rows are held out. A part left out is empty."""

    validation: Fraction = Field(0.0, description="share of the rows held out to watch training")
    test: Fraction = Field(0.0, description="share of the rows held out for the final figures")
    seed: int | None = Field(
        None, ge=0, description="draws the parts; the config's `seed` where left out"
    )
    column: str | None = Field(
        None, description="instead of shares: a column that says train, validation or test"
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.column is not None and (self.validation or self.test or self.seed is not None):
            raise ValueError("give either `column` or shares (`validation`, `test`, `seed`)")
        if self.seed is not None and not self.validation + self.test:
            raise ValueError("`seed` does nothing without shares (`validation`, `test`)")
        if self.validation + self.test >= 1:
            raise ValueError(
                f"validation {self.validation} and test {self.test} leave no rows for training"
            )
        return self


class DataConfig(Section):
    """The table to learn from."""

    path: str = Field(
        min_length=1, description="a .csv or .parquet file, relative to the config's folder"
    )
    target: str = Field(min_length=1, description="the column to predict")
    features: Annotated[tuple[str, ...], Field(strict=False, min_length=1)] | None = Field(
        None, description="the columns to predict from; default: every other one that can be used"
    )
    kinds: dict[str, ColumnKind] = Field(
        {}, description="the kind of a column, where the inferred one is not wanted"
    )
    task: Task | None = Field(None, description="default: inferred from the target")
    scale: Scale = Field(
        "standard",
        description="numeric features, fitted on the training rows: mean 0 and standard deviation "
        "1, or the range 0 to 1, or as they are",
    )
    target_scale: Literal["standard", "none"] = Field(
        "standard",
        description="a regression's target inside the network; results are in its own units",
    )
    one_hot_max: int = Field(
        10, ge=1, le=1000, description="categories up to which a column is one-hot, not embedded"
    )
    embedding_dim: PositiveInt | None = Field(
        None,
        le=4096,
        description="numbers that stand for a category of an embedded column; "
        "default: 1.6 × categories^0.56, at most 50",
    )
    missing_values: Annotated[tuple[str, ...], Field(strict=False)] = Field(
        MISSING_VALUES, description="cells of a CSV file that mean: no value"
    )
    separator: Separator = Field(",", description="what stands between a CSV file's cells")
    drop_missing_target: bool = Field(
        False, description="leave out rows without a target, instead of refusing them"
    )
    streaming: Literal["auto"] | bool = Field(
        "auto",
        description="whether rows stay on disk and are read anew in each epoch, in memory that "
        "does not grow with the file; auto: when their table would fill more than a quarter of the "
        "memory that is free",
    )
    shape: Shape | None = Field(
        None,
        description="the numeric features, in column order, as one array: [channels, length] or "
        "[channels, height, width]",
    )
    split: SplitConfig = Field(SplitConfig(), description="the rows held out")
    validation_path: str | None = Field(
        None, description="a file of its own for the validation rows, relative to the config"
    )
    test_path: str | None = Field(
        None, description="a file of its own for the test rows, relative to the config"
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.features is not None:
            if self.target in self.features:
                raise ValueError(f"the target '{self.target}' stands among the features")
            twice = {name for name in self.features if self.features.count(name) > 1}
            if twice:
                raise ValueError(f"features named twice: {', '.join(sorted(twice))}")
        for part in ("validation", "test"):
            if getattr(self, f"{part}_path") and (getattr(self.split, part) or self.split.column):
                raise ValueError(f"the {part} rows come from {part}_path or from `split`, not both")
        return self
