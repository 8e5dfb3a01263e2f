"""A prepared config → what all runs of a comparison share."""

from dlcli.runs.preparation import Prepared
from dlcli.training.device import Placement
from dlcli.training.rows.batches import to_rows
from dlcli.trials.trial import SharedSetup


def build_shared_setup(prepared: Prepared, placement: Placement) -> SharedSetup:
    """Put the rows on their device, beside all but optimizer and seed; rows that are held."""
    config, dataset = prepared.config, prepared.dataset
    return SharedSetup(
        plan=prepared.plan,
        loss=prepared.loss,
        schedule=config.schedule,
        settings=config.training,
        target=dataset.fitted.target,
        placement=placement,
        train=to_rows(dataset.parts["train"], placement.device),
        validation=to_rows(dataset.parts["validation"], placement.device),
    )
