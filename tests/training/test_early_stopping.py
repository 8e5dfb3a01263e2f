from collections.abc import Sequence

import pytest

from dlcli.config.sections.training import EarlyStopping
from dlcli.metrics import MetricName
from dlcli.training.early_stopping import Watch


def watch(
    values: Sequence[float | None],
    metric: MetricName = "loss",
    losses: Sequence[float] = (),
    **options: float,
) -> Watch:
    """Observe values, and losses beside them, until patience is used up."""
    followed = Watch.of(EarlyStopping.model_validate({"metric": metric, **options}))
    for epoch, value in enumerate(values, start=1):
        followed.observe(epoch, {"loss": losses[epoch - 1] if losses else 1.0, metric: value})
        if followed.is_over:
            break
    return followed


def test_it_stops_after_patience_epochs_without_a_better_figure() -> None:
    followed = watch([3.0, 2.0, 2.5, 2.4, 1.0], patience=2)
    assert followed.is_over
    assert (followed.standing.best_epoch, followed.standing.best) == (2, 2.0)


def test_a_better_figure_starts_the_waiting_anew() -> None:
    assert not watch([3.0, 2.0, 2.5, 1.9, 2.5], patience=2).is_over


@pytest.mark.parametrize(
    ("patience", "factor", "best", "last"),
    [(20, 2.0, 7, 34), (40, 3.0, 1, 43), (5, 1.0, 4, 9), (3, 2.3, 10, 26), (1, 1.25, 3, 4)],
)
def test_patience_grows_with_the_best_epoch_as_pytabkits_does(
    patience: int, factor: float, best: int, last: int
) -> None:
    """In pytabkit 1.7.0, epochs count while epoch <= factor × best epoch + patience."""
    values = [float(abs(epoch - best)) for epoch in range(1, 100)]
    followed = watch(values, patience=patience, patience_factor=factor)
    standing = followed.standing
    assert (standing.best_epoch, standing.best_epoch + standing.num_waited) == (best, last)


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "macro_f1", "roc_auc", "r2"])
def test_larger_is_better_for_scores(metric: MetricName) -> None:
    followed = watch([0.5, 0.7, 0.6], metric, patience=5)
    assert (followed.standing.best_epoch, followed.standing.best) == (2, 0.7)


@pytest.mark.parametrize("metric", ["loss", "rmse", "mae"])
def test_smaller_is_better_for_errors(metric: MetricName) -> None:
    assert watch([0.5, 0.7, 0.4], metric, patience=5).standing.best_epoch == 3


def test_of_equal_figures_the_first_is_the_best() -> None:
    assert watch([1.0, 1.0, 1.0], patience=5).standing.best_epoch == 1


def test_a_gain_within_min_delta_is_kept_but_does_not_end_the_waiting() -> None:
    followed = watch([1.0, 0.95, 0.92, 0.91], patience=3, min_delta=0.1)
    assert (followed.is_over, followed.standing.best_epoch) == (True, 4)


def test_slow_gains_that_add_up_to_min_delta_count() -> None:
    assert not watch([1.0, 0.95, 0.89, 0.85, 0.78], patience=3, min_delta=0.1).is_over


@pytest.mark.parametrize("without_value", [None, float("nan")])
def test_without_a_value_of_the_metric_the_loss_is_watched_from_there_on(
    without_value: float | None,
) -> None:
    losses = [3.0, 2.0, 1.0, 0.5, 0.7, 0.8]
    followed = watch([without_value] * 6, "roc_auc", losses, patience=2)
    assert (followed.watched, followed.standing.best, followed.standing.best_epoch) == (
        "loss",
        0.5,
        4,
    )
    assert followed.is_over
    late = watch([0.9, 0.8, without_value, 0.95, 0.99], "roc_auc", losses, patience=3)
    assert (late.watched, late.standing.best_epoch, late.is_over) == ("loss", 4, False)


def test_a_metric_with_values_is_watched_to_the_end() -> None:
    assert watch([0.5, 0.6], "roc_auc", patience=5).watched == "roc_auc"


def test_without_early_stopping_it_never_stops() -> None:
    followed = Watch.of(None)
    for epoch in range(1, 100):
        followed.observe(epoch, {"loss": 1.0})
    assert not followed.is_over
