"""Rules over trials that change anything of a config, executed on real data."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest
from pydantic import JsonValue

from dlcli.config import load_config
from dlcli.errors import ConfigError
from dlcli.runs.comparison.setup import build_resolver
from dlcli.runs.preparation import prepare
from dlcli.trials.results import TrialResult
from dlcli.trials.rule import Rule, Stage
from dlcli.trials.running.backend import LocalProcesses
from dlcli.trials.running.executor import Executor, StageStarted, TrialFinished
from dlcli.trials.setup import TrialResolver
from dlcli.trials.trial import Trial
from tests.conftest import ROOT, Command
from tests.training.test_engines import CPU

UNITS = "model.layers[0].units"


class Kept:
    """Finished trials in memory."""

    def __init__(self) -> None:
        self.results: dict[Trial, TrialResult] = {}

    def find(self, trial: Trial, *, is_evaluated: bool) -> TrialResult | None:
        result = self.results.get(trial)
        return None if result is None or (is_evaluated and result.figures is None) else result

    def add(self, result: TrialResult) -> None:
        self.results[result.trial] = result


@dataclass
class HalvingSearch(Rule[Trial]):
    """A search: every setting on one seed, then the better half on one more, and so on."""

    settings: Sequence[dict[str, JsonValue]]
    results: Kept = field(default_factory=Kept)

    def stages(self) -> Iterator[Stage]:
        left, seed = list(self.settings), 1
        while True:
            trials = tuple(Trial(changes=changes, seed=seed) for changes in left)
            yield Stage(f"{len(left)} left", trials, is_evaluated=len(left) == 1)
            if len(left) == 1:
                return
            best = sorted(trials, key=lambda trial: self.results.results[trial].best_loss)
            left = [trial.changes for trial in best[: len(best) // 2]]
            seed += 1

    def conclude(self) -> Trial:
        [best] = [trial for trial, found in self.results.results.items() if found.figures]
        return best


def read_resolver(config: str, *settings: str) -> TrialResolver:
    loaded = load_config(ROOT / "configs" / config, ["training.device=cpu", *settings])
    return build_resolver(prepare(loaded), CPU)


def run(rule: HalvingSearch, resolver: TrialResolver) -> list[StageStarted]:
    executor = Executor(resolver, rule.results, backend=LocalProcesses(1))
    events = [event for stage in rule.stages() for event in executor.execute(stage)]
    finished = [event for event in events if isinstance(event, TrialFinished)]
    assert {event.result.trial for event in finished} == set(rule.results.results)
    return [event for event in events if isinstance(event, StageStarted)]


def test_a_search_over_batch_sizes_and_units_is_a_rule(dlcli: Command) -> None:
    settings: list[dict[str, JsonValue]] = [
        {"training.batch_size": size, UNITS: units} for size in (16, 200) for units in (2, 8)
    ]
    rule = HalvingSearch(settings)
    started = run(rule, read_resolver("moons.yaml", "training.epochs=4"))
    assert [stage.num_trials for stage in started] == [4, 2, 1]
    assert started[0].max_steps == 4 * 2 * (38 + 3)  # of 600 rows
    best = rule.conclude()
    losses = {trial: result.best_loss for trial, result in rule.results.results.items()}
    first = {trial: loss for trial, loss in losses.items() if trial.seed == 1}
    assert best.changes in [trial.changes for trial in sorted(first, key=first.__getitem__)[:2]]
    changes = [f"{key}={value}" for key, value in best.changes.items()]
    overrides = [*changes, f"seed={best.seed}", "data.split.seed=0", "training.epochs=4"]
    overrides.append("calibration=none")  # as runs of a comparison are judged
    trained = dlcli(
        "train",
        ROOT / "configs" / "moons.yaml",
        *(word for override in overrides for word in ("--set", override)),
        "--json",
    ).json
    figures = rule.results.results[best].figures
    assert figures is not None
    for part in ("validation", "test"):
        for figure, value in figures[part].items():
            assert trained[part][figure] == pytest.approx(value, rel=1e-4)


def test_only_trials_that_share_all_but_the_optimizer_are_stacked() -> None:
    resolver = read_resolver("moons.yaml", "training.epochs=2")
    optimizers: list[dict[str, JsonValue]] = [
        {"optimizer.lr": 0.1},
        {"optimizer": {"type": "sgd"}},
    ]
    changes = [
        {"training.batch_size": size} | optimizer for size in (32, 64) for optimizer in optimizers
    ]
    trials = [Trial(changes=one, seed=seed) for one in changes for seed in range(8)]
    resolved = [resolver.resolve(trial) for trial in trials]
    assert resolved[0].setup is resolver.base  # its batch size is the config's
    assert len({one.setup for one in resolved}) == 2
    assert len({id(one.setup.train) for one in resolved}) == 1
    plan = Executor(resolver, backend=LocalProcesses(1)).plan(trials)
    for job in plan.jobs:
        assert len({one.setup for one in job.trials}) == 1
    assert sorted(len(job.trials) for job in plan.jobs if job.is_stacked) == [8, 8, 8, 8]
    assert plan.reason == "in 4 stacks on one process"


def test_longer_keys_are_set_within_shorter_ones() -> None:
    resolver = read_resolver("moons.yaml")
    trial = Trial(changes={"optimizer.lr": 0.5, "optimizer": {"type": "sgd"}}, seed=1)
    optimizer = resolver.resolve(trial).optimizer
    assert (optimizer.type, optimizer.lr) == ("sgd", 0.5)


def test_other_data_are_read_anew() -> None:
    resolver = read_resolver("moons.yaml")
    trial = Trial(changes={"data.split": {"validation": 0.5}}, seed=1)
    setup = resolver.resolve(trial).setup
    assert setup.validation is not None
    assert (len(setup.train), len(setup.validation), setup.test) == (500, 500, None)


def test_changes_that_make_no_sound_config_are_refused_with_their_place() -> None:
    resolver = read_resolver("moons.yaml")
    for changes, message in (
        ({UNITS: 0}, "changed model.layers[0].units: model.layers[0].units: must be at least 1"),
        ({"optimizer": {"type": "adm"}}, "adm"),
        ({"training.batch_size": 7, "data.split.test": 2}, "data.split.test"),
    ):
        with pytest.raises(ConfigError) as caught:
            resolver.resolve(Trial(changes=changes, seed=1))  # type: ignore[arg-type]
        assert message in str(caught.value)
