"""The config section `data.split`: which rows validate and test."""

from typing import Self

from pydantic import Field, model_validator

from dlcli.section import Fraction, Section
from dlcli.tables.names import ColumnName


class SplitConfig(Section):
    """Validation and test rows. A part that is left out is empty."""

    validation: Fraction = Field(
        0.0, description="fraction of the rows used for validation during training"
    )
    test: Fraction = Field(0.0, description="fraction of the rows used for the final test metrics")
    seed: int | None = Field(
        None, ge=0, description="seed of the random split; default: the config's `seed`"
    )
    group: ColumnName | None = Field(
        None,
        description="a column whose rows of one value belong together (a patient, a customer): "
        "each group is in one part only. It is no feature unless `features` names it",
    )
    time: ColumnName | None = Field(
        None,
        description="a column of dates or numbers: the latest rows are the test rows, those before "
        "them the validation rows. It is no feature unless `features` names it",
    )
    column: ColumnName | None = Field(
        None,
        description="instead of fractions: a column with the values train, validation and test",
    )

    @property
    def has_fractions(self) -> bool:
        """Whether any part is given as a fraction."""
        return bool(self.validation or self.test)

    @property
    def is_drawn(self) -> bool:
        """Whether a seed decides which rows are held out."""
        return self.has_fractions and self.time is None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.column is not None and (self.has_fractions or self.seed is not None):
            raise ValueError("give either `column` or fractions (`validation`, `test`, `seed`)")
        if self.group is not None and self.time is not None:
            raise ValueError(
                "give either `group` or `time`: a group with early and late rows can't be in one "
                "part; for both, make a `column` of parts yourself"
            )
        for key in ("group", "time"):
            if getattr(self, key) is None:
                continue
            if self.column is not None:
                raise ValueError(f"give either `column` or `{key}`: both say where rows belong")
            if not self.has_fractions:
                raise ValueError(f"`{key}` does nothing without fractions (`validation`, `test`)")
        if self.seed is not None and self.time is not None:
            raise ValueError("`seed` does nothing with `time`: no rows are drawn; leave it out")
        if self.seed is not None and not self.has_fractions:
            raise ValueError("`seed` does nothing without fractions (`validation`, `test`)")
        if self.validation + self.test >= 1:
            raise ValueError(
                f"validation {self.validation} and test {self.test} leave no rows for training"
            )
        return self
