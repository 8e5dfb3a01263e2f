"""What the page says about a network's quality, whatever its names and rows are like."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dlcli.explaining.explained_model import ExplainedModel
from dlcli.explaining.quality.quality import ClassQuality, NumberQuality, Quality, assess_quality
from dlcli.losses.classification import CrossEntropy
from dlcli.losses.regression import Huber, MeanAbsoluteError
from dlcli.numbers import number_text
from dlcli.report.page import PageSection
from dlcli.report.picture import Picture
from dlcli.report.quality import calibration, largest_errors, per_class, residuals
from dlcli.report.quality.calibration import reliability_picture
from dlcli.report.quality.largest_errors import gallery
from dlcli.report.quality.per_class import confusion_picture
from dlcli.report.quality.residuals import residual_picture
from dlcli.report.quality.section import quality_sections
from dlcli.report.text import labels
from tests.explaining.made import dense, make_model

HOSTILE = "<script>alert(1)</script> $x^2$ {{ 7 }}"
LAYERS: list[Mapping[str, Any]] = [{"type": "dense"}]
BY_COLUMN = {"column": "part"}


def classes(num_classes: int, num_rows: int = 120) -> dict[str, Any]:
    random = np.random.default_rng(0)
    kinds = np.arange(num_rows) % num_classes
    columns = {f"x{place}": kinds * 0.1 + random.normal(size=num_rows) for place in range(3)}
    part = np.where(np.arange(num_rows) // num_classes % 2, "test", "train")
    return {**columns, "kind": [f"k{kind}" for kind in kinds], "part": part}


def numbers(num_rows: int = 100) -> dict[str, Any]:
    x = np.random.default_rng(1).normal(size=num_rows)
    return {"x": x, "y": 1e5 * x, "part": np.where(np.arange(num_rows) % 2, "test", "train")}


def made(columns: Mapping[str, Sequence[object]], target: str, **more: Any) -> ExplainedModel:
    layers = more.pop("layers", LAYERS)
    return make_model(columns, target, layers, **{"split": BY_COLUMN, **more})


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave pictures empty, where only words are looked at: they take long."""

    def draw(name: str, title: str, text: str, *_: object, **__: object) -> Picture:
        return Picture(name, title, text, "", bytes)

    for module in (calibration, largest_errors, per_class, residuals):
        monkeypatch.setattr(module, "chart_picture", draw)


words_only = pytest.mark.usefixtures("undrawn")


def parts_of(model: ExplainedModel) -> list[PageSection]:
    return quality_sections(assess_quality(model))


def all_text(parts: Sequence[PageSection]) -> str:
    said = [text for part in parts for text in part.paragraphs]
    said += [table.note for part in parts for table in part.tables]
    said += [picture.text for part in parts for picture in part.pictures]
    return "\n".join(said)


def names(parts: Sequence[PageSection]) -> list[str]:
    return [picture.name for part in parts for picture in part.pictures]


@words_only
def test_classes_have_all_their_pictures_and_tables() -> None:
    parts = parts_of(made(classes(4), "kind"))
    assert [part.title for part in parts] == [
        "Metrics",
        "Per-class results and confusion matrix",
        "Calibration",
        "Largest errors",
    ]
    assert names(parts) == ["confusion", "roc-and-precision-recall", "reliability"]
    figures = parts[0].tables[0]
    assert [row[0] for row in figures.rows] == [
        *("accuracy", "balanced_accuracy", "macro_f1", "roc_auc", "loss")
    ]
    assert [row[:2] for row in parts[1].tables[0].rows] == [(f"k{n}", "15") for n in range(4)]
    assert len(parts[-1].tables[0].rows) == 10
    said = all_text(parts)
    assert "On the 60 test rows" in said
    assert "a logistic regression on the same encoded features of 60 training rows" in said
    assert "There are no validation rows to fit a temperature on" in said


@words_only
def test_numbers_have_all_their_pictures() -> None:
    parts = parts_of(made(numbers(), "y"))
    assert names(parts) == ["predicted-against-true", "residuals"]
    assert "a ridge regression" in all_text(parts)
    assert parts[-1].tables[0].titles == (
        *("row", "true", "predicted", "true − predicted", "loss", "x"),
    )


@words_only
def test_the_linear_model_decides_what_is_said() -> None:
    right = parts_of(made(numbers(), "y", layers=[dense([[1.0]], [0.0])]))
    constant = parts_of(made(numbers(), "y", layers=[dense([[0.0]], [0.0])]))
    assert "The network is worse than a linear model, by" in constant[0].paragraphs[2]
    assert "The network is no better than the constant baseline" in constant[0].paragraphs[1]
    assert "The network is better than the constant baseline" in right[0].paragraphs[1]
    columns = numbers(300)
    columns["y"] = np.abs(columns["x"]) + 0.01 * np.arange(300) % 0.1
    bent = [
        dense([[1.0], [-1.0]], [0.0, 0.0], activation="relu"),
        dense([[1.0, 1.0]], [0.0]),
    ]
    parts = parts_of(made(columns, "y", layers=bent, target_scale="none"))
    assert "The network is better than a linear model" in parts[0].paragraphs[2]
    same = parts_of(made(numbers(), "y", layers=[dense([[0.999999]], [0.0])]))
    assert "a linear model" in same[0].paragraphs[2]


@words_only
def test_differences_that_may_be_chance_are_no_better() -> None:
    columns = numbers(40)
    columns["y"] = columns["x"] + 5 * np.random.default_rng(2).normal(size=40)
    parts = parts_of(made(columns, "y", layers=[dense([[0.1]], [0.0])]))
    assert "The network is no better than a linear model" in parts[0].paragraphs[2]
    assert "may be due to chance" in parts[0].paragraphs[2]


@words_only
def test_rows_without_an_error_are_no_proof() -> None:
    columns = classes(2)
    columns["x0"] = [float(kind == "k1") for kind in columns["kind"]]
    layers = [dense([[9.0, 0.0, 0.0]], [0.0])]
    parts = parts_of(made(columns, "kind", layers=layers, loss="binary_cross_entropy"))
    # 0.05 = (1 - rate)^60
    assert "if 4.87% of new rows were misclassified, 60 rows would still all be right" in all_text(
        parts
    )
    assert "0 of 60 rows are misclassified." in all_text(parts)


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        (("train", "validation"), "On the 24 validation rows (there are no test rows)"),
        (("train",), "On 72 training rows (there are no held-out rows)"),
    ],
)
@words_only
def test_what_rows_are_missing_is_said(kept: tuple[str, ...], said: str) -> None:
    model = made(classes(2), "kind", split={"validation": 0.2, "test": 0.2})
    model = replace(model, parts={name: model.parts[name] for name in kept})
    text = all_text(parts_of(model))
    assert said in text
    assert ("says little about new rows" in text) == (kept == ("train",))
    assert ("The best epoch was chosen on these rows" in text) == ("validation" in kept)
    assert ("so this is optimistic" in text) == ("validation" in kept)


@words_only
def test_five_rows_are_few() -> None:
    kinds = classes(3, 20)
    kinds["part"] = ["test"] * 5 + ["train"] * 15
    for columns, target in ((kinds, "kind"), (numbers(10), "y")):
        parts = parts_of(made(columns, target))
        assert "With only 5 rows" in all_text(parts)
        assert len(parts[-1].tables[0].rows) == 5


@words_only
def test_a_missing_class_is_named() -> None:
    columns = classes(3)
    columns["part"] = [
        "train" if kind == "k2" else part
        for kind, part in zip(columns["kind"], columns["part"], strict=True)
    ]
    said = all_text(parts_of(made(columns, "kind")))
    assert "No row belongs to k2, so nothing is known about this class." in said
    assert "roc_auc is undefined on these rows" in said
    assert "for the 2 classes that have rows against the rest" in said
    columns["part"] = [
        "test" if kind == "k0" and part == "test" else "train"
        for kind, part in zip(columns["kind"], columns["part"], strict=True)
    ]
    parts = parts_of(made(columns, "kind"))
    assert "No row belongs to k1, k2" in all_text(parts)
    assert "there are no ROC and precision-recall curves" in all_text(parts)
    assert names(parts) == ["confusion", "reliability"]


@words_only
def test_many_classes_have_their_most_confused_pairs_in_a_table() -> None:
    parts = parts_of(made(classes(25, 250), "kind"))
    worst, pairs = parts[1].tables
    assert len(worst.rows) == 20
    assert "The 20 of 25 classes" in worst.note
    assert len(pairs.rows) == 10
    counts = [int(row[2]) for row in pairs.rows]
    assert counts == sorted(counts, reverse=True)
    assert all(row[0] != row[1] for row in pairs.rows)
    said = all_text(parts)
    assert "too many classes to print counts" in said
    assert "the 7 classes with the lowest ROC AUC" in said


def test_names_are_what_they_are_and_shortened() -> None:
    columns = classes(3)
    columns["kind"] = [f"_{HOSTILE}\u202e\n{kind}" for kind in columns["kind"]]
    columns |= {f"{HOSTILE * 3}{n}": columns["x0"] for n in range(40)}
    model = made(columns, "kind", loss="cross_entropy")
    parts = parts_of(model)
    for part in parts:
        for table in part.tables:
            assert all(len(cell) <= 40 for row in (table.titles, *table.rows) for cell in row)
            assert not any("\n" in cell for row in (table.titles, *table.rows) for cell in row)
        for picture in part.pictures:
            assert "<script" not in picture.svg
            assert len(picture.svg) < 200_000
    assert "of 43 columns are not shown" in parts[-1].tables[0].note


def test_signs_that_the_font_lacks_are_no_trouble() -> None:
    columns = classes(3)
    columns["kind"] = [f"漢字🎉{kind}" for kind in columns["kind"]]
    quality = assess_quality(made(columns, "kind"))
    assert isinstance(quality.details, ClassQuality)
    picture = confusion_picture(quality.details.confusion, quality.target.class_names)
    assert "漢字🎉k0" in picture.svg


@words_only
def test_missing_cells_are_told_from_text() -> None:
    columns = numbers()
    columns["note"] = [None if place % 3 else "" for place in range(100)]
    columns["word"] = ["None" if place % 2 else None for place in range(100)]
    model = made(columns, "y", kinds={"note": "categorical", "word": "categorical"})
    cells = [row[-2:] for row in parts_of(model)[-1].tables[0].rows]
    assert {word for _, word in cells} == {"None"}
    assert {note for note, _ in cells} == {"(missing)"}


def test_images_are_drawn() -> None:
    columns: dict[str, Any] = {f"p{n}": np.arange(60) % (n + 2) for n in range(16)}
    columns |= {"kind": list("ab") * 30, "part": ["train", "train", "test"] * 20}
    layers = [{"type": "flatten"}, {"type": "dense"}]
    quality = assess_quality(made(columns, "kind", layers=layers, shape=[1, 4, 4]))
    picture = gallery(quality.errors)
    assert picture is not None
    assert picture.svg.count("<image") == 10
    assert len(picture.svg) < 20_000


def test_constant_answers_and_constant_truth_can_be_drawn() -> None:
    columns = numbers()
    columns["y"] = np.where(columns["part"] == "test", 3.0, columns["y"])
    parts = parts_of(made(columns, "y", layers=[dense([[0.0]], [0.0])]))
    assert "too few different predictions, for a running median" in all_text(parts)
    assert "r2 is undefined on these rows" in all_text(parts)
    constant = [dense([[0.0] * 3] * 3, [0.0, 1.0, 0.0])]
    quality = assess_quality(made(classes(3), "kind", layers=constant))
    assert isinstance(quality.details, ClassQuality)
    assert "in a single bin of similar confidence" in reliability_picture(quality.details).text


@words_only
def test_outliers_among_many_rows_are_left_out_of_the_picture_and_counted() -> None:
    columns = numbers(1000)
    columns["y"][[11, 21]] = [1e9, -1e9]
    parts = parts_of(made(columns, "y", layers=[dense([[0.0]], [0.0])], target_scale="none"))
    assert "2 rows lie outside the range shown." in all_text(parts)


def test_many_rows_are_small_dots_of_few_paths() -> None:
    quality = assess_quality(made(numbers(6000), "y"))
    assert isinstance(quality.details, NumberQuality)
    picture = residual_picture(quality.details)
    assert picture.svg.count('class="dots') == 6
    assert len(picture.svg) < 200_000


@words_only
def test_of_fewer_than_200_rows_every_residual_is_shown() -> None:
    columns = numbers(300)  # of which 150 are held out
    columns["y"][11] = 1e9
    parts = parts_of(made(columns, "y", layers=[dense([[0.0]], [0.0])], target_scale="none"))
    assert "outside the range" not in all_text(parts)


@words_only
def test_what_training_did_to_probabilities_is_said() -> None:
    model = made(classes(3), "kind")
    loss = CrossEntropy(type="cross_entropy", class_weights="balanced", label_smoothing=0.1)
    said = all_text(parts_of(replace(model, loss=loss)))
    assert "Label smoothing in training" in said
    assert "Class weights in training" in said
    assert "its loss is that of the frequencies times the class weights" in said
    model = made(numbers(), "y")
    said = all_text(parts_of(replace(model, loss=MeanAbsoluteError(type="mae"))))
    assert "minimises squared errors, not the network's loss" in said
    assert "constant baseline: predicts the median" in said
    said = all_text(parts_of(replace(model, loss=Huber(type="huber", delta=1.0))))
    assert "constant baseline: predicts the number with the lowest Huber loss" in said
    columns = numbers() | {"key": [f"k{n % 20}" for n in range(100)]}
    said = all_text(parts_of(made(columns, "y", one_hot_max=2)))
    assert "one weight for each of at most the 100 most frequent values" in said


@words_only
def test_a_linear_model_of_some_rows_or_steps_is_said_to_be_one() -> None:
    quality: Quality = assess_quality(made(classes(3), "kind"))
    hasty = replace(quality.linear, num_rows=40, is_settled=False)
    said = all_text(quality_sections(replace(quality, linear=hasty)))
    assert "40 of 60 training rows (sampled, to be quick)" in said
    assert "stopped before it converged" in said


def test_labels_are_told_apart_and_can_be_seen() -> None:
    alike = ["a" * 30 + "x" + "b" * 30, "a" * 30 + "y" + "b" * 30]
    assert labels(alike, 12) == ["aaaaaaa…bbbb", "aaaaa…bb (2)"]
    assert labels(["", " \u202e "], 12) == ["(blank)", "(blank) (2)"]


def test_numbers_are_written_out_while_they_are_short() -> None:
    assert [number_text(value) for value in (0.12345, -180.4, 13100, 1e12, 2e-7)] == [
        *("0.123", "-180", "13100", "1e+12", "2e-07")
    ]
