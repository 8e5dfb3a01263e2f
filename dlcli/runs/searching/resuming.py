"""Going on with a search: which changes of config and data leave it the same."""

from dlcli.config import load_config
from dlcli.errors import CheckpointError, ConfigError
from dlcli.runs.comparison.finished_trials import FinishedTrials
from dlcli.runs.folder.run_folder import RunFolder
from dlcli.runs.preparation import Prepared
from dlcli.runs.training.resume import compare_with_saved, differences

_MORE = ("trials", "time")  # a search that goes on may have more of them


def check_resumable(folder: RunFolder, prepared: Prepared) -> tuple[str, ...]:
    """Refuse to go on with a search of other data or another config; return what changed.

    Raises CheckpointError, ConfigError and DataError.
    """
    if not folder.config.exists():
        return ()
    if not folder.rounds.exists():
        raise CheckpointError(
            f"{folder.path}: no search to resume: it has no {folder.rounds.name}; name another "
            "--run-dir"
        )
    was = load_config(folder.config).config
    changed = differences(
        was.tune.model_dump(mode="json"), prepared.config.tune.model_dump(mode="json"), "tune"
    )
    for key, (before, after) in changed:
        is_more = key in {f"tune.{name}" for name in _MORE} and (
            after is None or (before is not None and after >= before)
        )
        if not is_more:
            raise ConfigError(
                f"{folder.path}: {key} was {before}, and is {after} now: trials would be chosen "
                "otherwise; resume with the same (its config is "
                f"{folder.config}), or start a new search in another --run-dir"
            )
    checksums = FinishedTrials(folder, prepared.checksums).checksums
    return tuple(compare_with_saved(folder, was, checksums, prepared, lambda _: ""))
