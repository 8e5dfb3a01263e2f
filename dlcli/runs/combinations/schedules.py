"""Learning-rate schedules, the warm-up and early stopping."""

import math
from bisect import bisect_left
from collections.abc import Callable

from dlcli.runs.combinations.rule import Facts, Found, refused, reported

_NEAR_NOTHING = 1e-8  # of the learning rate: less is lost in float32's rounding of the weights
_SLIGHT_GAIN = 1e-4  # of the loss: that a plateau takes for none, though early stopping sees it


def _unused(*keys: str) -> Callable[[Facts], Found]:
    """Return what finds a schedule's settings, `TYPE.KEY`, that change no rate."""

    def find(facts: Facts) -> Found:
        run = facts.schedule
        if run.length.num_steps > 0:
            for key, reason in run.config.unused_settings(run.length):
                if f"{run.config.type}.{key}" in keys:
                    yield ("schedule", key), reason

    return find


def _warmup_of_all_epochs(facts: Facts) -> Found:
    run = facts.schedule
    if run.num_warmup_steps >= run.num_steps:
        yield (
            ("schedule", "warmup_epochs"),
            f"must be less than training.epochs, {run.num_epochs}, or the warm-up never ends",
        )


def _warmup_of_no_step(facts: Facts) -> Found:
    run, warmup = facts.schedule, facts.config.schedule.warmup_epochs
    if warmup and not run.num_warmup_steps:
        yield (
            ("schedule", "warmup_epochs"),
            f"does nothing: {warmup:g} epochs of {run.steps_per_epoch} steps are less than a step",
        )


def _two_warmups(facts: Facts) -> Found:
    schedule = facts.config.schedule
    if schedule.warms_up and schedule.warmup_epochs:
        instead = ", or set schedule.pct_start instead" * hasattr(schedule, "pct_start")
        yield (
            ("schedule", "warmup_epochs"),
            f"{schedule.type} raises the rate itself: after the warm-up it drops and rises once "
            f"more; leave it out{instead}",
        )


def _is_stopped_first(facts: Facts) -> bool:
    """Say whether early stopping is shorter than what a reduction and an epoch with it take."""
    wait, stopping = facts.config.schedule.epochs_to_wait, facts.training.early_stopping
    return wait is not None and stopping is not None and stopping.shortest_wait <= wait


def _follow_one_figure(facts: Facts) -> bool:
    """Say whether early stopping and the schedule see improvement in the same epochs, or nearly.

    And wait alike: a patience that grows may be longer than the schedule's in the end.
    """
    stopping = facts.training.early_stopping
    is_loss = stopping is not None and stopping.metric == "loss"
    is_fixed = stopping is not None and stopping.patience_factor == 1
    return is_loss and is_fixed and facts.config.schedule.least_gain <= _SLIGHT_GAIN


def _stopped_before_a_reduction(facts: Facts) -> Found:
    wait, stopping = facts.config.schedule.epochs_to_wait, facts.training.early_stopping
    if wait is None or stopping is None or not _follow_one_figure(facts):
        return
    if _is_stopped_first(facts):
        most = stopping.patience - 2
        other = f", or schedule.patience at most {most}" if most >= 0 else ""
        yield (
            ("schedule", "patience"),
            f"early stopping ends the run after {stopping.patience} epochs without improvement, "
            f"before the rate can fall after {wait}; give training.early_stopping.patience at "
            f"least {wait + 1}{other}",
        )


def _may_stop_before_a_reduction(facts: Facts) -> Found:
    stopping = facts.training.early_stopping
    if stopping is None or not _is_stopped_first(facts) or _follow_one_figure(facts):
        return
    after = " after the first one" if stopping.patience_factor > 1 else ""
    yield (
        ("schedule", "patience"),
        f"early stopping on the {stopping.metric} may end the run before the rate falls: it "
        f"waits for {stopping.shortest_wait} epochs{after}, the schedule for "
        f"{facts.config.schedule.epochs_to_wait}",
    )


def _may_stop_before_the_end(facts: Facts) -> Found:
    schedule, patience = facts.config.schedule, facts.effective_patience
    if schedule.spreads_over_epochs and patience is not None:
        yield (
            ("training", "early_stopping"),
            f"may end the run before {schedule.type} has lowered the rate, which takes all "
            f"{facts.training.epochs} epochs",
        )


def _may_run_out_of_time(facts: Facts) -> Found:
    if facts.config.schedule.spreads_over_epochs and facts.training.max_seconds is not None:
        yield (
            ("training", "max_seconds"),
            f"may end the run before {facts.config.schedule.type} has lowered the rate, which "
            f"takes all {facts.training.epochs} epochs",
        )


def _may_stop_in_the_warmup(facts: Facts) -> Found:
    patience, warmup = facts.effective_patience, facts.config.schedule.warmup_epochs
    if patience is not None and patience < warmup:
        yield (
            ("training", "early_stopping", "patience"),
            f"early stopping counts the {warmup:g} epochs of the warm-up too, and may end the run "
            "within it",
        )


def _rates_near_nothing(facts: Facts) -> Found:
    run = facts.schedule
    if run.length.num_steps <= 0 or run.config.spreads_over_epochs:
        return
    least, per_epoch = run.base_lr * _NEAR_NOTHING, run.steps_per_epoch
    first = math.ceil(run.num_warmup_steps / run.steps_per_epoch)
    epochs = range(first, run.num_epochs)
    index = bisect_left(epochs, x=True, key=lambda epoch: run.lr(epoch * per_epoch) < least)
    if index < len(epochs):
        yield (
            ("schedule", "gamma"),
            f"the rate falls from {run.base_lr:g} to {run.lr(run.num_steps - 1):.2g}: from epoch "
            f"{epochs[index] + 1} of {run.num_epochs} on the weights hardly change",
        )


def _two_decays(facts: Facts) -> Found:
    optimizer, schedule = facts.config.optimizer, facts.config.schedule
    if getattr(optimizer, "lr_decay", 0) and not schedule.is_constant:
        yield (
            ("optimizer", "lr_decay"),
            f"the rate falls twice: by lr_decay and by the schedule {schedule.type}",
        )


def _rate_of_the_first_step(facts: Facts) -> Found:
    optimizer, schedule = facts.config.optimizer, facts.config.schedule
    if optimizer.follows_lr:
        return
    reason = f"{optimizer.type} takes the learning rate of the first step only; leave it out"
    if not schedule.is_constant:
        yield ("schedule", "type"), reason
    elif schedule.warmup_epochs:
        yield ("schedule", "warmup_epochs"), reason


def _schedule_of_schedule_free(facts: Facts) -> Found:
    optimizer, schedule = facts.config.optimizer, facts.config.schedule
    if optimizer.replaces_schedule and not schedule.is_constant:
        yield (
            ("schedule", "type"),
            f"{optimizer.type} has an average of the weights in place of a schedule; leave out "
            f"{schedule.type}, or keep its warm-up alone",
        )


RULES = (
    refused(
        *("schedule.warmup_epochs", "training.epochs"),
        when="the warm-up is as long as the run",
        effect="the rate never arrives at `optimizer.lr`",
        example={"schedule": {"type": "constant", "warmup_epochs": 5}, "training": {"epochs": 5}},
        find=_warmup_of_all_epochs,
    ),
    refused(
        *("schedule.warmup_epochs", "training.batch_size", "training.accumulate_batches"),
        when="the warm-up is shorter than half a step",
        effect="there is no warm-up",
        example={
            "schedule": {"type": "constant", "warmup_epochs": 0.1},
            "training": {"batch_size": "full"},
        },
        find=_warmup_of_no_step,
    ),
    reported(
        *("schedule.type: one_cycle, coslog", "schedule.warmup_epochs"),
        when="both are given",
        effect="the rate rises to `optimizer.lr`, drops and rises again",
        example={"schedule": {"type": "one_cycle", "warmup_epochs": 2}},
        find=_two_warmups,
    ),
    refused(
        *("schedule.type: cosine", "training.epochs", "training.batch_size"),
        when="the run has a single step after the warm-up",
        effect="the rate stays",
        example={"schedule": "cosine", "training": {"batch_size": "full", "epochs": 1}},
        find=_unused("cosine.type"),
    ),
    refused(
        *("schedule.type: one_cycle", "training.epochs", "training.batch_size"),
        when="the run has less than three steps after the warm-up",
        effect="the rate can't go up and down",
        example={"schedule": "one_cycle", "training": {"batch_size": "full", "epochs": 2}},
        find=_unused("one_cycle.type"),
    ),
    refused(
        *("schedule.type: coslog", "training.epochs", "training.batch_size"),
        when="the run has a single step after the warm-up",
        effect="its rate is 0",
        example={"schedule": "coslog", "training": {"batch_size": "full", "epochs": 1}},
        find=_unused("coslog.type"),
    ),
    refused(
        *("schedule.flat", "training.epochs", "training.batch_size"),
        when="no step follows the flat part",
        effect="the rate stays",
        example={
            "schedule": {"type": "flat_cosine", "flat": 0.9},
            "training": {"batch_size": "full", "epochs": 5},
        },
        find=_unused("flat_cosine.flat"),
    ),
    refused(
        *("schedule.eta_min", "optimizer.lr"),
        when="`eta_min` is not below `lr`",
        effect="the rate would rise, or stay",
        example={"schedule": {"type": "cosine", "eta_min": 0.1}, "optimizer": {"type": "adam"}},
        find=_unused("cosine.eta_min"),
    ),
    refused(
        *("schedule.div_factor", "schedule.final_div_factor"),
        when="both are 1",
        effect="the rate stays",
        example={"schedule": {"type": "one_cycle", "div_factor": 1, "final_div_factor": 1}},
        find=_unused("one_cycle.div_factor"),
    ),
    refused(
        *("schedule.step_size", "training.epochs", "schedule.warmup_epochs"),
        when="the run ends within `step_size` epochs after the warm-up",
        effect="the rate is never reduced",
        example={"schedule": {"type": "step", "step_size": 5}, "training": {"epochs": 5}},
        find=_unused("step.step_size"),
    ),
    refused(
        *("schedule.gamma", "training.epochs"),
        when="`exponential`, and the run ends within an epoch after the warm-up",
        effect="the rate is never reduced",
        example={"schedule": {"type": "exponential", "gamma": 0.5}, "training": {"epochs": 1}},
        find=_unused("exponential.gamma"),
    ),
    refused(
        *("schedule.type: step", "schedule.gamma"),
        when="`gamma` is 1",
        effect="the rate stays",
        example={"schedule": {"type": "step", "step_size": 1, "gamma": 1.0}},
        find=_unused("step.gamma"),
    ),
    reported(
        *("schedule.gamma", "training.epochs"),
        when="`step` or `exponential`, and the rate falls below a hundred-millionth of `lr`",
        effect="from then on the weights hardly change",
        example={"schedule": {"type": "exponential", "gamma": 0.1}, "training": {"epochs": 20}},
        find=_rates_near_nothing,
    ),
    refused(
        *("schedule.patience", "training.epochs", "schedule.warmup_epochs"),
        when="less than `patience` + 3 whole epochs follow the warm-up",
        effect="no epoch has a reduced rate",
        example={"schedule": "reduce_on_plateau", "training": {"epochs": 12}},
        find=_unused("reduce_on_plateau.patience"),
    ),
    refused(
        *("schedule.cooldown", "schedule.patience", "training.epochs"),
        when="less than 2 × `patience` + 4 whole epochs follow the warm-up",
        effect="there is no second reduction that it could put off",
        example={
            "schedule": {"type": "reduce_on_plateau", "cooldown": 3},
            "training": {"epochs": 20},
        },
        find=_unused("reduce_on_plateau.cooldown"),
    ),
    refused(
        *("schedule.min_lr", "optimizer.lr"),
        when="`min_lr` is not below `lr`",
        effect="the rate is never reduced",
        example={"schedule": {"type": "reduce_on_plateau", "min_lr": 0.1}, "optimizer": "adam"},
        find=_unused("reduce_on_plateau.min_lr"),
    ),
    refused(
        *("schedule.patience", "training.early_stopping.patience"),
        when="early stopping on the loss waits for less than `schedule.patience` + 2 epochs",
        effect="the run ends before the rate is reduced",
        example={"schedule": "reduce_on_plateau", "training": {"early_stopping": {}}},
        find=_stopped_before_a_reduction,
    ),
    reported(
        *("schedule.patience", "training.early_stopping.metric", "schedule.threshold"),
        when="the same, but early stopping watches another metric, or `threshold` is above its "
        "default",
        effect="the run may end before the rate is reduced",
        example={
            "schedule": "reduce_on_plateau",
            "training": {"early_stopping": {"metric": "accuracy"}},
        },
        find=_may_stop_before_a_reduction,
    ),
    reported(
        *("training.early_stopping", "schedule.type: cosine, flat_cosine, one_cycle, coslog"),
        when="early stopping can end the run before its last epoch",
        effect="the run may end before the rate has come down",
        example={"schedule": "cosine", "training": {"early_stopping": {}}},
        find=_may_stop_before_the_end,
    ),
    reported(
        *("training.max_seconds", "schedule.type: cosine, flat_cosine, one_cycle, coslog"),
        when="both are set",
        effect="the run may end before the rate has come down",
        example={"schedule": "cosine", "training": {"max_seconds": 60}},
        find=_may_run_out_of_time,
    ),
    reported(
        *("training.early_stopping.patience", "schedule.warmup_epochs"),
        when="`patience` is shorter than the warm-up",
        effect="early stopping may end the run within the warm-up, whose epochs it counts",
        example={
            "schedule": {"type": "constant", "warmup_epochs": 20},
            "training": {"early_stopping": {}},
        },
        find=_may_stop_in_the_warmup,
    ),
    refused(
        *("optimizer.type: rprop", "schedule.type", "schedule.warmup_epochs"),
        when="the schedule is not constant, or has a warm-up",
        effect="the rate of the first step is the only one that counts",
        example={"optimizer": "rprop", "schedule": "cosine"},
        find=_rate_of_the_first_step,
    ),
    reported(
        *("optimizer.type: schedulefree_adamw", "schedule.type"),
        when="the schedule is not constant",
        effect="an average of the weights stands in place of a schedule",
        example={"optimizer": "schedulefree_adamw", "schedule": "cosine"},
        find=_schedule_of_schedule_free,
    ),
    reported(
        *("optimizer.lr_decay", "schedule.type"),
        when="`adagrad` with `lr_decay` and a schedule that is not constant",
        effect="the rate falls twice",
        example={"optimizer": {"type": "adagrad", "lr_decay": 0.1}, "schedule": "cosine"},
        find=_two_decays,
    ),
)
