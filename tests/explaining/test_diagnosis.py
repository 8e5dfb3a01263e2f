"""A diagnosis says what curves were made to show, and advises what a config can take."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from dlcli.config import Config, dump_config, load_config
from dlcli.explaining.constant_baseline import constant_baseline_loss
from dlcli.explaining.learning.diagnosis import diagnose
from dlcli.explaining.learning.finding import Diagnosis, Kind
from dlcli.explaining.learning.history import Epoch, Epochs, History, read_history
from dlcli.runs.folder.run_folder import RunFolder
from dlcli.runs.preparation import prepare
from dlcli.runs.training.train import train
from dlcli.training.loop import StopReason
from dlcli.training.objective import build_objective
from tests.conftest import WriteConfig

CONSTANT = 1.0
EPOCHS = np.arange(1, 61)
ROWS = {"train": 400, "validation": 100}
LAYERS = [
    {"type": "dense", "units": 64, "activation": "relu"},
    {"type": "dropout", "rate": 0.2},
    {"type": "dense", "units": 64, "activation": "relu"},
    {"type": "dense"},
]


def config_of(**sections: Any) -> Config:
    return Config.model_validate(
        {
            "name": "made",
            "data": {"path": "made.csv", "target": "y"},
            "model": {"layers": LAYERS},
            **sections,
        }
    )


def made(
    training: np.ndarray,
    validation: np.ndarray | None = None,
    *,
    config: Config | None = None,
    end: StopReason | None = "epochs",
    lrs: np.ndarray | None = None,
) -> History:
    """Make a run's history from its losses."""
    rates = np.full(len(training), 0.01) if lrs is None else lrs
    epochs = tuple(
        Epoch.model_validate(
            {
                "epoch": index + 1,
                "lr": float(rates[index]),
                "train": {"loss": float(loss)},
                "validation": None if validation is None else {"loss": float(validation[index])},
            }
        )
        for index, loss in enumerate(training)
    )
    best = None if validation is None else int(validation.argmin()) + 1
    return History(Epochs.of(epochs), config or config_of(), end, best, ROWS)


def falling(low: float, pace: float, epochs: np.ndarray = EPOCHS) -> np.ndarray:
    """A loss that falls from 1 to a floor."""
    return low + (1.0 - low) * np.exp(-pace * (epochs - 1.0))


def jumps(size: float, seed: int = 0, count: int = len(EPOCHS)) -> np.ndarray:
    return np.exp(size * np.random.default_rng(seed).normal(size=count))


def fine() -> History:
    training = falling(0.1, 0.3) * jumps(0.02)
    return made(training, falling(0.13, 0.3) * jumps(0.03, 1), end="early_stopping")


def over_fitted() -> History:
    validation = falling(0.4, 0.5) + 0.01 * np.maximum(0.0, EPOCHS - 12.0)
    return made(falling(0.02, 0.1), validation * jumps(0.02))


def learned_by_heart() -> History:
    """The validation loss stays where it came to early."""
    return made(falling(0.001, 0.1), falling(0.5, 0.8) * jumps(0.01))


def under_fitted() -> History:
    return made(falling(0.97, 0.5) * jumps(0.005), falling(0.98, 0.5) * jumps(0.005, 1))


def held_back() -> History:
    """The losses are not so bad, but the config keeps them from being good."""
    held = config_of(optimizer={"type": "sgd", "lr": 0.1, "weight_decay": 0.3})
    return made(falling(0.6, 0.5) * jumps(0.005), falling(0.6, 0.5), config=held)


def improving() -> History:
    return made(falling(0.05, 0.045), falling(0.08, 0.045) * jumps(0.01))


def noisy() -> History:
    return made(falling(0.2, 0.3), falling(0.25, 0.3) * jumps(0.25))


def leaping() -> History:
    return made(falling(0.4, 0.5) * jumps(0.3), falling(0.4, 0.5) * jumps(0.4, 1))


def rising() -> History:
    return made(0.5 + 0.01 * EPOCHS, 0.6 + 0.01 * EPOCHS)


def blown_up() -> History:
    training = np.where(EPOCHS == 1, 90.0, 0.7) * jumps(0.01)
    return made(training, np.full(60, 0.8))


def worse_than_constant() -> History:
    return made(1.2 * jumps(0.02), 1.3 * jumps(0.02, 1))


def stuck_at_a_high_rate() -> History:
    hot = config_of(optimizer={"type": "adam", "lr": 0.5})
    return made(falling(0.7, 0.9) * jumps(0.01), falling(0.72, 0.9), config=hot)


def cold() -> History:
    return made(1.0 - 0.004 * EPOCHS, 1.02 - 0.004 * EPOCHS)


def cold_with_a_schedule() -> History:
    """The curve flattens only as the rate goes to 0."""
    rates = 1e-5 * 0.9**EPOCHS
    training = 1.0 - 0.3 * np.cumsum(rates) / rates.sum()
    return made(training, training + 0.02, lrs=rates)


def creeping() -> History:
    """All that was learned is the last bias; the rest falls by next to nothing."""
    training = 0.95 + 0.4 * np.exp(-EPOCHS / 5.0) - 0.0006 * EPOCHS
    return made(training, training + 0.01)


def diverged() -> History:
    return made(np.array([1.0, 5.0, 1e20]), np.array([1.0, 9.0, 1e30]), end="diverged")


MADE: list[tuple[Callable[[], History], Kind]] = [
    (fine, "fine"),
    (over_fitted, "overfitting"),
    (learned_by_heart, "overfitting"),
    (under_fitted, "underfitting"),
    (held_back, "underfitting"),
    (improving, "still_improving"),
    (noisy, "noisy"),
    (leaping, "lr_too_high"),
    (rising, "lr_too_high"),
    (blown_up, "lr_too_high"),
    (worse_than_constant, "lr_too_high"),
    (stuck_at_a_high_rate, "lr_too_high"),
    (cold, "lr_too_low"),
    (cold_with_a_schedule, "lr_too_low"),
    (creeping, "lr_too_low"),
    (diverged, "lr_too_high"),
]


def settings_of(diagnosis: Diagnosis) -> list[str]:
    return [
        setting
        for finding in diagnosis.findings
        for change in finding.changes
        for setting in change.settings
    ]


@pytest.mark.parametrize(("make", "kind"), MADE)
def test_curves_are_what_they_were_made_to_be(make: Callable[[], History], kind: Kind) -> None:
    diagnosis = diagnose(make(), constant_loss=CONSTANT)
    assert diagnosis.kind == kind, diagnosis
    assert 1 <= len(diagnosis.findings) <= 2
    assert diagnosis.remarks == ()
    for finding in diagnosis.findings:
        assert finding.text.endswith(".")
        assert any(letter.isdigit() for letter in finding.evidence)
        assert bool(finding.changes) == (finding.kind != "fine")


@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_the_unit_of_the_loss_changes_nothing(unit: float) -> None:
    for make, kind in MADE:
        history = make()
        validation = history.validation_losses
        assert validation is not None
        scaled = made(
            history.train_losses * unit,
            validation * unit,
            config=history.config,
            end=history.stop_reason,
            lrs=history.lrs,
        )
        assert diagnose(scaled, constant_loss=CONSTANT * unit).kind == kind, make


def test_over_fitting_is_told_with_its_epoch_and_its_end() -> None:
    history = over_fitted()
    (finding,) = diagnose(history, constant_loss=CONSTANT).findings
    assert f"since epoch {history.best_epoch}:" in finding.text
    assert "nothing stopped it" in finding.text
    assert "training.early_stopping.patience=20" in settings_of(
        diagnose(history, constant_loss=CONSTANT)
    )
    early = config_of(training={"early_stopping": {"patience": 40}})
    stopped = replace(history, config=early, stop_reason="early_stopping")
    diagnosis = diagnose(stopped, constant_loss=CONSTANT)
    assert "early stopping ended the run" in diagnosis.text
    assert not any("early_stopping" in setting for setting in settings_of(diagnosis))


def test_what_early_stopping_sees_of_every_good_run_is_no_over_fitting() -> None:
    validation = falling(0.4, 0.5) + 0.002 * np.maximum(0.0, EPOCHS - 35.0)
    history = made(falling(0.2, 0.06), validation, end="early_stopping")
    assert diagnose(history, constant_loss=CONSTANT).kind == "fine"
    assert (
        diagnose(replace(history, stop_reason="epochs"), constant_loss=CONSTANT).kind
        == "overfitting"
    )


def test_a_validation_loss_that_comes_down_again_was_over_fitted_all_the_same() -> None:
    """The trend since its lowest is down, but the training loss left it far behind."""
    hump = np.interp(EPOCHS, [1, 12, 14, 40, 60], [0.0, 0.0, 0.08, 0.04, 0.04])
    history = made(falling(0.02, 0.2), falling(0.1, 0.9) + hump)
    assert diagnose(history, constant_loss=CONSTANT).kind == "overfitting"


def test_a_validation_loss_that_rises_alone_is_no_over_fitting() -> None:
    history = made(falling(0.4, 0.9), falling(0.42, 0.9) + 0.001 * EPOCHS)
    diagnosis = diagnose(history, constant_loss=CONSTANT)
    assert diagnosis.kind == "fine"
    assert "rose only slightly" in diagnosis.text


def test_over_fitting_without_jumps_is_not_noisy() -> None:
    history = made(falling(0.02, 0.2), 0.4 * np.exp(0.06 * np.abs(EPOCHS - 5.0)))
    assert [own.kind for own in diagnose(history, constant_loss=CONSTANT).findings] == [
        "overfitting"
    ]


def test_a_straight_fall_is_over_fitting_where_the_validation_loss_turned_early() -> None:
    validation = 0.8 + 0.004 * np.abs(EPOCHS - 10.0)
    history = made(1.0 - 0.009 * EPOCHS, validation)
    assert diagnose(history, constant_loss=CONSTANT).kind == "overfitting"


def test_a_cold_run_may_start_worse_than_a_constant_answer() -> None:
    for start in (1.3, 4.0):
        training = start - 0.002 * EPOCHS
        assert diagnose(made(training, training), constant_loss=CONSTANT).kind == "lr_too_low"


def test_a_short_run_that_fell_far_is_not_cold_but_short() -> None:
    training = 1.0 - 0.06 * EPOCHS[:10]
    assert diagnose(made(training, training), constant_loss=CONSTANT).kind == "still_improving"


def test_a_bad_start_is_no_sign_where_data_or_weights_make_it() -> None:
    training = np.where(EPOCHS == 1, 6.0, falling(0.05, 0.5))
    history = made(training, falling(0.06, 0.5))
    assert diagnose(history, constant_loss=CONSTANT).kind == "lr_too_high"
    unscaled = config_of(data={"path": "made.csv", "target": "y", "scale": "none"})
    own_weights = [{"type": "dense", "init": "kaiming_normal"}]
    for config in (unscaled, config_of(model={"layers": own_weights})):
        assert diagnose(replace(history, config=config), constant_loss=CONSTANT).kind == "fine"


def test_jumps_around_a_constant_answers_loss_are_no_slow_fall() -> None:
    for seed in range(50):
        training, validation = 0.97 * jumps(0.01, seed), jumps(0.01, seed + 1000)
        history = made(training, validation)
        assert diagnose(history, constant_loss=CONSTANT).kind == "underfitting", seed


def test_a_loss_that_begins_to_fall_late_is_no_under_fitting() -> None:
    training = 1.05 - 0.02 * np.maximum(0.0, EPOCHS - 52.0)
    assert diagnose(made(training, training), constant_loss=CONSTANT).kind == "still_improving"


@pytest.mark.parametrize("num_epochs", [3, 60])
def test_a_run_whose_metric_had_no_value_is_never_fine(num_epochs: int) -> None:
    stopping = {"early_stopping": {"patience": 5, "metric": "roc_auc"}}
    history = replace(fine(), config=config_of(training=stopping))
    epochs = history.epochs
    shown = Epochs(
        *(epochs.numbers[:num_epochs], epochs.train_losses[:num_epochs], epochs.lrs[:num_epochs]),
        epochs.is_validated[:num_epochs],
        {
            "loss": epochs.validation["loss"][:num_epochs],
            "roc_auc": np.full(num_epochs, np.nan),
        },
    )
    diagnosis = diagnose(replace(history, epochs=shown), constant_loss=CONSTANT)
    assert diagnosis.kind == "unwatched"
    assert "fine" not in {finding.kind for finding in diagnosis.findings}
    assert "could not monitor roc_auc" in diagnosis.text
    assert "--set training.early_stopping.metric=loss" in str(diagnosis.findings[0].changes[0])
    known = {**epochs.validation, "roc_auc": np.full(len(epochs), 0.9)}
    history = replace(history, epochs=replace(epochs, validation=known))
    assert diagnose(history, constant_loss=CONSTANT).kind == "fine"


def test_a_network_that_is_held_back_but_good_is_fine() -> None:
    linear = config_of(model={"layers": [{"type": "dense"}]})
    history = made(falling(0.1, 0.5), falling(0.1, 0.5), config=linear)
    assert diagnose(history, constant_loss=CONSTANT).kind == "fine"


def test_who_was_stopped_early_by_another_figure_did_not_end_too_early() -> None:
    history = replace(improving(), stop_reason="early_stopping")
    assert diagnose(history, constant_loss=CONSTANT).kind == "fine"


def test_what_a_schedule_ends_at_goes_with_the_rate() -> None:
    cosine = config_of(
        optimizer={"type": "sgd", "lr": 0.1}, schedule={"type": "cosine", "eta_min": 0.02}
    )
    settings = settings_of(diagnose(replace(leaping(), config=cosine), constant_loss=CONSTANT))
    assert settings[:2] == ["optimizer.lr=0.01", "schedule.eta_min=0.002"]


def test_units_that_other_layers_depend_on_are_left_alone() -> None:
    layers = [
        {"type": "dense", "units": 64},
        {"type": "reshape", "shape": [1, 8, 8]},
        {"type": "flatten"},
        {"type": "dense"},
    ]
    config = config_of(model={"layers": layers})
    settings = settings_of(diagnose(replace(over_fitted(), config=config), constant_loss=CONSTANT))
    assert settings
    assert not [own for own in settings if "units" in own]


def test_jumps_around_a_level_are_no_trend() -> None:
    for seed in range(50):
        training = falling(0.3, 0.8) * jumps(0.01, seed)
        history = made(training, falling(0.35, 0.8) * jumps(0.02, seed + 1000))
        assert diagnose(history, constant_loss=CONSTANT).kind == "fine", seed


def test_a_linear_network_is_advised_to_have_a_hidden_layer() -> None:
    linear = config_of(model={"layers": [{"type": "dense"}]})
    history = made(falling(0.5, 0.5), falling(0.5, 0.5), config=linear)
    diagnosis = diagnose(history, constant_loss=CONSTANT)
    assert "no hidden layer" in diagnosis.text
    assert settings_of(diagnosis) == [
        "model.layers=[{type: dense, units: 32, activation: relu}, {type: dense}]"
    ]
    assert diagnose(replace(history, config=config_of()), constant_loss=CONSTANT).kind == "fine"


def test_the_slower_a_run_the_higher_the_rate_it_is_advised() -> None:
    def advised(fall: float) -> str:
        config = config_of(optimizer={"type": "adam", "lr": 1e-5})
        history = made(1.0 - fall * EPOCHS / 60, config=config)
        diagnosis = diagnose(history, constant_loss=CONSTANT)
        assert diagnosis.kind == "lr_too_low"
        return settings_of(diagnosis)[0]

    assert advised(0.5) == "optimizer.lr=0.0001"
    assert advised(0.15) == "optimizer.lr=0.0003"
    assert advised(0.01) == "optimizer.lr=0.001"


def test_two_conditions_are_told_in_the_order_of_what_to_do() -> None:
    validation = falling(0.4, 0.5) + 0.01 * np.maximum(0.0, EPOCHS - 12.0)
    history = made(falling(0.02, 0.1), validation * jumps(0.3))
    assert [own.kind for own in diagnose(history, constant_loss=CONSTANT).findings] == [
        "overfitting",
        "noisy",
    ]


@pytest.mark.parametrize("num_epochs", [1, 2, 5])
def test_few_epochs_get_a_modest_answer(num_epochs: int) -> None:
    losses = falling(0.1, 0.3)[:num_epochs]
    diagnosis = diagnose(made(losses, losses), constant_loss=CONSTANT)
    (finding,) = diagnosis.findings
    assert finding.kind == "too_few_epochs"
    assert "too few" in finding.text
    assert settings_of(diagnosis) == ["training.epochs=100"]


def test_no_epoch_at_all_is_told() -> None:
    diagnosis = diagnose(
        History(Epochs.of(()), None, None, None, {}, ("metrics.jsonl is missing",)), constant_loss=1
    )
    assert diagnosis.kind == "too_few_epochs"
    assert (
        diagnosis.text
        == "No epoch was recorded: nothing can be said about how the network learned."
    )
    assert diagnosis.remarks == ("metrics.jsonl is missing",)


def test_without_validation_rows_the_training_loss_is_judged_and_that_is_told() -> None:
    diagnosis = diagnose(made(falling(0.05, 0.045)), constant_loss=CONSTANT)
    assert diagnosis.kind == "still_improving"
    assert "the training loss was still falling" in diagnosis.text
    assert diagnosis.remarks == ("there are no validation rows, so overfitting can't be detected",)
    assert diagnose(made(falling(0.1, 0.5)), constant_loss=CONSTANT).kind == "fine"


def test_losses_that_are_all_equal_are_no_learning() -> None:
    same = np.ones(30)
    assert diagnose(made(same, same), constant_loss=CONSTANT).kind == "underfitting"
    assert diagnose(made(same, same), constant_loss=None).kind == "underfitting"
    assert diagnose(made(0 * same, 0 * same), constant_loss=CONSTANT).kind == "fine"


def test_without_a_constant_answers_loss_the_rest_is_told() -> None:
    for make, kind in MADE:
        if make not in (held_back, blown_up, worse_than_constant, creeping, stuck_at_a_high_rate):
            diagnosis = diagnose(make(), constant_loss=None)
            assert diagnosis.kind == kind, make
            assert "loss of the constant baseline is unknown" in diagnosis.remarks[0]
            assert "the constant baseline" not in str(diagnosis.findings)


def test_without_a_config_changes_are_told_in_words() -> None:
    for make, _ in MADE:
        history = replace(make(), config=None)
        diagnosis = diagnose(history, constant_loss=CONSTANT)
        if diagnosis.kind != "fine":
            assert any(own.changes for own in diagnosis.findings)
        assert not [own for own in settings_of(diagnosis) if own.startswith("model")]


def test_many_epochs_are_diagnosed_at_once() -> None:
    epochs = np.arange(1, 20_001)
    training = falling(0.02, 0.001, epochs) * jumps(0.01, 0, len(epochs))
    validation = falling(0.4, 0.005, epochs) + 1e-4 * np.maximum(0, epochs - 4000)
    history = made(training, validation * jumps(0.01, 1, len(epochs)))
    started = time.perf_counter()
    assert diagnose(history, constant_loss=CONSTANT).kind == "overfitting"
    assert time.perf_counter() - started < 5
    two_thousand = made(training[:2000], training[:2000])
    assert diagnose(two_thousand, constant_loss=CONSTANT).kind == "still_improving"


def test_few_validation_rows_are_told() -> None:
    history = replace(fine(), rows={"train": 400, "validation": 12})
    (remark,) = diagnose(history, constant_loss=CONSTANT).remarks
    assert "only 12 validation rows" in remark


CONFIGS = [
    config_of(),
    config_of(optimizer={"type": "adamw", "lr": 1e-7}, training={"batch_size": "full"}),
    config_of(
        optimizer={"type": "sgd", "lr": 0.1, "weight_decay": 0.2},
        schedule={"type": "cosine", "eta_min": 0.05},
        training={"batch_size": 8, "early_stopping": {"patience": 3}, "gradient_clip_norm": 2.0},
    ),
    config_of(
        data={"path": "made.csv", "target": "y", "scale": "none", "target_scale": "none"},
        schedule={"type": "reduce_on_plateau", "min_lr": 1e-4},
        model={"layers": [{"type": "dense"}]},
    ),
    config_of(
        schedule={"type": "step", "step_size": 20},
        model={
            "layers": [
                {"type": "reshape", "shape": [1, 4, 4]},
                {"type": "conv2d", "out_channels": 8, "kernel_size": 3},
                {"type": "flatten"},
                {"type": "dropout", "rate": 0.9},
                {"type": "dense"},
            ]
        },
    ),
    config_of(
        model={
            "layers": [
                {"type": "dense", "units": 2, "activation": "tanh"},
                {"type": "residual", "layers": [{"type": "dense", "units": 40}]},
                {"type": "dense"},
            ]
        }
    ),
]


@pytest.mark.parametrize("config", CONFIGS)
def test_every_setting_that_is_advised_is_taken_and_changes_something(config: Config) -> None:
    Path("run.yaml").write_text(dump_config(config), "utf-8")
    for make, _ in MADE:
        history = replace(make(), config=config)
        for finding in diagnose(history, constant_loss=CONSTANT).findings:
            for change in finding.changes:
                if change.settings:
                    changed = load_config(Path("run.yaml"), change.settings).config
                    assert changed != config, change
                    assert change.options.count("--set ") == len(change.settings)


# Really trained.


def run(path: Path, folder: str, *overrides: str) -> tuple[History, Diagnosis]:
    prepared = prepare(load_config(path, overrides))
    for _ in train(prepared, run_dir=Path(folder)):
        pass
    own = RunFolder(Path(folder))
    history = read_history(metrics=own.metrics, summary=own.summary, config=own.config)
    dataset = prepared.dataset
    target = dataset.fitted.target
    objective = build_objective(prepared.loss, target, torch.device("cpu"))
    constant_loss = constant_baseline_loss(
        objective, target, torch.tensor(dataset.parts["train"].targets["target"])
    )
    return history, diagnose(history, constant_loss=constant_loss)


def xor_table(num_rows: int = 400) -> Path:
    x = np.random.default_rng(5).uniform(-1, 1, (num_rows, 2))
    columns = {"a": x[:, 0], "b": x[:, 1], "y": (x[:, 0] * x[:, 1] > 0).astype(int)}
    pl.DataFrame(columns).write_csv("xor.csv")
    return Path("xor.csv")


def test_a_linear_network_under_fits_xor_and_the_advice_cures_it(
    write_config: WriteConfig,
) -> None:
    path = write_config(
        xor_table(),
        "y",
        data={"split": {"validation": 0.25}},
        optimizer={"type": "adam", "lr": 0.02},
        training={"epochs": 30},
    )
    before, diagnosis = run(path, "before")
    assert diagnosis.kind == "underfitting"
    (change,) = diagnosis.findings[0].changes
    after, _ = run(path, "after", *change.settings)
    assert after.train_losses[-1] < before.train_losses[-1] / 3


def test_rates_that_are_far_off_are_told(write_config: WriteConfig) -> None:
    path = write_config(
        xor_table(),
        "y",
        data={"split": {"validation": 0.25}},
        model={"layers": LAYERS},
        optimizer={"type": "adam"},
        training={"epochs": 25},
    )
    assert run(path, "hot", "optimizer.lr=1.0")[1].kind == "lr_too_high"
    assert run(path, "cold", "optimizer.lr=0.00001")[1].kind == "lr_too_low"


def test_noise_that_is_learned_is_over_fitting(write_config: WriteConfig) -> None:
    random = np.random.default_rng(3)
    columns = {f"x{index}": random.normal(size=120) for index in range(10)}
    pl.DataFrame({**columns, "y": random.normal(size=120)}).write_csv("noise.csv")
    path = write_config(
        "noise.csv",
        "y",
        data={"split": {"validation": 0.5}},
        model={
            "layers": [{"type": "dense", "units": 100, "activation": "relu"}, {"type": "dense"}]
        },
        optimizer={"type": "adam", "lr": 0.01},
        training={"epochs": 60},
    )
    _, diagnosis = run(path, "run")
    assert diagnosis.kind == "overfitting"
