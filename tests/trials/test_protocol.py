"""The protocol on trials that are made up: their losses are a formula of rate and seed."""

import json
import math
from collections.abc import Callable

import numpy as np
import pytest
from pydantic import TypeAdapter

from dlcli.config.sections.compare import Candidate, CompareConfig
from dlcli.optimizers import AnyOptimizer
from dlcli.optimizers.base import OptimizerConfig
from dlcli.targets.task import Task
from dlcli.trials.comparing.comparison import Comparison
from dlcli.trials.comparing.document import to_document
from dlcli.trials.comparing.protocol import ComparisonProtocol
from dlcli.trials.comparing.verdict_text import describe_verdict
from dlcli.trials.results import TrialResult
from dlcli.trials.rule import Stage
from dlcli.trials.trial import Trial

Loss = Callable[[OptimizerConfig, int], float]
STEPS = 3  # an epoch


class MadeTrials:
    """Trials that are finished as soon as they are asked for, and those that were asked for."""

    def __init__(self, loss: Loss) -> None:
        self.loss = loss
        self.finished: dict[Trial, TrialResult] = {}

    def find(self, trial: Trial, *, is_evaluated: bool) -> TrialResult | None:
        result = self.finished.get(trial)
        return None if result is None or (is_evaluated and result.figures is None) else result

    def add(self, result: TrialResult) -> None:
        self.finished[result.trial] = result

    def execute(self, stage: Stage) -> None:
        for trial in stage.trials:
            if self.find(trial, is_evaluated=stage.is_evaluated) is None:
                self.add(self._result(trial, stage.is_evaluated))

    def _result(self, trial: Trial, is_evaluated: bool) -> TrialResult:
        loss = self.loss(optimizer_of(trial), trial.seed)
        sound = math.isfinite(loss)
        curve = (loss + 1.0, loss + 0.5, loss) if sound else ()
        figures = {"validation": {"loss": loss}, "test": {"loss": loss, "rmse": 2.0 * loss}}
        return TrialResult(
            trial=trial,
            end="epochs" if sound else "diverged",
            num_steps=len(curve) * STEPS,
            best_epoch=len(curve),
            train_losses=curve,
            validation_losses=curve,
            seconds_a_step=0.5,
            figures=(figures if sound else {}) if is_evaluated else None,  # type: ignore[arg-type]
        )


def optimizer_of(trial: Trial) -> OptimizerConfig:
    return TypeAdapter[OptimizerConfig](AnyOptimizer).validate_python(trial.changes["optimizer"])


def optimizers(*names: str) -> dict[str, OptimizerConfig]:
    return {name: Candidate.model_validate(name).optimizer for name in names}


def follow(
    loss: Loss,
    candidates: dict[str, OptimizerConfig],
    *,
    task: Task = "regression",
    **settings: object,
) -> tuple[Comparison, ComparisonProtocol, list[Stage]]:
    """Do all stages; return what they say, and what was done."""
    trials = MadeTrials(loss)
    config = CompareConfig.model_validate({"tuning_seeds": 3, "seeds": 4, **settings})
    protocol = ComparisonProtocol("made", 7, task, candidates, config, STEPS, trials)
    stages = []
    for stage in protocol.stages():
        stages.append(stage)
        trials.execute(stage)
    return protocol.conclude(), protocol, stages


def valley(best: dict[str, float], noise: float = 0.0) -> Loss:
    """Return a loss that is lowest, at 1, where the rate is the type's best one."""

    def loss(optimizer: OptimizerConfig, seed: int) -> float:
        draw = np.random.default_rng(seed).normal()
        return 1 + math.log10(optimizer.lr / best[optimizer.type]) ** 2 + noise * float(draw)

    return loss


def test_rates_are_tuned_on_some_seeds_and_judged_on_others() -> None:
    _, protocol, stages = follow(
        valley({"sgd": 1e-3, "adam": 1e-3}, 0.01), optimizers("sgd", "adam")
    )
    assert [stage.title for stage in stages] == ["choosing rates", "judging"]
    assert [len(stage.trials) for stage in stages] == [2 * 5 * 3, 2 * 4]
    assert protocol.tuning_seeds == [8, 9, 10]
    assert {trial.seed for trial in stages[0].trials} == set(protocol.tuning_seeds)
    assert {trial.seed for trial in stages[1].trials} == set(protocol.seeds) == {108, 109, 110, 111}
    assert {optimizer_of(trial).lr for trial in stages[1].trials} == {1e-3}


def test_an_edge_makes_the_grids_of_all_grow_alike() -> None:
    comparison, protocol, stages = follow(
        valley({"sgd": 0.1, "adam": 1e-3}), optimizers("sgd", "adam")
    )
    assert [stage.title for stage in stages[1:-1]] == ["higher rates for all"] * 3
    assert list(map(len, protocol.grids.values())) == [8, 8]
    assert protocol.grids["adam"][-1] == protocol.grids["sgd"][-1] == 0.32
    lr = {result.name: result.optimizer.lr for result in comparison.results}
    assert lr == {"sgd": 0.1, "adam": 1e-3}


def test_grids_grow_both_ways_where_asked() -> None:
    _, protocol, stages = follow(valley({"sgd": 0.032, "adam": 3e-5}), optimizers("sgd", "adam"))
    assert stages[1].title == "lower and higher rates for all"
    assert list(map(len, protocol.grids.values())) == [9, 9]


def test_grids_stop_growing_and_the_edge_is_told() -> None:
    comparison, protocol, _ = follow(
        valley({"sgd": 1e6, "adam": 1e-3}), optimizers("sgd", "adam"), most_lrs=7
    )
    assert len(protocol.grids["sgd"]) == 7
    text = describe_verdict(comparison)
    assert "The best rate of sgd is at an edge of its grid" in text
    assert to_document(comparison)["optimizers"][1]["lr_on_edge"] == 1


def test_a_single_rate_is_taken_as_it_is() -> None:
    _, protocol, stages = follow(
        valley({"sgd": 0.1, "adam": 1e-3}), optimizers("sgd", "adam"), lrs=[0.5]
    )
    assert len(stages) == 2
    assert protocol.grids == {"sgd": [0.5], "adam": [0.5]}


def test_a_clear_winner_is_told_with_how_far_the_next_is_behind() -> None:
    def loss(optimizer: OptimizerConfig, seed: int) -> float:
        shared = float(np.random.default_rng(seed).normal())
        noise = float(np.random.default_rng([seed, len(optimizer.type)]).normal())
        behind = {"adam": 0.0, "sgd": 1.0, "adagrad": 2.0}[optimizer.type]
        return 10 + shared + 0.01 * noise + behind + math.log10(optimizer.lr / 3.2e-3) ** 2

    comparison, _, _ = follow(loss, optimizers("sgd", "adam", "adagrad"), seeds=6)
    assert comparison.verdict is not None
    assert comparison.verdict.winner == "adam"
    assert [result.name for result in comparison.results] == ["adam", "sgd", "adagrad"]
    text = describe_verdict(comparison)
    assert text.startswith("adam is the clear winner on these rows: a validation loss of ")
    assert "the same 6 seeds" in text
    assert "The runner-up is sgd, " in text


def test_no_clear_winner_is_an_answer_which_names_who_is_beaten() -> None:
    def loss(optimizer: OptimizerConfig, seed: int) -> float:
        noise = float(np.random.default_rng([seed, len(optimizer.type)]).normal())
        behind = {"adam": 0.0, "rmsprop": 0.01, "sgd": 50.0}[optimizer.type]
        return 10 + noise + behind

    comparison, _, _ = follow(loss, optimizers("sgd", "adam", "rmsprop"), seeds=6, lrs=[0.1])
    assert comparison.verdict is not None
    assert comparison.verdict.winner is None
    text = describe_verdict(comparison)
    assert text.startswith("No clear winner: ")
    assert "can't be told apart on 6 seeds" in text
    assert "It is clearly better than sgd." in text
    assert len(comparison.rivals) == 1


def test_the_same_optimizer_under_two_names_is_run_once_and_not_told_apart() -> None:
    adam = Candidate.model_validate("adam").optimizer
    comparison, _, stages = follow(valley({"adam": 1e-3}, 0.1), {"one": adam, "two": adam})
    assert len(stages[-1].trials) == 4
    assert comparison.verdict is not None
    assert comparison.verdict.winner is None
    assert comparison.verdict.groups == (("one", "two"),)


def test_rounding_is_no_difference() -> None:
    comparison, _, _ = follow(
        lambda optimizer, seed: 5.0 + seed + (1e-6 if optimizer.type == "sgd" else 0.0),
        optimizers("sgd", "adam"),
        lrs=[0.1],
    )
    assert comparison.verdict is not None
    assert comparison.verdict.winner is None


def test_who_diverges_is_left_out_and_told() -> None:
    def loss(optimizer: OptimizerConfig, seed: int) -> float:
        if optimizer.type == "rmsprop":
            return math.inf
        if optimizer.type == "adagrad" and seed == 108:
            return math.inf
        return 1.0 + 0.01 * seed + (optimizer.type == "sgd")

    comparison, protocol, _ = follow(
        loss, optimizers("rmsprop", "adagrad", "sgd", "adam"), most_lrs=6
    )
    assert protocol.choices["rmsprop"] is None
    assert [result.name for result in comparison.results] == ["adam", "sgd", "rmsprop", "adagrad"]
    text = describe_verdict(comparison)
    assert "rmsprop diverged at every rate, and is left out." in text
    assert "adagrad diverged in 1 of 4 runs with its chosen rate, and is left out." in text
    document = to_document(comparison)
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    rmsprop = document["optimizers"][2]
    assert (rmsprop["lr"], rmsprop["is_judged"], rmsprop["runs"]) == (None, False, [])
    assert rmsprop["diverged"] == {"tuning": 18, "judging": 0}


def test_one_that_comes_through_has_nothing_to_be_held_against() -> None:
    comparison, _, _ = follow(
        lambda optimizer, _: math.inf if optimizer.type == "sgd" else 1.0,
        optimizers("sgd", "adam"),
        most_lrs=5,
    )
    assert comparison.verdict is None
    assert describe_verdict(comparison).startswith(
        "Only adam did not diverge, with a validation loss"
    )


@pytest.mark.parametrize(
    ("target", "epochs", "missed"), [(1.6, 2.0, 0), (1.0, 3.0, 0), (0.5, math.inf, 4)]
)
def test_the_target_is_timed_and_misses_are_misses(
    target: float, epochs: float, missed: int
) -> None:
    comparison, _, _ = follow(
        valley({"sgd": 0.1, "adam": 0.1}), optimizers("sgd", "adam"), lrs=[0.1], target=target
    )
    result = comparison.result("sgd")
    assert (result.median_epochs, result.num_missed) == (epochs, missed)
    assert comparison.seconds_to_target(result) == epochs * STEPS * 0.5
    is_told = "No run reached the target, a validation loss of 0.5; the lowest is 1" in (
        describe_verdict(comparison)
    )
    assert is_told == (missed == 4)


def test_the_target_is_what_the_middle_one_typically_reaches_unless_given() -> None:
    comparison, _, _ = follow(
        lambda optimizer, _: {"sgd": 1.0, "adam": 2.0, "adagrad": 3.0}[optimizer.type],
        optimizers("sgd", "adam", "adagrad"),
        lrs=[0.1],
    )
    assert (comparison.target, comparison.target_is_given) == (2.0, False)
    assert [result.num_missed for result in comparison.results] == [0, 0, 4]


def test_figures_have_intervals_by_part() -> None:
    comparison, _, _ = follow(lambda _, seed: seed - 100.0, optimizers("sgd", "adam"), lrs=[0.1])
    figures = comparison.results[0].figures
    assert list(figures) == ["validation", "test"]
    assert list(figures["test"]) == ["loss", "rmse"]
    assert figures["test"]["rmse"].mean == pytest.approx(2 * 9.5)
    # 8, 9, 10 and 11: a standard error of √(5/3)/2, and 95 % of t(3) lie within 3.182446.
    assert figures["test"]["loss"].high == pytest.approx(9.5 + 3.182446 * (5 / 3) ** 0.5 / 2)


def test_losses_as_good_as_none_make_no_rate_look_better_than_a_lower_one() -> None:
    """A hundredth of the first epoch's loss, about 10: ever lower losses below 0.1 say nothing."""

    def loss(optimizer: OptimizerConfig, _: int) -> float:
        return 9.0 if optimizer.lr < 1e-3 else 0.02 / optimizer.lr**0.5

    both, lrs = optimizers("sgd", "adam"), [1e-4, 1e-2, 1e-1, 1.0]
    numbers, _, _ = follow(loss, both, lrs=lrs, most_lrs=4)
    assert {result.optimizer.lr for result in numbers.results} == {1.0}
    comparison, _, _ = follow(loss, both, task="binary", lrs=lrs)
    assert {result.optimizer.lr for result in comparison.results} == {1e-1}
    choice = comparison.results[0].choice
    assert choice is not None
    assert choice.near == (1e-1, 1.0)
    assert comparison.target == pytest.approx(0.1)
    assert "reduces the loss to less than 1 % of its initial value" in describe_verdict(comparison)


@pytest.mark.parametrize(
    ("noise", "contradicts"), [(0.01, ["momentum"]), (10.0, [])], ids=["apart", "overlapping"]
)
def test_test_rows_that_contradict_the_verdict_are_told_first(
    noise: float, contradicts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    result_of = MadeTrials._result

    def with_other_test_rows(self: MadeTrials, trial: Trial, is_evaluated: bool) -> TrialResult:
        result = result_of(self, trial, is_evaluated)
        if not is_evaluated:
            return result
        is_adam = trial.changes["optimizer"]["type"] == "adam"  # type: ignore[index,call-overload]
        test = (4.0 if is_adam else 1.0) + noise * float(np.random.default_rng(trial.seed).normal())
        figures = {"validation": {"loss": result.best_loss}, "test": {"loss": test}}
        return result.model_copy(update={"figures": figures})

    monkeypatch.setattr(MadeTrials, "_result", with_other_test_rows)

    def loss(optimizer: OptimizerConfig, seed: int) -> float:
        small = 0.001 * float(np.random.default_rng([seed, len(optimizer.type)]).normal())
        return (1.0 if optimizer.type == "adam" else 2.0) + small

    comparison, _, _ = follow(loss, optimizers("momentum", "adam"), lrs=[0.1])
    text, document = describe_verdict(comparison), to_document(comparison)
    assert document["verdict"]["winner"] == "adam"
    assert document["verdict"]["better_on_test"] == contradicts
    if contradicts:
        assert text.startswith(
            "The test rows contradict the validation rows: adam, which has the lowest validation "
            "loss, has a clearly higher test loss than momentum (adam "
        )
        assert "adam is the clear winner on the validation rows" in text
    else:
        assert text.startswith("adam is the clear winner on these rows")
