"""A run folder or config → an `ExplainedModel`: a network with its rows."""

from pathlib import Path

from dlcli.config import LoadedConfig
from dlcli.data.dataset import load_tables
from dlcli.data.fitted import FittedData
from dlcli.data.kept_rows import max_rows_of
from dlcli.explaining.explained_model import ExplainedModel, ExplainedRows
from dlcli.runs.evaluate import config_of_run
from dlcli.runs.folder.run_folder import find_checkpoint
from dlcli.runs.preparation import Prepared
from dlcli.runs.restore import restore
from dlcli.runs.untrained import untrained_network
from dlcli.training.device import Placement, choose_placement
from dlcli.training.engines.threads import most_threads
from dlcli.training.rows.batches import to_rows


def load_model_and_data(run: Path) -> ExplainedModel:
    """Restore a run's best network and load its data.

    Raises CheckpointError if there is no usable network, DataError if its data is missing or has
    changed, StorageError.
    """
    path = find_checkpoint(run)
    restored = restore(path)
    loaded = config_of_run(path, restored)
    return ExplainedModel(
        network=restored.network.eval(),
        plan=restored.plan,
        loss=restored.loss,
        fitted=restored.fitted,
        placement=restored.placement,
        parts=_parts(loaded, restored.fitted, restored.placement),
        seed=restored.checkpoint.config.seed,
        group=loaded.config.data.split.group,
        num_threads=most_threads(loaded.config.training),
        temperature=restored.temperature,
    )


def untrained_model_and_data(loaded: LoadedConfig, prepared: Prepared) -> ExplainedModel:
    """Build a config's untrained network and load its data; DataError, StorageError.

    ConfigError for forecasts.
    """
    if loaded.config.data.window is not None:
        raise loaded.error(
            ("data", "window"),
            "a plane is drawn of two columns, and a window has many numbers: plot another config",
        )
    config, fitted = prepared.config, prepared.dataset.fitted
    placement = choose_placement("cpu", "fp32")
    return ExplainedModel(
        network=untrained_network(prepared, placement.device).eval(),
        plan=prepared.plan,
        loss=prepared.loss,
        fitted=fitted,
        placement=placement,
        parts=_parts(loaded, fitted, placement),
        seed=config.seed,
        group=config.data.split.group,
        num_threads=most_threads(config.training),
    )


def _parts(
    loaded: LoadedConfig, fitted: FittedData, placement: Placement
) -> dict[str, ExplainedRows]:
    return {
        name: ExplainedRows(
            to_rows(fitted.encode(table)[0], placement.device),
            table.with_short_paths(),
        )
        for name, table in load_tables(loaded, max_rows_of(fitted.input_fields)).items()
    }
