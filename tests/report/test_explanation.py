"""What a page says about why a network predicts as it does."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.config import load_config
from dlcli.explaining.reasons.boundary import Boundary, compute_boundary
from dlcli.explaining.reasons.explanation import Explanation, explain
from dlcli.explaining.reasons.filters import Filters, find_filters
from dlcli.explaining.reasons.permutation_importance import PermutationImportance
from dlcli.explaining.reasons.units import HiddenUnits
from dlcli.report.explanation.boundary import boundary_picture
from dlcli.report.explanation.filters import filters_picture, filters_section
from dlcli.report.explanation.section import explanation_sections
from dlcli.report.page import PageSection, write_page
from dlcli.runs.preparation import prepare
from dlcli.runs.reporting.load_run import load_model_and_data
from dlcli.runs.training.train import train
from tests.conftest import ROOT, WriteConfig
from tests.explaining.made import Columns, Layers, dense, make_model
from tests.report.test_page import Reader

HIDDEN: Layers = [{"type": "dense", "units": 4, "activation": "tanh"}, {"type": "dense"}]
MAX_LETTERS = 200_000  # of a picture
HOSTILE = "<script>alert(1)</script> & $x^2$ {{ 7 * 7 }} " + 9 * "long"


def parts_of(
    columns: Columns | Path, target: str, layers: Layers, **data: Any
) -> list[PageSection]:
    return explanation_sections(explain(make_model(columns, target, layers, **data)))


def pictures(parts: Iterable[PageSection]) -> dict[str, str]:
    """Return what is said of each picture, none of which is too large."""
    found = [picture for part in parts for picture in part.pictures]
    assert all(len(picture.svg) < MAX_LETTERS for picture in found)
    return {picture.name: picture.text for picture in found}


def said(parts: Iterable[PageSection]) -> str:
    return " ".join(text for part in parts for text in part.paragraphs)


def figures(why: Explanation) -> tuple[object, ...]:
    assert isinstance(why.importance, PermutationImportance)
    assert isinstance(why.units, HiddenUnits)
    return why.importance.columns, why.units.units


def numbers(num_rows: int, *names: str) -> dict[str, list[float]]:
    random = np.random.default_rng(1)
    return {name: random.normal(size=num_rows).round(3).tolist() for name in names}


def test_a_trained_run_on_two_numbers_is_explained_by_all_there_is(
    write_config: WriteConfig,
) -> None:
    path = write_config(
        ROOT / "data" / "moons.csv",
        "color",
        data={"split": {"validation": 0.2, "test": 0.2}},
        model={"layers": list(HIDDEN)},
        training={"epochs": 3},
    )
    list(train(prepare(load_config(path)), run_dir=Path("run")))
    why = explain(load_model_and_data(Path("run")))
    parts = explanation_sections(why)
    assert [part.title for part in parts] == [
        "Permutation importance",
        "Partial dependence",
        "Decision boundary",
        "Hidden units",
        "Not available",
    ]
    drawn = pictures(parts)
    assert list(drawn) == ["importance", "partial-dependence", "boundary", "hidden-units"]
    assert "on the 200 test rows" in drawn["importance"]
    assert "400 of 600 training rows are drawn." in drawn["boundary"]
    assert len(parts[3].tables[0].rows) == 4
    assert said(parts).endswith("first-layer filters (rows are neither images nor signals).")
    assert figures(explain(load_model_and_data(Path("run")))) == figures(why)


def test_a_neurons_line_is_written_in_words() -> None:
    weights = dense([[3.0, -2.0]], [1.0])
    parts = parts_of(ROOT / "data" / "perceptron.csv", "above", [weights], scale="none")
    assert "a line: 1 + 3 x1 - 2 x2 = 0, in the data's units." in said(parts)
    assert "Boundary: 1 + 3 x1 - 2 x2 = 0." in pictures(parts)["boundary"]


def test_hostile_names_stay_text_and_keep_pictures_small() -> None:
    columns: Columns = {
        **numbers(90, HOSTILE, HOSTILE + "2"),
        "c": [None if index % 7 == 0 else f"{HOSTILE}{index % 40}" for index in range(90)],
        "y": [f"{HOSTILE}{index % 60}" for index in range(90)],
    }
    parts = parts_of(columns, "y", HIDDEN, split={})
    assert "The 5 most frequent of 60 classes are drawn." in pictures(parts)["partial-dependence"]
    assert "so training rows were used" in said(parts)
    write_page(Path("page.html"), "page", "lead", parts)
    reader = Reader()
    reader.feed(Path("page.html").read_text("utf-8"))
    assert reader.tags.count("script") == 1
    assert "49" not in re.findall(r"\{\{ (\d+)", reader.text)
    assert not [name for name, _ in reader.attributes if name.startswith("on")]


def test_many_columns_are_cut_off_in_words() -> None:
    columns = {**numbers(60, *(f"x{index}" for index in range(30))), **numbers(60, "y")}
    parts = parts_of(columns, "y", [{"type": "dense"}])
    assert "The 15 largest are drawn." in pictures(parts)["importance"]
    assert "about one in 40 lies above 0 by chance" in said(parts)
    assert "the network has no hidden dense layer" in said(parts)


def test_one_column_and_one_held_out_row_are_enough() -> None:
    parts = parts_of({"x": [1.0, 2.0, 4.0], "y": [1.0, 3.0, 2.0]}, "y", HIDDEN, split={"test": 0.3})
    assert "permutation importance (a single row can't be shuffled)" in said(parts)
    parts = parts_of({"x": [1.0, 2.0, 4.0], "y": [1.0, 3.0, 2.0]}, "y", HIDDEN, split={})
    assert list(pictures(parts)) == ["importance", "partial-dependence"]


def test_several_classes_have_regions() -> None:
    columns: Columns = {**numbers(100, "a", "b"), "y": [f"k{index % 17}" for index in range(100)]}
    model = make_model(columns, "y", HIDDEN)
    found = compute_boundary(model)
    assert isinstance(found, Boundary)
    picture = boundary_picture(found, model.target)
    assert picture.text.startswith("The most likely class for each a and b")
    assert "other classes" in picture.svg


def test_what_groups_and_weights_do_to_importance_is_said() -> None:
    weights = [1 + row % 3 for row in range(80)]
    shops: list[object] = [f"s{row // 8}" for row in range(80)]
    table: Columns = {**numbers(80, "x", "y"), "shop": shops, "w": weights}
    by_shop: dict[str, Any] = {"split": {"group": "shop", "test": 0.5}}
    text = said(parts_of(table, "y", HIDDEN, weight="w", **by_shop))
    assert "account for the choice of the 5 groups of 'shop' (data.split.group), as rows of" in text
    assert "Each row counts as much as 'w' says (data.weight), and a row with the cell of" in text
    plain = said(parts_of(table, "y", HIDDEN, features=["x"]))
    assert "Intervals account for the choice of rows and of shuffles." in plain
    assert "data." not in plain


def test_images_have_maps_filters_and_what_excites_them() -> None:
    columns = {**numbers(40, *(f"p{index}" for index in range(72))), **numbers(40, "y")}
    layers: Layers = [
        {"type": "conv2d", "out_channels": 3, "kernel_size": 3, "activation": "relu"},
        {"type": "flatten"},
        {"type": "dense"},
    ]
    parts = parts_of(columns, "y", layers, shape=[2, 6, 6])
    drawn = pictures(parts)
    assert list(drawn) == ["importance", "filters", "excited"]
    assert "when one pixel is shuffled" in drawn["importance"]
    assert "3 of 3 filters" in drawn["filters"]
    assert "a frame marks where the activation is highest" in drawn["excited"]
    assert "orange is negative" in said(parts)
    found = find_filters(make_model(columns, "y", layers, shape=[3, 4, 6]))
    assert isinstance(found, Filters)
    section = filters_section(found)
    assert "in the colours that it responds to" in section.paragraphs[0]
    assert not any("channels" in picture.text.lower() for picture in section.pictures)
    layers = [{"type": "conv1d", "out_channels": 3, "kernel_size": 3}, *layers[1:]]
    found = find_filters(make_model(columns, "y", layers, shape=[2, 36]))
    assert isinstance(found, Filters)
    assert "Channels are drawn as lines" in filters_picture(found).text


def test_answers_that_are_no_numbers_explain_nothing() -> None:
    model = make_model({**numbers(20, "x"), **numbers(20, "y")}, "y", HIDDEN)
    model.network.get_parameter("1_dense.bias").data.fill_(float("nan"))
    (part,) = explanation_sections(explain(model))
    assert part.paragraphs[0].endswith("(its predictions are not finite).")
