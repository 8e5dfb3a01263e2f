"""A loaded config → folds that can be trained, or every problem; without torch."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace

from dlcli.config import Config, LoadedConfig
from dlcli.config.sections.folds import FoldsConfig
from dlcli.data.folding.rows import FoldedRows, reading_folds
from dlcli.data.stream import Reading
from dlcli.errors import ConfigError
from dlcli.runs.preparation import Prepared, preparing
from dlcli.seeds import derive_seed
from dlcli.trials.trial import Trial


@dataclass(frozen=True)
class PreparedFolds:
    """Folds that can be trained: config, data and network fit together."""

    first: Prepared  # of the first fold; with the notes on all of them
    rows: FoldedRows
    settings: FoldsConfig

    @property
    def config(self) -> Config:
        """The resolved config."""
        return self.first.config

    @property
    def trials(self) -> tuple[Trial, ...]:
        """A trial for each fold of each repeat, each with a seed of its own."""
        return tuple(
            Trial(changes={}, seed=derive_seed(self.config.seed, "trial", fold), fold=fold)
            for fold in range(self.settings.num_trials)
        )


def preparing_folds(loaded: LoadedConfig) -> Generator[Reading, None, PreparedFolds]:
    """Read the data, cut it, and check that everything fits, as `preparing` does.

    The config has `folds`. Raises ConfigError, DataError, StorageError.
    """
    settings = loaded.config.folds
    if settings is None:
        raise ConfigError(*loaded.problems, "folds: left out; say how many, as in folds: 5")
    found = list(loaded.problems)
    if loaded.config.model.start_from is not None:
        found.append(
            loaded.problem(
                ("model", "start_from"),
                "folds can't begin with the weights of a run, which has seen the rows that they "
                "hold out; leave it out, or train without folds",
            )
        )
    if loaded.config.training.shards > 1:
        found.append(
            loaded.problem(
                ("training", "shards"),
                "the networks of folds train side by side, each on whole batches; leave it out",
            )
        )
    if found:
        raise ConfigError(*loaded.in_order(found))
    rows = yield from reading_folds(loaded, settings.folds, settings.repeats)
    first = yield from preparing(rows.loaded, dataset=rows.dataset(0, with_test=True))
    yield from first.dataset.decoding()
    notes = (*rows.whole.notes, *_notes(loaded, rows), *_without_data_notes(first, rows))
    # The config that is written has what was found of the rows; its split is as it was.
    dataset = replace(first.dataset, columns=rows.whole.columns)
    return PreparedFolds(replace(first, notes=notes, dataset=dataset), rows, settings)


def _without_data_notes(first: Prepared, rows: FoldedRows) -> Iterator[str]:
    """Yield what the first fold has to say that is not of its rows alone."""
    known = {*rows.whole.notes, *first.dataset.notes}
    yield from (note for note in first.notes if note not in known)


def _notes(loaded: LoadedConfig, rows: FoldedRows) -> Iterator[str]:
    split, num_rows = loaded.config.data.split, len(rows.rows)
    if split.validation:
        yield (
            f"the rows that data.split.validation would hold out are among the {num_rows:,} that "
            "are cut into folds (folds)"
        )
    if split.time is not None:
        early = num_rows - int(rows.held_out.sum())
        yield (
            f"each fold trains on earlier rows than it holds out, by '{split.time}'; the first "
            f"{early:,} rows are held out by none (data.split.time)"
        )
    elif split.group is not None:
        yield f"each '{split.group}' is held out as a whole (data.split.group)"
    training = loaded.config.training
    if training.max_seconds is not None:
        yield "training.max_seconds does nothing here: each fold trains to its end"
    if loaded.config.calibration != "none" and rows.whole.fitted.target.has_classes:
        yield "the ensemble's probabilities are not calibrated by a temperature (calibration)"
    if loaded.config.trackers:
        yield "trackers are told nothing of folds (trackers)"
