"""What a cell means: missing, a boolean, a number, a datetime, a label.

The cells of a CSV file are text; those of a Parquet file have types. Both ways lead to the same
values, and a missing value is null throughout.
"""

from dlcli.columns.cells.codes import collide, describe_code, find_codes
from dlcli.columns.cells.label_text import to_labels
from dlcli.columns.cells.reading import (
    clean,
    float32_overflow_error,
    numbers_in,
    read_cells,
    refuse_unparsed,
    unparsed,
)
from dlcli.columns.cells.repairs import FEATURE, TARGET, ColumnUse
from dlcli.columns.cells.values import (
    LARGEST,
    has_encoding,
    parse_booleans,
    parse_datetimes,
    parse_numbers,
    to_seconds,
)

__all__ = [
    "FEATURE",
    "LARGEST",
    "TARGET",
    "ColumnUse",
    "clean",
    "collide",
    "describe_code",
    "find_codes",
    "float32_overflow_error",
    "has_encoding",
    "numbers_in",
    "parse_booleans",
    "parse_datetimes",
    "parse_numbers",
    "read_cells",
    "refuse_unparsed",
    "to_labels",
    "to_seconds",
    "unparsed",
]
