"""A loaded config → a search that can start, or its problems; without torch."""

from collections.abc import Generator
from dataclasses import dataclass, replace

from dlcli.config import LoadedConfig
from dlcli.config.sections.tune import Spread, TuneConfig
from dlcli.data.folding.rows import FoldedRows, reading_folds
from dlcli.data.stream import Reading
from dlcli.runs.comparison.comparable import refuse_streamed
from dlcli.runs.preparation import Prepared, preparing
from dlcli.runs.searching.usual_space import usual_space


@dataclass(frozen=True)
class Searchable:
    """A run that can start, and the settings to try with it."""

    prepared: Prepared  # its config names the space
    folds: FoldedRows | None  # that judge; None: the validation rows do
    notes: tuple[str, ...]

    @property
    def tune(self) -> TuneConfig:
        """The section, with its space."""
        return self.prepared.config.tune

    @property
    def space(self) -> dict[str, Spread]:
        """The values by key."""
        assert self.tune.space is not None, "it was filled in"
        return self.tune.space


def preparing_search(loaded: LoadedConfig) -> Generator[Reading, None, Searchable]:
    """Read the data and check that everything fits, as `preparing` does; fill in the space.

    Raises ConfigError, DataError, StorageError.
    """
    prepared = yield from preparing(loaded)
    if "validation" not in prepared.dataset.num_rows:
        raise loaded.error(
            ("data", "split"),
            "there are no validation rows to judge settings by; hold some out, as in data.split: "
            "{validation: 0.2}",
        )
    refuse_streamed(loaded, prepared)
    yield from prepared.dataset.decoding()
    tune, notes = prepared.config.tune, list[str]()
    if tune.space is None:
        tune = tune.model_copy(update={"space": usual_space(loaded.config)})
        notes.append("the space is one that fits the network (tune.space)")
    if "test" not in prepared.dataset.num_rows:
        notes.append("no test rows: only the estimate says how the best settings do on others")
    if prepared.config.training.max_seconds is not None:
        notes.append(
            "training.max_seconds does nothing here: trials end by their epochs, whatever time "
            "they take (tune.time limits the search)"
        )
    folds = None
    if tune.folds is not None:
        folds = yield from reading_folds(loaded, tune.folds)
        notes.append(
            f"{tune.folds} folds of the training and validation rows judge, {tune.folds} trials a "
            "setting (tune.folds); best.yaml trains on the split"
        )
    config = prepared.config.model_copy(update={"tune": tune})
    return Searchable(replace(prepared, config=config), folds, tuple(notes))
