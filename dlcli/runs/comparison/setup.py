"""A prepared config → the setup of its trials, of trials that change it, and what executes them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch

from dlcli.config import Config, LoadedConfig
from dlcli.config.sections.data import DataConfig
from dlcli.data.dataset import Dataset
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
    prepared: Prepared,
    placement: Placement,
    halves: np.ndarray | None = None,
    *,
    has_test: bool = True,
) -> SharedSetup:
    """Put the rows on their device, beside all but optimizer and seed; rows that are held.

    `halves` are those of the rows that a fold holds out, bool [rows]. Unless it `has_test`, the
    test rows are left where they are.
    """
    rows = {
        name: to_rows(part, placement.device)
        for name, part in prepared.dataset.parts.items()
        if has_test or name != "test"
    }
    setup = _setup(prepared, placement, rows)
    if halves is None:
        return setup
    return replace(setup, halves=torch.from_numpy(halves), fitted=prepared.dataset.fitted)


def build_fold_resolver(
    rows: FoldedRows, first: Prepared, placement: Placement, *, keeps_rows: bool = False
) -> TrialResolver:
    """Return what finds the setups of trials of folds; `first` is the prepared first fold.

    Those of other folds, and of trials that change the config, are built when they are asked for,
    and stay until they are forgotten. Test rows are in none of them. If it `keeps_rows`, those of a
    fold are encoded once for all configs with the same `data`, and stay.
    """
    kept: list[tuple[DataConfig, int, Dataset, SharedSetup]] = []

    def build(changed: LoadedConfig, fold: int | None) -> SharedSetup:
        assert fold is not None, "the data are folded"
        data, training = changed.config.data, changed.config.training
        place = choose_placement(training.device, training.precision)
        for same_data, same_fold, dataset, setup in kept:
            if (same_data, same_fold) == (data, fold):
                prepared = prepare(changed, dataset, is_trial=True)
                if prepared.dataset is dataset:  # its layers asked for no other bins
                    new = _setup(prepared, place, _rows_of(setup))
                    return replace(new, halves=setup.halves, fitted=setup.fitted)
        dataset = rows.dataset(fold, changed)
        prepared = prepare(changed, dataset, is_trial=True)
        new = build_setup(prepared, place, rows.halves(fold), has_test=False)
        if keeps_rows:
            kept.append((data, fold, dataset, new))
        return new

    base = replace(build_setup(first, placement, rows.halves(0)), test=None)
    return TrialResolver(rows.loaded, base, build, fold=0)


def build_resolver(
    prepared: Prepared, placement: Placement, *, has_test: bool = True
) -> TrialResolver:
    """Return what finds the setups of trials that change a prepared config.

    Rows are shared by all trials with the same `data`; there are test rows if it `has_test`.
    """
    base = build_setup(prepared, placement, has_test=has_test)
    read = [(prepared.loaded.config.data, prepared.dataset, base)]

    def build(changed: LoadedConfig, fold: int | None) -> SharedSetup:
        assert fold is None, "a comparison's data are not folded"
        config, seed = changed.config, prepared.loaded.config.seed
        known = (one for one in read if (one[0], seed) == (config.data, config.seed))
        same = next(known, None)
        new = prepare(changed, None if same is None else same[1], is_trial=True)
        refuse_streamed(changed, new)
        place = choose_placement(config.training.device, config.training.precision)
        is_same = same is not None and new.dataset is same[1]  # layers can ask for other bins
        if same is not None and is_same and place.device == placement.device:
            return _setup(new, place, _rows_of(same[2]))
        setup = build_setup(new, place, has_test=has_test)
        if same is None:
            read.append((config.data, new.dataset, setup))
        return setup

    return TrialResolver(prepared.loaded, base, build)


def _rows_of(setup: SharedSetup) -> dict[str, Rows]:
    parts = {"train": setup.train, "validation": setup.validation, "test": setup.test}
    return {name: part for name, part in parts.items() if part is not None}


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
