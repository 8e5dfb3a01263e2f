"""Whether several processes are about to do the same."""

import platform
from collections.abc import Callable
from typing import Any

import torch

from dlcli import __version__
from dlcli.data.image_checksums import table_key
from dlcli.errors import ConfigError
from dlcli.runs.preparation import Prepared
from dlcli.runs.training.resume import differences
from dlcli.training.processes.group import Group


def prepare_alike(group: Group, prepare: Callable[[], Prepared]) -> Prepared:
    """Prepare a run in each process of a group.

    Raises what one of them raises, and ConfigError where they differ, in the first process;
    FailedElsewhere in the others.
    """
    found: list[Prepared] = []

    def describe() -> dict[str, Any]:
        found.append(prepare())
        return _description(found[0])

    descriptions = group.together(describe)
    group.together(lambda: _refuse_differences(descriptions))
    return found[0]


def _description(prepared: Prepared) -> dict[str, Any]:
    """Return what must be the same everywhere: paths may differ, what the files hold may not."""
    config = prepared.config.model_dump(mode="json")
    for key in set(map(table_key, prepared.dataset.checksums)):
        config["data"].pop(key)
    return {
        "config": config,
        "data": prepared.checksums,
        "versions": {
            "dlcli": __version__,
            "torch": torch.__version__,
            "machine": platform.machine(),
        },
    }


def _refuse_differences(descriptions: list[dict[str, Any]]) -> None:
    for rank, other in enumerate(descriptions):
        for key, (first, now) in differences(descriptions[0], other):
            raise ConfigError(
                f"the processes differ in {key}: {first} in process 0, {now} in process {rank}; "
                "give all of them the same config, data and versions"
            )
