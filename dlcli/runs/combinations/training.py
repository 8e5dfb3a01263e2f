"""Optimizers, batches, early stopping and checkpoints."""

from dlcli.metrics import is_share
from dlcli.runs.combinations.rule import Facts, Found, refused, reported

_FIRST_SHARE = 0.05  # of an average, that the weights after the first step have at the end


def _too_many_accumulated(facts: Facts) -> Found:
    training = facts.training
    num_batches = training.batches_per_epoch(facts.num_rows)
    if training.accumulate_batches > num_batches:
        yield (
            ("training", "accumulate_batches"),
            f"must be at most {num_batches}, the batches per epoch",
        )


def _last_of_one_batch(facts: Facts) -> Found:
    if facts.training.batch_size == "full" and facts.training.last_batch != "auto":
        yield ("training", "last_batch"), "does nothing: training.batch_size is full, one batch"


def _batch_of_all_rows(facts: Facts) -> Found:
    size = facts.training.batch_size
    if facts.says("training", "batch_size") and size != "full" and size > facts.num_rows:
        yield (
            ("training", "batch_size"),
            f"{size:,} is more than the {facts.num_rows:,} training rows: every batch has all of "
            "them",
        )


def _shards_without_rows(facts: Facts) -> Found:
    training = facts.training
    rows = training.rows_of_whole_batch(facts.num_rows)
    if training.shards > rows:
        yield (
            ("training", "shards"),
            f"batches of {rows:,} rows fill {rows:,} of {training.shards:,} parts; the others are "
            "always empty",
        )


def _improvement_out_of_reach(facts: Facts) -> Found:
    stopping = facts.training.early_stopping
    if stopping is not None and stopping.min_delta >= 1 and is_share(stopping.metric):
        yield (
            ("training", "early_stopping", "min_delta"),
            f"must be below 1: {stopping.metric} lies between 0 and 1, so that nothing after the "
            "first epoch counts as improvement",
        )


def _patience_of_all_epochs(facts: Facts) -> Found:
    training = facts.training
    stopping = training.early_stopping
    if stopping is None or stopping.metric != "loss" or facts.effective_patience is not None:
        return
    yield (
        ("training", "early_stopping", "patience"),
        f"{stopping.shortest_wait} epochs can't be waited for within {training.epochs} "
        "(training.epochs): early stopping never ends this run",
    )


def _steps_between_saves(facts: Facts) -> Found:
    every, num_steps = facts.config.checkpoint.every_steps, facts.schedule.num_steps
    if every is not None and every > num_steps:
        yield (
            ("checkpoint", "every_steps"),
            f"the run has {num_steps:,} steps: only the ends of epochs are saved",
        )


def _weights_wiped_out(facts: Facts) -> Found:
    optimizer = facts.config.optimizer
    taken = optimizer.lr * optimizer.highest_weight_decay
    if optimizer.shrinks_weights_directly and taken >= 1:
        yield (
            ("optimizer", "weight_decay"),
            f"times optimizer.lr, {optimizer.lr:g}, is {taken:.3g}: each step would take away all "
            f"of the weights; give less than {1 / optimizer.lr:g}",
        )


def _temperature_of_numbers(facts: Facts) -> Found:
    targets = facts.dataset.fitted.target.parts
    if facts.config.calibration != "temperature":
        return
    if len(targets) > 1:
        yield (
            ("calibration",),
            "a temperature is for one target of classes, and there are several targets; leave it "
            "out, or train a network for that target alone",
        )
    elif not targets[0].has_classes:
        why = "there are no probabilities in a regression"
        if targets[0].has_labels:
            why = "a temperature is that of one class among several; labels have none"
        yield ("calibration",), f"does nothing: {why}"


def _temperature_without_rows(facts: Facts) -> Found:
    is_class = facts.dataset.fitted.target.has_classes
    is_requested = facts.config.calibration == "temperature"
    if is_requested and is_class and not facts.dataset.num_rows.get("validation"):
        yield (
            ("calibration",),
            "there are no validation rows to find a temperature on; set data.split.validation",
        )


def _average_of_the_start(facts: Facts) -> Found:
    ema = facts.training.ema
    if ema is None:
        return
    share = ema.decay ** (facts.schedule.num_steps - 1)
    if share > _FIRST_SHARE:
        fitting = 1 - 10 / facts.schedule.num_steps
        hint = f"; give less, such as {fitting:.2g}" if fitting > 0 else ""
        yield (
            ("training", "ema", "decay"),
            f"at the end of {facts.schedule.num_steps:,} steps, {100 * share:.0f} % of the average "
            f"are the weights after the first step{hint}",
        )


def _two_averages(facts: Facts) -> Found:
    optimizer = facts.config.optimizer
    if facts.training.ema is not None and optimizer.averages_weights:
        yield ("training", "ema"), f"{optimizer.type} averages the weights itself; leave one out"


RULES = (
    refused(
        *("folds.weights", "folds.repeats"),
        when="`weights` is `greedy`, and `repeats` is 1",
        effect="there is nothing to weigh",
        example={"folds": {"folds": 5, "weights": "greedy"}},
    ),
    refused(
        *("training.accumulate_batches", "training.batch_size"),
        when="an epoch has fewer batches",
        effect="no step would have as many",
        example={"training": {"accumulate_batches": 2, "batch_size": "full"}},
        find=_too_many_accumulated,
    ),
    refused(
        *("training.last_batch", "training.batch_size"),
        when="`batch_size` is `full`",
        effect="there is one batch",
        example={"training": {"batch_size": "full", "last_batch": "drop"}},
        find=_last_of_one_batch,
    ),
    refused(
        *("model.layers: batch_norm", "training.batch_size", "training.last_batch"),
        when="a batch has fewer rows than the layer needs",
        effect="a single row can't be normalised",
        example={
            "training": {"batch_size": 1},
            "model": {"layers": [{"type": "batch_norm"}, {"type": "dense"}]},
        },
    ),
    reported(
        *("training.batch_size", "data"),
        when="a batch is larger than the training rows",
        effect="every batch has all rows, as with `full`",
        example={"training": {"batch_size": 5000}},
        find=_batch_of_all_rows,
    ),
    reported(
        *("training.shards", "training.batch_size"),
        when="there are more parts than rows in a batch",
        effect="parts are always empty",
        example={"training": {"shards": 8, "batch_size": 4}},
        find=_shards_without_rows,
    ),
    reported(
        *("training.early_stopping.patience", "training.epochs"),
        when="`patience` + `patience_factor` is `epochs` or more, and the loss is watched",
        effect="early stopping never ends the run",
        example={"training": {"early_stopping": {"patience": 10}, "epochs": 5}},
        find=_patience_of_all_epochs,
    ),
    refused(
        *("training.early_stopping.min_delta", "training.early_stopping.metric"),
        when="`min_delta` is 1 or more, and the metric a share",
        effect="no epoch but the first is an improvement",
        example={"training": {"early_stopping": {"metric": "accuracy", "min_delta": 2.0}}},
        find=_improvement_out_of_reach,
    ),
    refused(
        *("training.ema", "optimizer.type"),
        when="`asgd` or `schedulefree_adamw`",
        effect="the weights would be averaged twice",
        example={"training": {"ema": {}}, "optimizer": "asgd"},
        find=_two_averages,
    ),
    reported(
        *("training.ema.decay", "training.epochs", "training.batch_size"),
        when="the run is short for `decay`",
        effect="the average holds more than 5 % of the weights after the first step",
        example={"training": {"ema": {"decay": 0.9999}, "epochs": 5}},
        find=_average_of_the_start,
    ),
    reported(
        *("checkpoint.every_steps", "training.epochs"),
        when="the run has fewer steps",
        effect="only the ends of epochs are saved",
        example={"checkpoint": {"every_steps": 100000}},
        find=_steps_between_saves,
    ),
    refused(
        *("optimizer.weight_decay", "optimizer.lr"),
        when="`sgd` or `adamw`, and their product is 1 or more",
        effect="each step takes away all of the weights",
        example={"optimizer": {"type": "adamw", "lr": 0.1, "weight_decay": 10.0}},
        find=_weights_wiped_out,
    ),
    refused(
        *("optimizer.momentum_decay", "optimizer.betas"),
        when="`nadam`, and `betas[0]` is 0",
        effect="there is no momentum that could decay",
        example={"optimizer": {"type": "nadam", "betas": [0.0, 0.9], "momentum_decay": 0.1}},
    ),
    refused(
        *("optimizer.step_sizes", "optimizer.type: rprop"),
        when="the first is not below the second",
        effect="no step is long enough and short enough",
        example={"optimizer": {"type": "rprop", "step_sizes": [1.0, 0.1]}},
    ),
    refused(
        *("optimizer.betas", "optimizer.type: schedulefree_adamw"),
        when="`betas[0]` is 0",
        effect="there is no average to train with",
        example={"optimizer": {"type": "schedulefree_adamw", "betas": [0.0, 0.9]}},
    ),
    refused(
        *("optimizer.nesterov", "optimizer.momentum", "optimizer.dampening"),
        when="`nesterov` without `momentum`, or with `dampening`",
        effect="there is no such update rule",
        example={"optimizer": {"type": "sgd", "nesterov": True}},
    ),
    refused(
        *("optimizer.dampening", "optimizer.momentum"),
        when="`dampening` without `momentum`",
        effect="nothing is dampened",
        example={"optimizer": {"type": "sgd", "dampening": 0.1}},
    ),
    refused(
        *("training.early_stopping", "data.split.validation"),
        when="there are no validation rows",
        effect="there is no figure to watch",
        example={"training": {"early_stopping": {}}, "data": {"split": {"test": 0.2}}},
    ),
    refused(
        *("schedule.type: reduce_on_plateau", "data.split.validation"),
        when="there are no validation rows",
        effect="there is no loss to watch",
        example={"schedule": "reduce_on_plateau", "data": {"split": {"test": 0.2}}},
    ),
    refused(
        *("training.early_stopping.metric", "data.task"),
        when="the target has no such metric",
        effect="there is no figure to watch",
        example={"training": {"early_stopping": {"metric": "rmse"}}},
    ),
    refused(
        *("training.batch_size", "data.streaming"),
        when="`full`, and the rows are streamed",
        effect="no batch can have all of the rows",
        example={"training": {"batch_size": "full"}, "data": {"streaming": True}},
    ),
    refused(
        *("calibration", "data.task"),
        when="a temperature is requested in a regression",
        effect="there are no probabilities",
        example={"calibration": "temperature", "data": {"target": "a", "features": ["b"]}},
        find=_temperature_of_numbers,
    ),
    refused(
        *("calibration", "data.split.validation"),
        when="a temperature is requested, and there are no validation rows",
        effect="there are no rows to find it on",
        example={"calibration": "temperature", "data": {"split": {"test": 0.2}}},
        find=_temperature_without_rows,
    ),
)
