"""Linear models against scikit-learn's with the same penalty."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

from dlcli.explaining.quality import baselines
from dlcli.explaining.quality.baselines import LinearModel, fit_logistic, fit_ridge
from dlcli.explaining.quality.calibration import softmax
from dlcli.explaining.quality.temperature import log_loss


def made_features(num_rows: int, width: int, seed: int = 0) -> np.ndarray:
    """Return columns of unlike scales that go together, one of them constant."""
    random = np.random.default_rng(seed)
    mixed = random.normal(size=(num_rows, width)) @ random.normal(size=(width, width))
    features = mixed * np.logspace(-2, 2, width) + np.arange(width)
    features[:, 0] = 7.0
    return features.astype(np.float32)


def made_classes(features: np.ndarray, num_classes: int) -> np.ndarray:
    random = np.random.default_rng(1)
    plain = (features - features.mean(axis=0)) / (features.std(axis=0) + 1e-9)
    logits = plain @ random.normal(size=(features.shape[1], num_classes))
    classes: np.ndarray = (logits + random.gumbel(size=logits.shape)).argmax(axis=1)
    return classes


def logistic(features: np.ndarray, truth: np.ndarray, **more: object) -> LinearModel:
    settings = {"class_weights": np.ones(truth.max() + 1), **more}
    return fit_logistic({"numbers": features}, truth, 0, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(80, 6), (30, 50)])
def test_ridge_is_scikit_learns(shape: tuple[int, int]) -> None:
    features = made_features(*shape)
    truth = features[:, 1] * 3 + np.random.default_rng(2).normal(size=shape[0])
    model = fit_ridge({"numbers": features}, truth, 0)
    plain = StandardScaler().fit_transform(features.astype(np.float64))
    peer = Ridge(alpha=shape[0] * model.penalty).fit(plain, truth)
    assert model.outputs({"numbers": features})[:, 0] == pytest.approx(
        peer.predict(plain), rel=1e-6, abs=1e-6
    )
    assert (model.num_rows, model.is_settled) == (shape[0], True)


def test_the_ridge_penalty_has_the_least_error_on_rows_left_out_one_by_one() -> None:
    features = made_features(25, 10)
    truth = features[:, 1] + 5 * np.random.default_rng(3).normal(size=25)
    plain = StandardScaler().fit_transform(features.astype(np.float64))

    def left_out(penalty: float) -> float:
        errors = []
        for row in range(25):
            kept = np.arange(25) != row
            # The mean of the others is the intercept, as when all of them are fitted.
            peer = Ridge(alpha=25 * penalty).fit(plain[kept], truth[kept])
            errors.append(float(peer.predict(plain[[row]])[0] - truth[row]))
        return float(np.mean(np.square(errors)))

    found = fit_ridge({"numbers": features}, truth, 0).penalty
    assert 1e-6 < found < 1e2
    assert left_out(found) <= min(left_out(found * 2), left_out(found / 2))


@pytest.mark.parametrize("num_classes", [2, 4])
def test_logistic_regression_is_scikit_learns(num_classes: int) -> None:
    features = made_features(150, 5)
    truth = made_classes(features, num_classes)
    model = logistic(features, truth, penalty=0.01)
    plain = StandardScaler().fit_transform(features.astype(np.float64))
    peer = LogisticRegression(C=1 / (150 * 0.01), tol=1e-8, max_iter=1000).fit(plain, truth)
    assert softmax(model.outputs({"numbers": features})) == pytest.approx(
        peer.predict_proba(plain), abs=1e-4
    )
    assert (model.penalty, model.is_settled) == (0.01, True)


def test_class_weights_are_weights_of_rows() -> None:
    features = made_features(150, 4)
    truth = made_classes(features, 3)
    weights = np.array([0.5, 1.0, 4.0])
    model = logistic(features, truth, penalty=0.01, class_weights=weights)
    plain = StandardScaler().fit_transform(features.astype(np.float64))
    peer = LogisticRegression(C=1 / (150 * 0.01), tol=1e-8, max_iter=1000)
    peer.fit(plain, truth, sample_weight=weights[truth])
    assert softmax(model.outputs({"numbers": features})) == pytest.approx(
        peer.predict_proba(plain), abs=1e-4
    )


def test_smoothed_truth_is_what_it_aims_at() -> None:
    features = np.repeat(np.eye(2, dtype=np.float32), 50, axis=0)
    truth = np.repeat([0, 1], 50)
    model = logistic(features, truth, penalty=1e-9, smoothing=0.2)
    assert softmax(model.outputs({"numbers": features}))[0] == pytest.approx([0.9, 0.1], abs=1e-3)


def test_the_chosen_penalty_does_well_on_new_rows() -> None:
    features = made_features(300, 25)
    truth = made_classes(features, 4)
    half = 60
    model = logistic(features[:half], truth[:half])
    assert model.penalty in (0.1, 0.01, 0.001)

    def loss(own: LinearModel) -> float:
        return log_loss(own.outputs({"numbers": features[half:]}), truth[half:])

    others = [logistic(features[:half], truth[:half], penalty=p) for p in (1.0, 0.1, 0.01, 1e-4)]
    assert loss(model) < 1.1 * min(map(loss, others))
    assert loss(model) < 0.6 * max(map(loss, others))


def test_codes_are_columns_of_their_own() -> None:
    random = np.random.default_rng(4)
    codes = random.integers(1, 6, 500)
    heights = np.array([0.0, 3.0, -2.0, 8.0, 1.0, -5.0])
    numbers = random.normal(size=(500, 1)).astype(np.float32)
    inputs = {"numbers": numbers, "codes": codes[:, None].astype(np.int32)}
    truth = heights[codes] + numbers[:, 0]
    model = fit_ridge(inputs, truth, 0)
    assert model.outputs(inputs)[:, 0] == pytest.approx(truth, abs=0.01)
    new = {"numbers": np.zeros((1, 1), np.float32), "codes": np.zeros((1, 1), np.int32)}
    unseen = model.outputs(new)[0, 0]
    assert np.isfinite(unseen)


def test_rare_codes_share_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "MAX_CODES", 2)
    codes = np.repeat([1, 2, 3, 4], [50, 2, 40, 3])
    model = fit_ridge({"codes": codes[:, None].astype(np.int32)}, np.arange(95.0), 0)
    assert [own.codes.tolist() for own in model.one_hots] == [[1, 3]]
    two, four = model.outputs({"codes": np.array([[2], [4]], np.int32)})
    assert two == four


def test_a_column_that_training_never_moved_has_no_say() -> None:
    features = made_features(60, 3)
    truth = made_classes(features, 2)
    moved = features.copy()
    moved[:, 0] = -1e6
    for model in (fit_ridge({"numbers": features}, truth, 0), logistic(features, truth)):
        assert (model.outputs({"numbers": moved}) == model.outputs({"numbers": features})).all()


def test_more_than_there_is_time_for_is_drawn_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "_MAX_WORK", 400_000)
    monkeypatch.setattr(baselines, "_MAX_COMPONENTS", 10)
    features = made_features(1000, 20)
    truth = made_classes(features, 3)
    model = logistic(features, truth)
    assert 0 < model.num_rows < 1000
    assert log_loss(model.outputs({"numbers": features}), truth) < np.log(3)
    assert fit_ridge({"numbers": features}, truth, 0).num_rows == 10


def test_a_fit_that_had_to_stop_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    features = made_features(200, 20)
    truth = made_classes(features, 3)
    assert logistic(features, truth).is_settled
    monkeypatch.setattr(baselines, "_MAX_STEPS", 14)
    assert not logistic(features, truth).is_settled


@pytest.mark.parametrize("num_rows", [1, 2, 4])
def test_a_handful_of_rows_is_enough(num_rows: int) -> None:
    features = made_features(num_rows, 3)
    truth = np.arange(num_rows) % 2
    model = logistic(features, truth, class_weights=np.ones(3))
    assert np.isfinite(model.outputs({"numbers": features})).all()
    assert np.isfinite(
        fit_ridge({"numbers": features}, truth, 0).outputs({"numbers": features})
    ).all()


def test_a_short_time_limits_rows_and_steps() -> None:
    features = made_features(4000, 30)
    truth = made_classes(features, 4)
    quick, full = (logistic(features, truth, seconds=seconds) for seconds in (0.01, np.inf))
    assert quick.num_rows < full.num_rows == 4000
    assert log_loss(quick.outputs({"numbers": features}), truth) < np.log(4)
    inputs = {"numbers": features}
    quick, full = (fit_ridge(inputs, truth, 0, seconds=seconds) for seconds in (2e-4, np.inf))
    assert 100 <= quick.num_rows < full.num_rows == 4000
