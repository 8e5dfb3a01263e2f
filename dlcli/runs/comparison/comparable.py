"""A loaded config → a comparison that can start, or its problems; without torch."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace

from dlcli.config import LoadedConfig
from dlcli.data.stream import Reading
from dlcli.runs.comparison.candidates import Candidates, choose_candidates
from dlcli.runs.preparation import Prepared, preparing


@dataclass(frozen=True)
class Comparable:
    """A run that can start, and the optimizers to do it with."""

    prepared: Prepared  # its config names the candidates
    candidates: Candidates


def preparing_comparison(
    loaded: LoadedConfig, names: Sequence[str] | None = None
) -> Generator[Reading, None, Comparable]:
    """Read the data and check that everything fits, as `preparing` does; choose the candidates.

    `names` chooses them by name. Raises ConfigError, DataError, StorageError.
    """
    candidates = choose_candidates(loaded.config, names) if not loaded.problems else None
    prepared = yield from preparing(loaded)
    refuse_without_validation(loaded, prepared)
    refuse_streamed(loaded, prepared)
    yield from prepared.dataset.decoding()
    assert candidates is not None, "preparing refuses configs with problems"
    compare = prepared.config.compare.model_copy(update={"optimizers": candidates.as_configured()})
    config = prepared.config.model_copy(update={"compare": compare})
    return Comparable(replace(prepared, config=config), candidates)


def refuse_streamed(loaded: LoadedConfig, prepared: Prepared) -> None:
    """Raise ConfigError where rows are streamed: many runs at once share those in memory."""
    if prepared.dataset.stream is not None:
        raise loaded.error(
            ("data", "streaming"),
            "many runs at once need their rows in memory, and these are streamed; set "
            "data.streaming: false if they fit, or use a file with a part of the rows",
        )


def refuse_without_validation(loaded: LoadedConfig, prepared: Prepared) -> None:
    """Raise ConfigError where there are no validation rows."""
    if "validation" not in prepared.dataset.num_rows:
        raise loaded.error(
            ("data", "split"),
            "there are no validation rows to choose rates and judge optimizers by; hold some "
            "out, as in data.split: {validation: 0.2}",
        )
