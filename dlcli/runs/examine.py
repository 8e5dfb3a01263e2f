"""A run folder → its network and rows, ready to be asked."""

from pathlib import Path

from dlcli.data.dataset import encode_table, load_tables
from dlcli.explaining.subject import Subject, SubjectRows
from dlcli.model.heads import num_outputs
from dlcli.model.plan import plan_network
from dlcli.runs.evaluate import own_config
from dlcli.runs.restore import restore
from dlcli.runs.run_folder import find_checkpoint
from dlcli.training.batches import to_rows

MOST_ROWS = 10_000  # of each part: more of them say hardly more, and take long


def open_subject(run: Path) -> Subject:
    """Restore a run's best network, and its rows from its data.

    Raises CheckpointError where there is no network to be used, DataError where its data is gone
    or is not what it was trained on, StorageError.
    """
    path = find_checkpoint(run)
    restored = restore(path)
    loaded = own_config(path, restored)
    tables = load_tables(loaded, MOST_ROWS)
    fitted, device = restored.fitted, restored.placement.device
    signature = fitted.signature()
    layers = restored.checkpoint.config.model.layers
    return Subject(
        network=restored.network.eval(),
        plan=plan_network(layers, signature, num_outputs=num_outputs(restored.loss, signature)),
        loss=restored.loss,
        fitted=fitted,
        placement=restored.placement,
        parts={
            name: SubjectRows(to_rows(encode_table(fitted, table), device), table)
            for name, table in tables.items()
        },
        seed=restored.checkpoint.config.seed,
    )
