"""Whether each column reaches the network by one of a config's inputs, or why not."""

from collections.abc import Iterator

from dlcli.config import LoadedConfig
from dlcli.config.sections.model import TABLE
from dlcli.data.dataset import Dataset
from dlcli.errors import Problem, suggest
from dlcli.network.branches.planning import INPUTS

_MAX_LISTED = 10


def input_problems(loaded: LoadedConfig, dataset: Dataset) -> Iterator[Problem]:
    """Yield a problem for each input that is no column, and for columns that have no input."""
    inputs = loaded.config.model.inputs
    if inputs is None:
        return
    names = [column.name for column in dataset.fitted.columns]
    for name in inputs:
        if name not in (TABLE, *names):
            reason = _why_unknown(name, loaded, dataset, names)
            yield loaded.problem(("model", INPUTS, name), reason)
    others = [name for name in names if name not in inputs]
    if TABLE in inputs and not others and TABLE not in names:
        yield loaded.problem(
            ("model", INPUTS, TABLE),
            "has no columns, as each has an input of its own: leave it out",
        )
    if TABLE not in inputs and others:
        yield loaded.problem(
            ("model", INPUTS),
            f"no input has {_listed(others)}: add `table: {{layers: []}}`, the input of all "
            "columns that have none of their own, or leave them out of data.features",
        )


def _why_unknown(name: str, loaded: LoadedConfig, dataset: Dataset, names: list[str]) -> str:
    if name in loaded.config.data.targets:
        return f"'{name}' is the target, which is predicted and is no input"
    for report in dataset.columns:
        if report.name == name:
            return f"the column '{name}' is left out, {report.reason}: leave its input out, too"
    hint = suggest(name, [*names, TABLE])
    return (
        f"there is no column '{name}'{hint}; columns: {_listed(names)}; "
        "`table` is all those without an input of their own"
    )


def _listed(names: list[str]) -> str:
    """Write names, the first ones of many."""
    more = len(names) - _MAX_LISTED
    shown = ", ".join(f"'{name}'" for name in names[:_MAX_LISTED])
    return shown + (f" and {more} more" if more > 0 else "")
