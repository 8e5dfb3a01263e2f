"""Examples of any fields, drawn by hypothesis."""

import numpy as np
from hypothesis import strategies as st

from dlcli.data.fields import Examples, Field

INPUTS = (
    Field("numbers", np.dtype(np.float32), (3,)),
    Field("codes", np.dtype(np.int32), (1,)),
    Field("pixels", np.dtype(np.uint8), (2, 2)),
    Field("tokens", np.dtype(np.int32), (), is_ragged=True),
    Field("track", np.dtype(np.float32), (2,), is_ragged=True),
)
TARGETS = (
    Field("target", np.dtype(np.int64), ()),
    Field("words", np.dtype(np.int16), (), is_ragged=True),
)


def make(num_rows: int, seed: int, fields: tuple[Field, ...] = (*INPUTS, *TARGETS)) -> Examples:
    """Return rows of random values; some rows of ragged fields are empty."""
    random = np.random.default_rng(seed)
    arrays, lengths = {}, {}
    for field in fields:
        count = num_rows
        if field.is_ragged:
            lengths[field.name] = random.integers(0, 6, num_rows)
            count = int(lengths[field.name].sum())
        values = random.integers(0, 200, (count, *field.shape))
        arrays[field.name] = values.astype(field.dtype)
    targets = {field.name for field in TARGETS}
    return Examples(
        {name: array for name, array in arrays.items() if name not in targets},
        {name: array for name, array in arrays.items() if name in targets},
        num_rows,
        lengths,
    )


def rows_of(examples: Examples) -> list[dict[str, list[object]]]:
    """Return each row by itself, its values by field."""
    columns: dict[str, list[list[object]]] = {}
    for name, array in {**examples.inputs, **examples.targets}.items():
        if name in examples.lengths:
            starts = np.cumsum(examples.lengths[name]) - examples.lengths[name]
            bounds = zip(starts, examples.lengths[name], strict=True)
            columns[name] = [array[start : start + length].tolist() for start, length in bounds]
        else:
            columns[name] = array.tolist()
    return [{name: column[row] for name, column in columns.items()} for row in range(len(examples))]


made = st.builds(make, st.integers(0, 12), st.integers(0, 2**16))
