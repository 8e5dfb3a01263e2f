"""Cells that are lists, as text in the notation of JSON."""

import polars as pl


def are_labels(dtype: pl.DataType) -> bool:
    """Say whether cells of a type are lists of text, whole numbers or booleans."""
    if not isinstance(dtype, pl.List | pl.Array):
        return False
    inner = dtype.inner
    return inner in (pl.String, pl.Categorical, pl.Enum, pl.Boolean, pl.Null) or inner.is_integer()


def can_be_text(dtype: pl.DataType) -> bool:
    """Say whether cells of a type are lists that can be written as text: labels, or fractions."""
    return are_labels(dtype) or (isinstance(dtype, pl.List | pl.Array) and dtype.inner.is_float())


def lists_to_text(cells: pl.Series) -> pl.Series:
    """Return lists as JSON text, null where a cell is missing: ["a","b"], or [0.5,1.0]."""
    if isinstance(cells.dtype, pl.Array):
        cells = cells.arr.to_list()
    element = pl.element().cast(pl.String)
    escaped = element.str.replace_all("\\", "\\\\", literal=True)
    escaped = escaped.str.replace_all('"', '\\"', literal=True)
    quoted = pl.concat_str(pl.lit('"'), escaped, pl.lit('"')).fill_null("null")
    if not are_labels(cells.dtype):
        quoted = element.fill_null("null")
    column = pl.col(cells.name)
    inside = column.list.eval(quoted).list.join(",")
    return (
        cells.to_frame()
        .select(pl.concat_str(pl.lit("["), inside, pl.lit("]")))
        .to_series()
        .alias(cells.name)
    )
