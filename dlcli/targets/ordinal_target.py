"""Classes that have an order as a target: ordinal classification."""

from collections.abc import Sequence
from typing import ClassVar, Literal, final

import polars as pl

from dlcli.columns.cells import to_labels
from dlcli.errors import DataError
from dlcli.targets.base import TargetSettings
from dlcli.targets.class_target import OneOfClasses, by_size
from dlcli.targets.task import Task

_MAX_NAMED = 10


@final
class OrdinalTarget(OneOfClasses):
    """Classes from the lowest to the highest: numbers by size, others as the config orders them."""

    has_order: ClassVar[bool] = True

    kind: Literal["ordered_classes"] = "ordered_classes"

    @classmethod
    def tasks(cls) -> tuple[Task, ...]:
        return ("ordinal",)

    @property
    def task(self) -> Task:
        return "ordinal"

    @classmethod
    def _ordered(
        cls, classes: list[str], about: str, task: Task, settings: TargetSettings
    ) -> Sequence[str]:
        del task
        if settings.order is None:
            ordered = by_size(classes)
            if ordered is None:
                some = ", ".join(sorted(classes)[:_MAX_NAMED])
                more = ", …" if len(classes) > _MAX_NAMED else ""
                raise DataError(
                    f"{about} is text, which has no order of its own; list its classes in "
                    f"data.order, from the lowest to the highest: {some}{more}"
                )
            return ordered
        given = to_labels(pl.Series(settings.order, dtype=pl.String)).to_list()
        for name in sorted(classes):
            if name not in given:
                raise DataError(f"{about} has the class {name!r}, which is not in data.order")
        for name in given:
            if name not in classes:
                raise DataError(
                    f"{about} has no training row of the class {name!r} of data.order; take it out "
                    "there, or have rows of it train (data.split)"
                )
        return given
