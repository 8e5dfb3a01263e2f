"""The search of `dlcli tune` on trials that are made up: their losses are a formula of settings."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from dlcli.config.sections.tune import Spread, TuneConfig
from dlcli.seeds import derive_seed
from dlcli.trials.results import TrialResult
from dlcli.trials.rule import Stage
from dlcli.trials.searching.findings import Findings, sum_up
from dlcli.trials.searching.importance import importances
from dlcli.trials.searching.optimism import Optimism, selection_optimism
from dlcli.trials.searching.rounds import Round
from dlcli.trials.searching.samplers import build_sampler
from dlcli.trials.searching.sampling import Observation
from dlcli.trials.searching.search import EPOCHS, Entry, Search, choose_rungs, choose_width
from dlcli.trials.searching.space import Dimension, Space
from dlcli.trials.trial import Trial

LR, RATE, UNITS = "optimizer.lr", "model.layers[1].rate", "model.layers[0].units"
SPACE = {
    LR: Spread(log=(1e-4, 1e-1)),
    RATE: Spread(uniform=(0.0, 0.5)),
    UNITS: Spread(choice=(8, 16, 32)),
}
Loss = Callable[[Mapping[str, Any]], float]


def by_rate_alone(changes: Mapping[str, Any]) -> float:
    """The lower, the closer the learning rate is to 0.01; a little less with more epochs."""
    lr = changes.get(LR, 1e-4)
    return float(abs(math.log10(lr) + 2) + 1 / changes.get(EPOCHS, 81))


@dataclass
class Made:
    """Trials and rounds in memory; a trial is finished as soon as it is asked for."""

    loss: Loss
    results: dict[Trial, TrialResult] = field(default_factory=dict)
    begun: list[Round] = field(default_factory=list)
    round_seconds: float = 1.0

    def find(self, trial: Trial, *, is_evaluated: bool) -> TrialResult | None:
        assert is_evaluated
        return self.results.get(trial)

    def add(self, result: TrialResult) -> None:
        self.results[result.trial] = result

    def find_round(self, number: int) -> Round | None:
        return self.begun[number] if number < len(self.begun) else None

    def keep_round(self, begun: Round) -> None:
        assert begun.number == len(self.begun)
        self.begun.append(begun)

    def seconds(self, number: int) -> float:
        assert number < len(self.begun)
        return self.round_seconds

    def execute(self, stage: Stage) -> None:
        for trial in stage.trials:
            if trial not in self.results:
                loss = self.loss(trial.changes)
                self.add(made_result(trial, loss))


def made_result(trial: Trial, loss: float, blocks: tuple[float, ...] | None = None) -> TrialResult:
    sound = math.isfinite(loss)
    return TrialResult(
        trial=trial,
        end="epochs" if sound else "diverged",
        num_steps=1,
        best_epoch=int(sound),
        train_losses=(loss,) if sound else (),
        validation_losses=(loss,) if sound else (),
        seconds_a_step=0.1,
        figures={"validation": {"loss": loss, "accuracy": -loss}} if sound else {},
        blocks=blocks,
    )


def search(
    made: Made, *, refusal: Callable[[Trial], str | None] = lambda _: None, **settings: Any
) -> Search:
    config = TuneConfig.model_validate({"space": SPACE, **settings})
    assert config.space is not None
    space = Space.of(config.space)
    factor = config.halving.factor if config.halving else 0
    rungs = choose_rungs(81, config.trials, factor) if factor else (81,)
    return Search(
        config=config,
        space=space,
        sampler=build_sampler(config.sampler, space, 0),
        seed=7,
        rungs=rungs,
        width=choose_width(config, len(rungs)),
        results=made,
        rounds=made,
        refusal=refusal,
    )


def follow(loss: Loss, **settings: Any) -> tuple[Findings, list[Stage]]:
    made = Made(loss)
    rule, stages = search(made, **settings), []
    for stage in rule.stages():
        made.execute(stage)
        stages.append(stage)
    return sum_up("made", rule, {}), stages


@pytest.mark.parametrize("sampler", ["sobol", "random"])
def test_all_settings_and_the_config_are_tried_and_the_best_is_found(sampler: str) -> None:
    found, [stage] = follow(by_rate_alone, trials=40, sampler=sampler)
    assert [len(stage.trials), found.num_tried, found.shortfall] == [41, 40, None]
    assert stage.trials[0].changes == {}  # the config as it is
    assert all(trial.seed == 7 for trial in stage.trials)
    assert found.best is not None
    tried = [trial.changes for trial in stage.trials[1:]]
    assert found.best.settings == min(tried, key=by_rate_alone)
    assert all(1e-4 <= one[LR] <= 1e-1 and 0 <= one[RATE] <= 0.5 for one in tried)  # type: ignore[operator]
    assert {one[UNITS] for one in tried} == {8, 16, 32}


def test_sobol_points_fill_every_part_of_a_range_alike() -> None:
    space = Space.of({"a": Spread(uniform=(0.0, 1.0)), "b": Spread(log=(1e-3, 1.0))})
    proposed = build_sampler("sobol", space, 3).propose(0, 64, [])
    for dimension in space.dimensions:
        places = [dimension.place(one[dimension.key]) for one in proposed]
        assert np.histogram(places, bins=16, range=(0, 1))[0].tolist() == [4] * 16


@pytest.mark.parametrize("sampler", ["sobol", "random"])
def test_what_is_sampled_does_not_depend_on_how_many_are_asked_for_at_once(sampler: Any) -> None:
    one = build_sampler(sampler, Space.of(SPACE), 3)
    assert one.propose(0, 3, []) + one.propose(3, 5, []) == one.propose(0, 8, [])


@pytest.mark.skipif(find_spec("optuna") is None, reason="pip install 'dlcli[optuna]'")
def test_tpe_is_asked_and_told_and_proposes_the_same_again() -> None:
    tpe = build_sampler("tpe", Space.of(SPACE), 3)
    observed = [Observation(one, by_rate_alone(one)) for one in tpe.propose(0, 20, [])]
    observed.append(Observation({LR: 0.02, RATE: 0.1, UNITS: 8}, None))
    assert tpe.propose(21, 5, observed) == tpe.propose(21, 5, observed)
    found, stages = follow(by_rate_alone, trials=40, sampler="tpe")
    assert [len(stage.trials) for stage in stages] == [10, 10, 10, 10, 1]
    early, late = [
        np.median([by_rate_alone(trial.changes) for trial in stage.trials])
        for stage in (stages[0], stages[3])
    ]
    assert late < early
    assert found.num_tried == 40


def test_values_have_a_place_that_leads_back_to_them() -> None:
    spread = Spread(int=(-3, 4))
    dimension = Dimension("k", spread)
    assert [dimension.value(share) for share in (0.0, 0.49, 0.5, 0.999)] == [-3, 0, 1, 4]
    for one in (spread, *SPACE.values()):
        dimension = Dimension("k", one)
        for share in np.linspace(0, 0.999, 23).tolist():
            value = dimension.value(share)
            assert dimension.value(dimension.place(value)) == value


def test_halving_gives_more_epochs_to_the_best_and_their_places_to_newcomers() -> None:
    found, stages = follow(by_rate_alone, trials=54, halving={"factor": 3})
    assert found.rungs == (9, 27, 81)
    width = 14
    epochs = [[trial.changes.get(EPOCHS, 81) for trial in stage.trials] for stage in stages]
    assert epochs[0] == [9] * width
    assert epochs[1] == [27] * 4 + [9] * (width - 4)  # a third went on, and newcomers came
    assert [len(some) for some in epochs[:3]] == [width] * 3
    first = [trial.changes for trial in stages[0].trials]
    best = sorted(first, key=by_rate_alone)[:4]
    assert [{**trial.changes, EPOCHS: 9} for trial in stages[1].trials[:4]] == best
    # 55 at 9 epochs, a third of them at 27; of these a third and one that was among it for a while.
    counts = [sum(some.count(n) for some in epochs) for n in found.rungs]
    assert counts == [55, 18, 7]
    assert found.best is not None
    assert found.best.epochs == 81


def test_each_setting_has_a_trial_for_each_fold() -> None:
    found, [stage] = follow(by_rate_alone, trials=5, folds=3)
    assert [trial.fold for trial in stage.trials] == [0, 1, 2] * 6
    assert all(len(entry.results) == 3 for entry in found.entries)


def test_an_interrupted_search_comes_to_the_same_trials() -> None:
    settings: dict[str, Any] = {"trials": 54, "halving": {"factor": 3}, "sampler": "random"}
    _, straight = follow(by_rate_alone, **settings)
    made = Made(by_rate_alone)
    for interrupted_in in range(len(straight) + 1):
        rule, stages = search(made, **settings), []
        for number, stage in enumerate(rule.stages()):
            stages.append(stage)
            if number == interrupted_in:
                for trial in stage.trials[::2]:  # some were finished, whichever
                    made.add(made_result(trial, by_rate_alone(trial.changes)))
                break
            made.execute(stage)
    assert [stage.trials for stage in stages] == [stage.trials for stage in straight]


def test_refused_settings_are_named_and_others_take_their_place() -> None:
    made = Made(by_rate_alone)
    rule = search(
        made,
        trials=20,
        refusal=lambda trial: "too narrow" if trial.changes.get(UNITS) == 8 else None,
    )
    for stage in rule.stages():
        made.execute(stage)
    found = sum_up("made", rule, {})
    assert found.num_tried == 20
    assert found.refused
    assert {(one.settings[UNITS], one.reason) for one in found.refused} == {(8, "too narrow")}
    everything = search(Made(by_rate_alone), trials=20, refusal=lambda _: "no")
    assert [len(stage.trials) for stage in everything.stages()] == [1]  # the config as it is
    assert everything.shortfall == "nearly all sampled settings were refused"


def test_networks_of_folds_have_seeds_of_their_own() -> None:
    """Those of the config as it is are the ones that `train --folds` takes."""
    _, [stage] = follow(by_rate_alone, trials=2, folds=3)
    assert [trial.fold for trial in stage.trials] == [0, 1, 2] * 3
    seeds = [trial.seed for trial in stage.trials]
    assert seeds[:3] == [derive_seed(7, "trial", fold) for fold in range(3)]
    assert len({*seeds}) == 9


def test_a_small_space_is_tried_whole() -> None:
    found, _ = follow(lambda changes: changes.get("k", 9), trials=64, space={"k": {"int": [1, 5]}})
    assert found.num_tried == 5
    assert found.shortfall == "the space has 5 settings"
    assert found.best is not None
    assert found.best.settings == {"k": 1}


def test_no_round_begins_that_would_end_after_the_time() -> None:
    made = Made(by_rate_alone, round_seconds=10.0)
    rule = search(made, trials=64, time="35s")
    for stage in rule.stages():
        made.execute(stage)
    assert len(made.begun) == 3
    assert rule.shortfall == "the time was used up (tune.time)"


def test_diverged_trials_are_the_worst() -> None:
    found, _ = follow(
        lambda changes: math.inf if changes.get(LR, 0) > 0.01 else by_rate_alone(changes),
        trials=30,
        metric="accuracy",
    )
    assert found.best is not None
    assert found.best.figure == max(entry.figure for entry in found.entries if entry.figure)
    are_sound = [entry.is_sound for entry in found.entries]
    assert are_sound == sorted(are_sound, reverse=True)
    assert False in are_sound


def test_what_mattered_is_told_with_its_uncertainty_and_what_did_not_is_not() -> None:
    found, _ = follow(by_rate_alone, trials=60)
    told = found.importances
    assert not isinstance(told, str)
    [lr, *others] = told
    assert lr.key == LR
    assert lr.is_clear
    assert lr.low > 0.7
    assert lr.low <= lr.share <= lr.high <= 1
    assert lr.best_value == pytest.approx(0.01, rel=0.3)
    assert [one.is_clear for one in others] == [False, False]


def test_nothing_mattered_in_noise_and_few_trials_tell_nothing() -> None:
    noise = np.random.default_rng(0)
    is_clear = []
    for _ in range(12):
        found, _ = follow(lambda _: float(noise.normal()), trials=40)
        assert not isinstance(found.importances, str)
        is_clear.append(any(one.is_clear for one in found.importances))
    assert sum(is_clear) <= 2  # 5 % of the searches have some
    found, _ = follow(by_rate_alone, trials=8)
    assert found.importances == "8 trials are too few to tell which settings mattered"
    flat, _ = follow(lambda _: 1.0, trials=20)
    assert importances(flat.space, flat.entries) == "all trials were equally good"


def test_the_estimate_of_optimism_is_about_right_where_settings_are_equally_good() -> None:
    """All settings have a true loss of 1: what the best one looks better by is luck alone."""
    noise = np.random.default_rng(1)
    seen, expected = [], []
    for _ in range(25):
        entries = []
        for number in range(30):
            blocks = noise.normal(1.0, 1.0, 20)
            result = made_result(
                Trial(changes={"k": number}, seed=0), float(blocks.mean()), tuple(blocks.tolist())
            )
            value = float(blocks.mean())
            entries.append(Entry({"k": number}, number, 0, 1, (result,), value, value))
        optimism = selection_optimism(entries, "loss")
        assert isinstance(optimism, Optimism)
        assert optimism.low <= optimism.expected <= optimism.high
        seen.append(optimism.seen)
        expected.append(optimism.expected)
    assert np.mean(seen) < 0.6
    assert np.mean(expected) == pytest.approx(1.0, abs=0.15)
    assert isinstance(selection_optimism(entries[:1], "loss"), str)
