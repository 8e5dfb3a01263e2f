"""A prepared config → the setup of its trials, of trials that change it, and what executes them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch

from dlcli.config import Config, LoadedConfig
from dlcli.data.folding.rows import FoldedRows
from dlcli.runs.comparison.comparable import refuse_streamed
from dlcli.runs.preparation import Prepared, prepare
from dlcli.training.device import Placement, choose_placement
from dlcli.training.engines.threads import MAX_THREADS
from dlcli.training.rows.batches import Rows, to_rows
from dlcli.trials.running.backend import Backend
from dlcli.trials.setup import SharedSetup, TrialResolver


def num_processes(config: Config) -> int:
    """Return how many processes of this machine a config's trials get."""
    threads = config.training.threads
    return MAX_THREADS if threads == "auto" else threads


@contextmanager
def open_backend(ray: str | None, configs: Sequence[Config]) -> Iterator[Backend | None]:
    """Open the Ray cluster at an address, or a `local` one with the cores that configs ask for.

    None: processes of this machine execute trials. Raises ConfigError where a cluster can't be had.
    """
    if ray is None:
        yield None
        return
    from dlcli.trials.running.cluster.cluster import open_cluster

    with open_cluster(ray, max(map(num_processes, configs))) as cluster:
        yield cluster


def build_setup(
    prepared: Prepared, placement: Placement, halves: np.ndarray | None = None
) -> SharedSetup:
    """Put the rows on their device, beside all but optimizer and seed; rows that are held.

    `halves` are those of the rows that a fold holds out, bool [rows].
    """
    parts = prepared.dataset.parts
    rows = {name: to_rows(part, placement.device) for name, part in parts.items()}
    setup = _setup(prepared, placement, rows)
    return setup if halves is None else replace(setup, halves=torch.from_numpy(halves))


def build_fold_resolver(rows: FoldedRows, first: Prepared, placement: Placement) -> TrialResolver:
    """Return what finds the setups of trials of folds; `first` is the prepared first fold.

    Those of other folds, and of trials that change the config, are built when they are asked for,
    and stay until they are forgotten. Test rows are in none of them.
    """

    def build(changed: LoadedConfig, fold: int | None) -> SharedSetup:
        assert fold is not None, "the data are folded"
        new = prepare(changed, rows.dataset(fold, changed))
        place = choose_placement(changed.config.training.device, changed.config.training.precision)
        return replace(build_setup(new, place, rows.halves(fold)), test=None)

    base = replace(build_setup(first, placement, rows.halves(0)), test=None)
    return TrialResolver(rows.loaded, base, build, fold=0)


def build_resolver(prepared: Prepared, placement: Placement) -> TrialResolver:
    """Return what finds the setups of trials that change a prepared config.

    Rows are shared by all trials that don't change `data`.
    """
    base = build_setup(prepared, placement)
    parts = {"train": base.train, "validation": base.validation, "test": base.test}
    rows = {name: part for name, part in parts.items() if part is not None}

    def build(changed: LoadedConfig, fold: int | None) -> SharedSetup:
        assert fold is None, "a comparison's data are not folded"
        config, before = changed.config, prepared.loaded.config
        has_same_data = (config.data, config.seed) == (before.data, before.seed)
        new = prepare(changed, prepared.dataset if has_same_data else None)
        refuse_streamed(changed, new)
        place = choose_placement(config.training.device, config.training.precision)
        if has_same_data and place.device == placement.device:
            return _setup(new, place, rows)
        return build_setup(new, place)

    return TrialResolver(prepared.loaded, base, build)


def _setup(prepared: Prepared, placement: Placement, rows: dict[str, Rows]) -> SharedSetup:
    config = prepared.config
    return SharedSetup(
        plan=prepared.plan,
        loss=prepared.loss,
        schedule=config.schedule,
        settings=config.training,
        target=prepared.dataset.fitted.target,
        placement=placement,
        train=rows["train"],
        validation=rows.get("validation"),
        test=rows.get("test"),
    )
