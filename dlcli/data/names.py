"""The names of columns that a config gives, and whether they are there."""

from collections.abc import Iterator

from dlcli.config import LoadedConfig
from dlcli.config.sections.data import DataConfig
from dlcli.errors import Problem, suggest
from dlcli.tables.table import Table


def name_problems(loaded: LoadedConfig, table: Table) -> Iterator[Problem]:
    """Yield a problem for every column that the config names and can't have there."""
    config = loaded.config.data
    named = [
        *((("data", "target"), name) for name in [config.target]),
        *((("data", "features", index), name) for index, name in enumerate(config.features or ())),
        *((("data", "kinds", name), name) for name in config.kinds),
        *((("data", "split", "column"), name) for name in [config.split.column] if name),
    ]
    known = table.frame.columns
    for path, name in named:
        if name not in known:
            hint = suggest(name, known) or f"; its columns: {', '.join(known[:20])}"
            yield loaded.problem(path, f"{table.source} has no column '{name}'{hint}")
    for name in config.kinds:
        path = ("data", "kinds", name)
        if name == config.target:
            yield loaded.problem(path, "the target has no kind; set data.task instead")
        elif name == config.split.column:
            yield loaded.problem(path, f"does nothing: '{name}' is the split column")
        elif name in known and config.features is not None and name not in config.features:
            yield loaded.problem(path, f"does nothing: '{name}' is not among data.features")
    if config.features is not None and config.split.column in config.features:
        yield loaded.problem(("data", "features"), "the split column is no feature")


def without_unknown(config: DataConfig, known: list[str]) -> DataConfig | None:
    """Return the config without the names that are not known; None where it can't do without."""
    needed = [config.target, *([config.split.column] if config.split.column else [])]
    features = config.features
    if features is not None:
        features = tuple(name for name in features if name in known and name not in needed)
    if features == () or not set(needed) <= set(known):
        return None
    kinds = {
        name: kind for name, kind in config.kinds.items() if name in known and name not in needed
    }
    return config.model_copy(update={"features": features, "kinds": kinds})
