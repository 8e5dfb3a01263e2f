"""The gradient-boosting baseline, beside scikit-learn's own call and beside networks."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml
from sklearn.ensemble import HistGradientBoostingClassifier

from dlcli.explaining.explained_model import ExplainedModel
from dlcli.explaining.quality.boosted_trees import BoostedTrees, tree_features
from dlcli.explaining.quality.quality import Quality, assess_quality
from dlcli.report.quality.section import quality_sections
from tests.conftest import Command
from tests.explaining.made import make_model

LAYERS = [{"type": "dense"}]
SECONDS = 10.0


def corners(num_rows: int = 120) -> dict[str, Any]:
    """Return points whose class is the sign of their product, which no line tells."""
    random = np.random.default_rng(0)
    x = random.uniform(-1, 1, (num_rows, 2))
    return {
        "x": x[:, 0],
        "color": random.choice(["red", "green", "blue"], num_rows),
        "y": x[:, 1],
        "w": random.integers(1, 4, num_rows),
        "side": np.where(x[:, 0] * x[:, 1] > 0, "in", "out"),
    }


def said(quality: Quality) -> str:
    """Return what the page says of trees; nothing where it has no such section."""
    sections = {section.title: section for section in quality_sections(quality)}
    trees = sections.get("Gradient boosting")
    return " ".join(trees.paragraphs) if trees else ""


@pytest.fixture
def model() -> ExplainedModel:
    return make_model(corners(), "side", LAYERS, weight="w", features=["x", "color", "y"])


def test_trees_are_scikit_learns_on_the_same_rows_and_are_said_to_do_better(
    model: ExplainedModel,
) -> None:
    quality = assess_quality(model, tree_seconds=SECONDS)
    frame = pl.read_csv("made.csv")
    parts = {name: rows.table.frame for name, rows in model.parts.items()}
    codes = {"blue": 1.0, "green": 2.0, "red": 3.0}

    def features(part: pl.DataFrame) -> np.ndarray:
        return part.select("x", pl.col("color").replace_strict(codes), "y").to_numpy()

    assert len(parts["train"]) + len(parts["test"]) == len(frame)
    estimator = HistGradientBoostingClassifier(categorical_features=[1])
    train, test = (
        parts[name].with_columns(pl.col("x", "y", "w").cast(pl.Float64))
        for name in ("train", "test")
    )
    estimator.fit(features(train), train["side"], sample_weight=train["w"])
    right = estimator.predict(features(test)) == test["side"].to_numpy()
    headline, share = quality.metrics[0], np.average(right, weights=test["w"])
    assert headline.trees is not None
    assert headline.trees.value == pytest.approx(share)
    assert headline.trees.low is not None
    assert headline.trees.low < share
    assert f"Trees do better here: their {headline.name} is" in said(quality)


def test_a_category_is_one_feature_and_an_unseen_one_is_missing(model: ExplainedModel) -> None:
    inputs = {
        name: tensor.cpu().numpy().copy()
        for name, tensor in model.parts["test"].encoded.inputs.items()
    }
    inputs["numbers"][0, 1:4] = 0.0
    found = tree_features(model.fitted, inputs)
    assert found.shape == (len(found), 3)
    assert np.isnan(found[0, 1])
    assert set(found[1:, 1]) == {1.0, 2.0, 3.0}


def test_without_scikit_learn_or_time_there_are_no_trees(
    model: ExplainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    quality = assess_quality(model, tree_seconds=0.5)
    assert quality.trees is None
    assert quality.metrics[0].trees is None
    assert said(quality) == ""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    without = assess_quality(model, tree_seconds=SECONDS)
    assert "it needs scikit-learn: pip install 'dlcli[trees]'" in said(without)


def test_trees_that_would_take_too_long_are_cut_and_the_page_says_so(model: ExplainedModel) -> None:
    defaults = assess_quality(model, tree_seconds=SECONDS).trees
    cut = assess_quality(model, tree_seconds=1.102, cuts_trees=True)
    assert isinstance(defaults, BoostedTrees)
    assert defaults.estimator.n_iter_ == 100
    assert isinstance(cut.trees, BoostedTrees)
    settings = cut.trees.settings
    assert cut.trees.estimator.n_iter_ == settings.num_iterations < 100
    assert settings.num_iterations * settings.learning_rate > 7
    (section,) = (part for part in quality_sections(cut) if part.title == "Gradient boosting")
    note = section.tables[0].note
    assert f"{settings.num_iterations} iterations of trees with 8 leaves" in note
    assert "With its defaults it may be better than shown." in note


def test_numbers_have_trees_too() -> None:
    random = np.random.default_rng(1)
    x = random.uniform(-1, 1, 120)
    made = make_model({"x": list(x), "y": list(50 + 9 * x**2)}, "y", LAYERS)
    quality = assess_quality(made, tree_seconds=SECONDS)
    assert isinstance(quality.trees, BoostedTrees)
    rmse = next(metric for metric in quality.metrics if metric.name == "rmse")
    assert rmse.trees is not None
    assert rmse.trees.value is not None
    assert rmse.constant.value is not None
    assert rmse.trees.value < 0.8 * rmse.constant.value


def test_the_json_of_a_report_holds_the_baselines(dlcli: Command) -> None:
    pl.DataFrame(corners()).write_csv("corners.csv")
    config = {
        "data": {"path": "corners.csv", "target": "side", "split": {"test": 0.4}},
        "model": {"layers": LAYERS},
        "training": {"epochs": 1},
        "report": "quick",
    }
    Path("config.yaml").write_text(yaml.safe_dump(config), "utf-8")
    trained = dlcli("train", "config.yaml", "--run-dir", "run", "--json", "--set", "report=quick")
    quick = trained.json["baselines"]
    assert quick["part"] == "test"
    assert quick["metrics"]["accuracy"]["trees"] is None
    assert "`dlcli report RUN --json` has it" in quick["trees_unavailable"]
    assert "gradient boosting" in Path("run/report.html").read_text("utf-8")
    full = dlcli("report", "run", "--json").json["baselines"]
    assert full["trees_unavailable"] is None
    assert "gradient boosting 2.1, permutation importance 1," in Path("run/report.html").read_text()
    accuracy = full["metrics"]["accuracy"]
    assert (
        accuracy["network"]["value"]
        == json.loads(Path("run/summary.json").read_text())["test"]["accuracy"]
    )
    assert accuracy["trees"]["value"] > accuracy["linear"]["value"]
    for name in ("network", "linear", "constant", "trees"):
        assert accuracy[name]["low"] <= accuracy[name]["value"] <= accuracy[name]["high"]
