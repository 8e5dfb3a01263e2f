"""`dlcli init` on folders of images, and on tables with a column of them."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dlcli.config import Config, load_config
from tests.conftest import ROOT, Command

Draft = Callable[..., tuple[Config, str]]


@pytest.fixture
def draft(dlcli: Command) -> Draft:
    """Draft a config, which must be valid; return it and its text."""

    def drafted(*arguments: object) -> tuple[Config, str]:
        Path("c.yaml").unlink(missing_ok=True)
        outcome = dlcli("init", *arguments, "-o", "c.yaml")
        assert outcome.code == 0, outcome.err
        validated = dlcli("validate", "c.yaml")
        assert validated.code == 0, validated.err
        return load_config(Path("c.yaml")).config, Path("c.yaml").read_text()

    return drafted


def write_images(folder: Path, number: int, *, side: int = 8, wide: int = 8) -> None:
    random = np.random.default_rng(len(str(folder)))
    folder.mkdir(parents=True)
    for index in range(number):
        pixels = random.integers(0, 256, (side, wide, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.png")


def types(config: Config) -> list[str]:
    return [layer.type for layer in config.model.layers]


def test_a_folder_gets_convolutions_for_the_size_and_colours_that_its_images_have(
    draft: Draft, dlcli: Command
) -> None:
    config, text = draft(ROOT / "data" / "digits_png")
    assert (config.data.target, config.data.task) == ("label", "multiclass")
    assert (config.data.images.size, config.data.images.channels) == ((8, 8), "grey")
    assert types(config)[0] == "conv2d"
    assert types(config)[-3:] == ["global_avg_pool", "dropout", "dense"]
    assert [one.type for one in config.training.augment] == ["rotation", "scale", "shift"]
    assert re.search(r"^# Effort standard: one network, 60 epochs; about", text, re.MULTILINE)
    assert "# multiclass: 'label' of digits_png, from 500 images." in text
    for key in ("images", "split", "layers", "loss", "schedule", "epochs", "augment"):
        assert re.search(rf"^ *# .*\n *{key}:", text, re.MULTILINE), key
    assert dlcli("train", "c.yaml", "--smoke").code == 0


def test_large_images_are_scaled_down_with_their_aspect_and_more_so_for_quick_training(
    draft: Draft,
) -> None:
    for label in "ab":
        write_images(Path("wide") / label, 6, side=90, wide=160)
    sizes = [draft("wide", "--effort", effort)[0].data.images for effort in ("quick", "standard")]
    assert [(images.size, images.fit) for images in sizes] == [
        ((36, 64), "stretch"),
        ((48, 84), "stretch"),
    ]


def test_parts_that_a_folder_has_are_kept(draft: Draft) -> None:
    for part in ("train", "test"):
        for label in "ab":
            write_images(Path("parts") / part / label, 3)
    config, _ = draft("parts")
    assert config.data.split.column == "part"
    assert config.training.early_stopping is None


def test_the_best_effort_is_an_ensemble_of_folds(draft: Draft) -> None:
    for label in "ab":
        write_images(Path("few") / label, 8)
    config, text = draft("few", "--effort", "best")
    assert config.folds is not None
    assert config.folds.folds == 5
    assert "Effort best: 5 networks by cross-validation" in text


def test_copies_and_rare_classes_are_told(dlcli: Command) -> None:
    write_images(Path("some") / "many", 12)
    write_images(Path("some") / "f", 1)
    (Path("some") / "many" / "copy.png").write_bytes((Path("some/many/3.png")).read_bytes())
    outcome = dlcli("init", "some")
    assert "2 images look like another one (many/3.png and many/copy.png)" in outcome.err
    assert "the classes are imbalanced: 13 of 14 rows are 'many'" in outcome.err


def test_a_table_of_paths_may_have_numbers_to_predict(draft: Draft, dlcli: Command) -> None:
    write_images(Path("photos"), 12, side=16, wide=16)
    rows = [f"photos/{index}.png,{index * 0.5}" for index in range(12)]
    Path("t.csv").write_text("\n".join(["photo,weight", *rows]))
    config, text = draft("t.csv", "--target", "weight")
    assert config.data.kinds == {"photo": "image"}
    assert "flatten" in types(config)
    assert [one.type for one in config.training.augment] == ["colour"]
    assert "Colours alone, as the number may be a place or a size" in text
    assert dlcli("train", "c.yaml", "--smoke").code == 0


def test_images_texts_and_other_columns_get_layers_each(draft: Draft, dlcli: Command) -> None:
    write_images(Path("photos"), 60)
    rows = [
        f"photos/{row}.png,photos/{59 - row}.png,{'' if row % 7 else 'photos/1.png'},"
        f"it looks like number {row} to me,{row * 7 % 5},{'xyz'[row % 3]},{'ab'[row % 2]}"
        for row in range(60)
    ]
    Path("t.csv").write_text("\n".join(["front,back,stamp,note,size,place,kind", *rows]))
    config, text = draft("t.csv", "--target", "kind")
    assert config.data.kinds == {"front": "image", "back": "image", "note": "text"}
    assert "'stamp' is left out: 51 of its cells are empty, and no image can be missing" in text
    inputs = config.model.inputs
    assert inputs is not None
    assert list(inputs) == ["front", "back", "note", "table"]
    assert inputs["front"].layers == inputs["back"].layers
    of_image = [layer.type for layer in inputs["front"].layers]
    assert (of_image[0], of_image[-1]) == ("conv2d", "global_avg_pool")
    assert "# Layers for each image, the text and all other columns." in text
    for name in inputs:
        assert re.search(rf"^    {name}:\n      layers:\n        # ", text, re.MULTILINE), name
    assert types(config) == ["dense", "dropout", "dense"]
    assert dlcli("train", "c.yaml", "--smoke").code == 0


def test_a_number_beside_an_image_may_depend_on_places_in_it(draft: Draft) -> None:
    write_images(Path("photos"), 12, side=16, wide=16)
    rows = [f"photos/{row}.png,{row * 7 % 5},{row * 0.5}" for row in range(12)]
    Path("t.csv").write_text("\n".join(["photo,size,weight", *rows]))
    config, _ = draft("t.csv", "--target", "weight", "--effort", "best")
    assert config.folds is not None
    inputs = config.model.inputs
    assert inputs is not None
    assert [layer.type for layer in inputs["photo"].layers][-2:] == ["flatten", "dense"]
    assert [layer.type for layer in inputs["table"].layers] == ["dense", "dropout"]


def test_a_network_of_some_classes_starts_one_of_others(draft: Draft, dlcli: Command) -> None:
    for label in "abcd":
        write_images(Path("first" if label in "ab" else "second") / label, 4)
    draft("first", "--effort", "quick")
    changes = ("training.epochs=1", "schedule={type: constant}", "report=false")
    short = [word for change in changes for word in ("--set", change)]
    assert dlcli("train", "c.yaml", "--run-dir", "before", *short).code == 0
    draft("second", "--effort", "quick")
    started = dlcli("train", "c.yaml", "--run-dir", "after", "--json", *short,
                    "--set", "model.start_from=before")  # fmt: skip
    assert started.code == 0, started.err
    assert started.json["start_from"] is not None
