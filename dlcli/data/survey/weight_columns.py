"""Columns that may say how much each row counts."""

import re
from collections.abc import Iterator, Mapping

import polars as pl

from dlcli.columns.cells import parse_numbers

_NAME = re.compile(
    r"((sample|row|case|survey|person|household|design|final|freq|frequency|expansion)[_ .-]?)?"
    r"(weights?|wgts?|wts?)|fnlwgt|[fp]weights?",
    re.IGNORECASE,
)


def weight_findings(columns: Mapping[str, pl.Series], *, are_listed: bool) -> Iterator[str]:
    """Yield which columns, null where missing, are named like weights of rows and could be some.

    `are_listed`: whether the config lists them among the features.
    """
    for name, cells in columns.items():
        if _NAME.fullmatch(name) is None or cells.null_count():
            continue
        numbers = parse_numbers(cells)
        if not numbers.null_count() and float(numbers.min()) >= 0:  # type: ignore[arg-type]
            also = " and take it out of data.features" if are_listed else ""
            yield (
                f"'{name}' is named like a weight: if it says how much each row counts (how many "
                f"rows or people it stands for), set data.weight: {name}{also}; it is no feature "
                "then, and losses and metrics are weighted"
            )
