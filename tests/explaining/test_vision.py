"""Where a network looks and what its layers respond to, where both are known."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml
from PIL import Image

from dlcli.augmentations.geometry import Flip
from dlcli.augmentations.mixing import MixUp
from dlcli.config import load_config
from dlcli.explaining.explained_model import ExplainedModel
from dlcli.explaining.quality.quality import assess_quality
from dlcli.explaining.unavailable import Unavailable
from dlcli.explaining.vision.augmented import augment_images
from dlcli.explaining.vision.patches import StrongestPatches, find_patches
from dlcli.explaining.vision.saliency import Saliency, SeenImage, find_saliency
from dlcli.explaining.vision.vision import Vision, examine_vision
from dlcli.report.quality.largest_errors import gallery
from dlcli.report.vision.augmented import augmented_section
from dlcli.report.vision.section import vision_sections
from dlcli.runs.preparation import prepare
from dlcli.runs.reporting.load_run import load_model_and_data
from dlcli.runs.training.train import train
from tests.explaining.made import Layers, dense, make_model

SIDE, SPOT = 14, 3  # pixels
SHAPES = {
    "cross": np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]]),
    "ring": np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]]),
    "slash": np.eye(3),
}
CONVOLUTION = {"type": "conv2d", "kernel_size": 3, "padding": "same", "activation": "relu"}
# Without biases, which would be evidence at every place.
FREE = {**CONVOLUTION, "out_channels": 8, "bias": False}
NETWORK: Layers = [
    FREE,
    FREE,
    {"type": "global_avg_pool"},
    {"type": "dense"},
]


def with_spots(num_rows: int) -> tuple[dict[str, list[Any]], np.ndarray]:
    """Return faint images with a bright shape somewhere, which is their class, and its corners."""
    random = np.random.default_rng(3)
    images = random.uniform(0, 0.3, (num_rows, SIDE, SIDE))
    corners = random.integers(0, SIDE - SPOT + 1, (num_rows, 2))
    shapes = [list(SHAPES)[row % 3] for row in range(num_rows)]
    for image, (top, left), shape in zip(images, corners, shapes, strict=True):
        image[top : top + SPOT, left : left + SPOT] += 2 * SHAPES[shape]
    pixels = images.reshape(num_rows, -1).round(3)
    columns: dict[str, list[Any]] = {f"p{i}": pixels[:, i].tolist() for i in range(SIDE**2)}
    return {**columns, "shape": shapes}, corners


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[ExplainedModel, np.ndarray]:
    """Return a network that has learned the shapes, and the corners by line of the file."""
    folder = tmp_path_factory.mktemp("spots")
    columns, corners = with_spots(360)
    pl.DataFrame(columns).write_csv(folder / "spots.csv")
    config = {
        "data": {
            "path": "spots.csv",
            "target": "shape",
            "scale": "none",
            "shape": [1, SIDE, SIDE],
            "split": {"test": 0.25},
        },
        "model": {"layers": list(NETWORK)},
        "optimizer": {"type": "adam", "lr": 0.02},
        "training": {"epochs": 20, "batch_size": 32},
        "report": False,
    }
    path = folder / "spots.yaml"
    path.write_text(yaml.safe_dump(config), "utf-8")
    list(train(prepare(load_config(path)), run_dir=folder / "run"))
    return load_model_and_data(folder / "run"), corners


def around_spot(image: SeenImage, corners: np.ndarray) -> np.ndarray:
    """Return the pixels within one of the shape, bool [height, width]."""
    top, left = corners[int(image.position.removeprefix("line ")) - 2]
    found = np.zeros((SIDE, SIDE), bool)
    found[max(0, top - 1) : top + SPOT + 1, max(0, left - 1) : left + SPOT + 1] = True
    return found


def test_grad_cam_and_occlusion_point_at_the_known_spot(
    trained: tuple[ExplainedModel, np.ndarray],
) -> None:
    model, corners = trained
    found = find_saliency(model, seconds=2.0)
    assert isinstance(found, Saliency)
    assert {image.truth for image in found.images} == set(SHAPES)
    for image in found.images:
        for seen in (image.grad_cam, image.occlusion):
            positive, spot = seen.clip(min=0), around_spot(image, corners)
            assert spot.flat[positive.argmax()]
            assert positive[spot].sum() > 0.3 * positive.sum()  # of an eighth of the pixels
        assert image.agreement > 0.4
        assert image.truth == image.prediction
    assert (found.layer, found.layer_size) == ("1_conv2d_relu", (SIDE, SIDE))
    assert (found.side, found.step, found.num_left_out) == (4, 2, 0)


def test_with_little_time_fewer_images_are_covered_by_coarser_squares(
    trained: tuple[ExplainedModel, np.ndarray],
) -> None:
    found = find_saliency(trained[0], seconds=0.001)
    assert isinstance(found, Saliency)
    assert (found.side, found.step) == (4, 4)
    assert len(found.images) + found.num_left_out == 6
    assert found.num_left_out > 0
    text = vision_sections(Vision(found, Unavailable("why")))[0].pictures[0].text
    assert f"{found.num_left_out} more images would have taken too long." in text


def test_the_page_has_maps_and_the_patches_of_each_layer(
    trained: tuple[ExplainedModel, np.ndarray],
) -> None:
    found = examine_vision(trained[0])
    assert found is not None
    looks, responds = vision_sections(found)
    assert (looks.title, responds.title) == ("Grad-CAM and occlusion", "Strongest patches by layer")
    assert "raise the log-odds of the predicted class" in looks.paragraphs[0]
    assert looks.pictures[0].svg.count("<image") == 3 * 6
    assert [picture.name for picture in responds.pictures] == ["patches-1", "patches-2"]
    captions = [picture.text for picture in responds.pictures]
    assert "patches of 3 × 3 pixels, all that a position sees." in captions[0]
    assert "patches of 5 × 5 pixels" in captions[1]


def a_cross_at(top: int, left: int, **convolution: Any) -> ExplainedModel:
    """Return a network with one filter, a cross, on images of which one has a bright cross."""
    images = np.random.default_rng(1).uniform(0, 0.2, (40, 8, 8)).round(3)
    images[21, top : top + 3, left : left + 3] += 4 * SHAPES["cross"]
    table = {f"p{i}": images.reshape(40, -1)[:, i].tolist() for i in range(64)}
    initial = {"weight": [[SHAPES["cross"].astype(float).tolist()]], "bias": [0.0]}
    layers: Layers = [
        {**CONVOLUTION, "out_channels": 1, "initial": initial, **convolution},
        {"type": "max_pool2d", "kernel_size": 2},
        {"type": "global_avg_pool"},
        dense([[1.0]], [0.0]),
    ]
    y = images.mean(axis=(1, 2)).tolist()
    part = ["test" if row % 2 else "train" for row in range(40)]
    options: dict[str, Any] = {"shape": [1, 8, 8], "scale": "none", "split": {"column": "part"}}
    return make_model({**table, "part": part, "y": y}, "y", layers, **options)


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_the_strongest_patch_is_the_planted_one(padding: str) -> None:
    found = find_patches(a_cross_at(4, 1, padding=padding), seconds=1.0)
    assert isinstance(found, StrongestPatches)
    (layer,) = found.layers
    (channel,) = layer.channels
    assert (channel.positions[0], layer.field) == ("line 23", (3, 3))
    assert channel.patches[0, 0] == pytest.approx(4 * SHAPES["cross"], abs=0.2)
    assert list(channel.activations) == sorted(channel.activations, reverse=True)


def test_blocks_are_layers_too_and_what_only_scales_channels_is_none() -> None:
    table = {f"p{i}": [float((i * 7 + row) % 11) for row in range(20)] for i in range(256)}
    block = {"type": "residual_block", "block": "basic", "channels": 4, "stride": 2}
    layers: Layers = [
        {"type": "squeeze_excitation", "reduction": 1},
        {**FREE, "out_channels": 4},
        block,
        *NETWORK[2:],
    ]
    model = make_model({**table, "y": list(range(20))}, "y", layers, shape=[1, 16, 16])
    found = examine_vision(model)
    assert found is not None
    assert isinstance(found.patches, StrongestPatches)
    fields = [layer.field for layer in found.patches.layers]
    assert fields == [(3, 3), (9, 9)]  # two more convolutions, the first of which has stride 2
    assert isinstance(found.saliency, Saliency)
    assert found.saliency.layer_size == (8, 8)


def test_a_patch_at_the_border_is_blank_beyond_it() -> None:
    layers: Layers = [{**CONVOLUTION, "out_channels": 1, "padding": 2}, *NETWORK[2:]]
    corner = np.zeros((20, 6, 6))
    corner[:, 0, 0] = np.arange(20)
    table = {f"p{i}": corner.reshape(20, -1)[:, i].tolist() for i in range(36)}
    weight = [[[[0.0] * 3, [0.0] * 3, [0.0, 0.0, 1.0]]]]
    layers = [{**layers[0], "initial": {"weight": weight, "bias": [0.0]}}, *layers[1:]]
    model = make_model({**table, "y": list(range(20))}, "y", layers, shape=[1, 6, 6], split={})
    found = find_patches(model, seconds=1.0)
    assert isinstance(found, StrongestPatches)
    patch = found.layers[0].channels[0].patches[0, 0]
    assert np.isnan(patch).sum() == 8
    assert patch[2, 2] == pytest.approx(19)


def test_numbers_have_the_images_of_the_smallest_and_the_largest_residuals() -> None:
    model = a_cross_at(2, 2)
    found = find_saliency(model, seconds=1.0)
    assert isinstance(found, Saliency)
    gaps = [abs(float(image.truth) - float(image.prediction)) for image in found.images]
    assert gaps == sorted(gaps)
    assert len(gaps) == 8
    looks = vision_sections(Vision(found, Unavailable("why")))[0]
    assert "raise the predicted number" in looks.paragraphs[0]


def test_what_is_no_image_or_not_finite_is_not_shown() -> None:
    table = {"a": [1.0, 2.0, 4.0], "b": [2.0, 1.0, 1.5], "y": [1.0, 3.0, 2.0]}
    assert examine_vision(make_model(table, "y", [{"type": "dense"}], split={})) is None
    model = a_cross_at(0, 0)
    model.network.get_parameter("3_dense.bias").data.fill_(float("nan"))
    found = examine_vision(model)
    assert found is not None
    for section in vision_sections(found):
        assert section.paragraphs == ("Not shown: its predictions are not finite.",)


def write_photos(folder: Path, mode: str) -> None:
    """Write bright and dark images, 8 × 8 pixels of noise, into a folder for each."""
    random, channels = np.random.default_rng(4), len(mode) if mode == "RGB" else 1
    for row in range(24):
        kind = ("bright", "dark")[row % 2]
        pixels = random.integers(0, 100, (8, 8, channels), np.uint8) + (0 if row % 2 else 150)
        (folder / kind).mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(pixels.astype(np.uint8).squeeze(), mode)
        image.save(folder / kind / f"{row}.png")


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_image_files_are_shown_as_they_were_decoded(tmp_path: Path, mode: str) -> None:
    write_photos(tmp_path / "photos", mode)
    channels = len(mode) if mode == "RGB" else 1
    layers: Layers = [{**FREE, "padding": "valid"}, *NETWORK[2:]]
    how: dict[str, Any] = {"size": [8, 8], "channels": {"L": "grey", "RGB": "rgb"}[mode]}
    model = make_model(tmp_path / "photos", "label", layers, images=how)
    rows = model.parts[model.judged_part]
    quality = assess_quality(model)
    assert quality.errors.images is not None
    shown, file = quality.errors.images[0], quality.errors.rows[0].file
    assert file is not None
    with Image.open(tmp_path / "photos" / file) as image:
        expected = np.asarray(image).reshape(8, 8, channels)
    assert np.array_equal(np.moveaxis(shown, 0, -1), expected)
    chart = gallery(quality.errors)
    assert chart is not None
    assert f">{file.removesuffix('.png')}<" in chart.svg
    found = examine_vision(model)
    assert found is not None
    assert isinstance(found.saliency, Saliency)
    assert isinstance(found.patches, StrongestPatches)
    assert found.saliency.images[0].image.dtype == np.uint8
    (channel, *_) = found.patches.layers[0].channels
    assert channel.patches.shape == (4, channels, 3, 3)
    assert len(found.patches.images) == len(rows)


def test_of_several_inputs_the_images_are_looked_into(tmp_path: Path) -> None:
    write_photos(tmp_path, "RGB")
    table = {
        "photo": [f"{('bright', 'dark')[row % 2]}/{row}.png" for row in range(24)],
        "x": [float(row * 7 % 5) for row in range(24)],
        "y": [float(row % 3) + row / 10 for row in range(24)],
    }
    pl.DataFrame(table).write_csv(tmp_path / "photos.csv")
    inputs = {"photo": {"layers": [FREE, NETWORK[2]]}, "table": {"layers": []}}
    model = make_model(
        *(tmp_path / "photos.csv", "y", [{"type": "dense"}]),
        inputs=inputs,
        images={"size": [8, 8]},
        kinds={"photo": "image"},
    )
    found = examine_vision(model)
    assert found is not None
    assert isinstance(found.saliency, Saliency)
    assert found.saliency.layer == "inputs.0_photo.0_conv2d_relu"
    assert found.saliency.images[0].image.shape == (3, 8, 8)
    assert isinstance(found.patches, StrongestPatches)
    assert found.patches.layers[0].field == (3, 3)


def test_a_sheet_shows_what_augmentation_makes_of_images(tmp_path: Path) -> None:
    write_photos(tmp_path / "photos", "RGB")
    layers: Layers = [FREE, *NETWORK[2:]]
    model = make_model(tmp_path / "photos", "label", layers, images={"size": [8, 8]})
    assert augment_images(model, []) is None
    found = augment_images(model, [Flip(type="flip", probability=1.0)])
    assert found is not None
    assert found.plain.shape == (5, 3, 8, 8)
    for changed in np.moveaxis(found.changed, 1, 0):
        assert np.array_equal(changed, found.plain[..., ::-1])
    mixed = augment_images(model, [MixUp(type="mixup")])
    assert mixed is not None
    assert not np.array_equal(mixed.changed[:, 0], mixed.changed[:, 1])
    (picture,) = augmented_section(found).pictures
    assert picture.svg.count("<image") == 5 * 7
