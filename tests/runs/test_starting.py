"""`model.start_from` and `model.freeze`: training that begins with the weights of another run."""

import json
import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import yaml

from dlcli.cli.app import run as run_dlcli
from dlcli.config import load_config
from dlcli.network.builder import build_network
from dlcli.runs.comparison.setup import build_resolver
from dlcli.runs.preparation import prepare
from dlcli.training.device import choose_placement
from dlcli.trials.comparing.protocol import optimizer_trial
from dlcli.trials.running.execution import obstacle_to_stacking
from dlcli.trials.running.stack import Stack
from dlcli.trials.setup import ResolvedTrial
from tests.conftest import Command

LAYERS: list[dict[str, Any]] = [
    {"type": "dense", "units": 5, "activation": "tanh"},
    {"type": "batch_norm"},
    {"type": "dense"},
]
NO_CATEGORIES = {"one_hot_max": 10}  # the default: without categories it may not be given
NAMES = ["size", "colour", "town", "late"]


def write(
    name: str,
    *,
    names: list[str] = NAMES,
    colours: str = "rgb",
    classes: str = "xyz",
    shift: float = 0.0,
    num_rows: int = 60,
) -> Path:
    """Write rows of a number, a category, one with many values, and a date."""
    cells = {
        "size": lambda row: f"{(row * 7 % 11) + shift}",
        "colour": lambda row: colours[row % len(colours)],
        "town": lambda row: f"t{row % 6}",
        "late": lambda row: f"2024-0{1 + row % 9}-11",
        "other": lambda row: f"{row * 5 % 13}",
    }
    lines = [
        ",".join([*(cells[name](row) for name in names), classes[row * 5 % 7 % len(classes)]])
        for row in range(num_rows)
    ]
    path = Path(name)
    path.write_text("\n".join([",".join([*names, "y"]), *lines]) + "\n")
    return path


def config(name: str, path: Path, *, layers: list[dict[str, Any]] = LAYERS, **more: Any) -> Path:
    sections = {
        "data": {"path": str(path), "target": "y", "one_hot_max": 4, **more.pop("data", {})},
        "model": {"layers": layers, **more.pop("model", {})},
        "optimizer": {"type": "adam", "lr": 0.02, **more.pop("optimizer", {})},
        "training": {"epochs": 2, "batch_size": 16, **more.pop("training", {})},
        "report": False,
        **more,
    }
    file = Path(name)
    file.write_text(yaml.safe_dump(sections))
    return file


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train a run, in a folder with its table and its config."""
    folder = tmp_path_factory.mktemp("first")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        file = config("first.yaml", write("first.csv"), data={"split": {"validation": 0.2}})
        assert run_dlcli(["train", str(file), "--run-dir", "run"]) == 0
    return folder / "run"


def weights_of(path: Path) -> dict[str, np.ndarray]:
    found = safetensors.numpy.load(path.read_bytes())
    return {name: values for name, values in found.items() if "/" not in name}


def begun(file: Path) -> tuple[dict[str, np.ndarray], str]:
    """Return what a config's network begins with, and what is said of it."""
    prepared = prepare(load_config(file))
    network = build_network(prepared.plan, seed=prepared.config.seed)
    return {name: one.numpy() for name, one in network.state_dict().items()}, "\n".join(
        prepared.notes
    )


def predictions(dlcli: Command, *words: object) -> str:
    outcome = dlcli("predict", *words)
    assert outcome.code == 0, outcome.err
    return outcome.out


def test_a_run_begins_with_all_weights_of_another_and_the_same_function(
    first: Path, dlcli: Command
) -> None:
    rows = write("second.csv", shift=100.0, num_rows=40)  # another mean: encoded as in the first
    file = config("c.yaml", rows, model={"start_from": str(first)})
    weights, told = begun(file)
    best = weights_of(first / "best.safetensors")
    assert weights.keys() == best.keys()
    assert all(np.array_equal(weights[name], best[name]) for name in best)
    assert f"begins with the weights of {first}/best.safetensors, epoch" in told
    assert "new, initialised" not in told
    assert "dropped" not in told
    before = predictions(dlcli, first, rows, "-o", "-")
    assert predictions(dlcli, file, rows, "--untrained", "-o", "-") == before


def test_weights_are_scaled_for_another_parametrization(first: Path) -> None:
    layers = [{**LAYERS[0], "parametrization": "ntk"}, *LAYERS[1:]]
    rows = first.parent / "first.csv"
    weights, told = begun(config("c.yaml", rows, layers=layers, model={"start_from": str(first)}))
    best = weights_of(first / "best.safetensors")["0_dense.weight"]
    assert np.allclose(weights["0_dense.weight"] / best.shape[1] ** 0.5, best, rtol=1e-6)
    assert "parametrization" not in told


def test_all_but_the_weights_begins_anew(first: Path, dlcli: Command) -> None:
    file = config("c.yaml", first.parent / "first.csv", data={"split": {"validation": 0.2}})
    start = ["--set", f"model.start_from={first}", "--set", "optimizer.lr=0.001"]
    outcome = dlcli("train", file, "--run-dir", "run", "--set", "schedule=cosine", *start, "--json")
    assert outcome.code == 0, outcome.err
    summary = outcome.json
    assert (summary["epochs"], summary["start_from"]) == (2, str(first))
    assert "not split as there" not in outcome.err
    lines = [json.loads(line) for line in Path("run/metrics.jsonl").read_text().splitlines()]
    known = json.loads((first / "metrics.jsonl").read_text().splitlines()[-1])
    assert [line["epoch"] for line in lines] == [1, 2]
    assert lines[0]["train"]["loss"] < known["train"]["loss"]
    assert lines[-1]["lr"] < 0.001


def test_columns_categories_and_classes_are_matched_by_name(first: Path) -> None:
    rows = write("c.csv", names=["other", "town", "colour", "size"], colours="bgw", classes="zxw")
    weights, told = begun(config("c.yaml", rows, model={"start_from": str(first)}))
    assert "new, initialised as usual: 'colour' = w, 'other', class 'w'" in told
    assert "dropped from the weights: 'late', class 'y'" in told
    best = weights_of(first / "best.safetensors")
    after, before = weights["0_dense.weight"], best["0_dense.weight"]
    # before: size, b, g, r, late and its cycle, town; after: size, b, g, r, w, other, town.
    dim = weights["columns.tables.0.weight"].shape[1]
    assert np.array_equal(after[:, :4], before[:, :4])
    assert after.shape[1] == 6 + dim
    assert np.array_equal(after[:, -dim:], before[:, -dim:])
    assert np.isfinite(after).all()
    assert np.array_equal(weights["columns.tables.0.weight"], best["columns.tables.0.weight"])
    assert np.array_equal(weights["1_batch_norm.running_var"], best["1_batch_norm.running_var"])
    order = {"w": None, "x": 0, "z": 2}  # of the classes now, where each was
    for place, was in enumerate(order.values()):
        if was is not None:
            assert np.array_equal(weights["2_dense.weight"][place], best["2_dense.weight"][was])
            assert weights["2_dense.bias"][place] == best["2_dense.bias"][was]


def test_columns_in_another_order_are_taken_as_before(dlcli: Command) -> None:
    block = {"type": "residual", "layers": [{"type": "dense", "units": 3}]}
    layers: list[dict[str, Any]] = [block, {"type": "dense"}]
    names = ["size", "other", "late"]
    file = config("a.yaml", write("a.csv", names=names), layers=layers, data=NO_CATEGORIES)
    assert dlcli("train", file, "--run-dir", "a").code == 0
    rows = write("b.csv", names=names[::-1], colours="r")
    file = config("b.yaml", rows, layers=layers, data=NO_CATEGORIES, model={"start_from": "a"})
    weights, _ = begun(file)
    best = weights_of(Path("a/best.safetensors"))
    assert all(np.array_equal(weights[name], best[name]) for name in best)
    assert dlcli("train", file, "--run-dir", "b").code == 0
    # With another column there is no way to match a sum of inputs and outputs.
    rows = write("c.csv", names=["size", "other"])
    outcome = dlcli("validate", file, "--set", f"data.path={rows}")
    assert "the weights of residual can't be matched by column" in outcome.err


def test_encodings_of_columns_that_are_gone_may_differ(first: Path, dlcli: Command) -> None:
    rows = write("c.csv", names=["size", "other"])
    file = config("c.yaml", rows, data=NO_CATEGORIES, model={"start_from": str(first)})
    outcome = dlcli("validate", file)
    assert outcome.code == 0, outcome.err


def test_two_classes_become_three_and_back(dlcli: Command) -> None:
    two, three = write("two.csv", classes="xz"), write("three.csv", classes="xyz")
    assert dlcli("train", config("two.yaml", two), "--run-dir", "two").code == 0
    file = config("three.yaml", three, model={"start_from": "two"})
    weights, told = begun(file)
    assert "class 'y'" in told
    logit = weights_of(Path("two/best.safetensors"))["2_dense.weight"][0]
    after = weights["2_dense.weight"]
    assert after[2] - after[0] == pytest.approx(logit)
    assert dlcli("train", file, "--run-dir", "three").code == 0
    weights, told = begun(config("back.yaml", two, model={"start_from": "three"}))
    assert "dropped from the weights: class 'y'" in told
    best = weights_of(Path("three/best.safetensors"))["2_dense.weight"]
    assert weights["2_dense.weight"][0] == pytest.approx(best[2] - best[0])


def test_a_number_keeps_its_scale_unless_it_is_another(dlcli: Command) -> None:
    layers: list[dict[str, Any]] = [{"type": "dense", "units": 3}, {"type": "dense"}]
    data: dict[str, Any] = {"target": "size", "features": ["other", "colour"], "task": "regression"}
    one = write("one.csv", names=["size", "colour", "other"])
    far = write("far.csv", names=["size", "colour", "other"], shift=50.0)
    file = config("a.yaml", one, layers=layers, data=data)
    assert dlcli("train", file, "--run-dir", "a").code == 0
    file = config("b.yaml", far, layers=layers, data=data, model={"start_from": "a"})
    before = predictions(dlcli, "a", far, "-o", "-")
    assert predictions(dlcli, file, far, "--untrained", "-o", "-") == before
    data |= {"target": "other", "features": ["size", "colour"]}
    told = begun(config("c.yaml", one, layers=layers, data=data, model={"start_from": "a"}))[1]
    assert "new, initialised as usual: 'size', the output" in told
    assert "dropped from the weights: 'other', the output" in told


@pytest.mark.parametrize(
    ("layers", "told"),
    [
        (
            [{**LAYERS[0], "units": 4}, *LAYERS[1:]],
            "model.layers[0]: the weights of {run} don't fit (model.start_from): weight has the "
            "shape [4, ",
        ),
        (
            [LAYERS[0], {"type": "layer_norm"}, LAYERS[2]],
            "model.layers[1]: the weights of {run} don't fit (model.start_from): is layer_norm; in "
            "the run, 1_batch_norm",
        ),
        (
            LAYERS[1:],
            "model.start_from: the weights of {run} don't fit (model.start_from): 2 layers with "
            "weights here, 3 layers with weights in the run: 0_dense, 1_batch_norm, 2_dense",
        ),
        (
            [{**LAYERS[0], "bias": False}, *LAYERS[1:]],
            "model.layers[0]: the weights of {run} don't fit (model.start_from): has a bias in the "
            "run only",
        ),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(
    layers: list[dict[str, Any]], told: str, first: Path, dlcli: Command
) -> None:
    rows = first.parent / "first.csv"
    file = config("c.yaml", rows, layers=layers, model={"start_from": str(first)})
    outcome = dlcli("validate", file)
    assert outcome.code == 2
    assert told.format(run=first / "best.safetensors") in outcome.err


def test_layers_without_weights_may_differ(first: Path) -> None:
    rows = first.parent / "first.csv"
    layers = [{"type": "dropout"}, *LAYERS]
    weights, _ = begun(config("c.yaml", rows, layers=layers, model={"start_from": str(first)}))
    best = weights_of(first / "best.safetensors")
    assert np.array_equal(weights["1_dense.weight"], best["0_dense.weight"])


def test_layers_that_use_their_weights_in_another_way_are_told(first: Path) -> None:
    rows = first.parent / "first.csv"
    layers = [{**LAYERS[0], "activation": "relu"}, {"type": "batch_norm", "momentum": 0.2}]
    file = config("c.yaml", rows, layers=[*layers, LAYERS[2]], model={"start_from": str(first)})
    told = begun(file)[1]
    assert "used in another way: model.layers[0].activation is relu, tanh there (model" in told
    file = config("c.yaml", rows, model={"start_from": str(first)})
    assert "in another way" not in begun(file)[1]


def test_a_frozen_norm_needs_one_row_a_batch(first: Path, dlcli: Command) -> None:
    model: dict[str, Any] = {"start_from": str(first), "freeze": ["batch_norm"]}
    training = {"batch_size": 1, "epochs": 1}
    rows = write("few.csv", num_rows=9)
    file = config("c.yaml", rows, model=model, training=training)
    outcome = dlcli("train", file, "--run-dir", "run")
    assert outcome.code == 0, outcome.err
    file = config("c.yaml", rows, model=model, training={"batch_size": 8, "epochs": 1})
    assert "joins" not in begun(file)[1]
    outcome = dlcli("validate", file, "--set", "model.freeze=[0]", "--set", "training.batch_size=1")
    assert "batch_norm needs at least 2 rows per batch" in outcome.err


def test_a_reshape_holds_no_weights_and_inner_layers_do(dlcli: Command) -> None:
    inner: dict[str, Any] = {"type": "dense", "units": 2, "activation": "relu"}
    reshape: dict[str, Any] = {"type": "reshape", "shape": [2]}
    block: dict[str, Any] = {"type": "residual", "layers": [inner]}
    layers = [reshape, block, {"type": "dense"}]
    rows = write("t.csv", names=["size", "other"])
    more: dict[str, Any] = {"layers": layers, "data": NO_CATEGORIES}
    assert dlcli("train", config("a.yaml", rows, **more), "--run-dir", "a").code == 0
    file = config("b.yaml", rows, **more, model={"start_from": "a"})
    assert dlcli("validate", file).code == 0
    block["layers"] = [{**inner, "initial": {"bias": [1.0, 2.0]}}]
    outcome = dlcli("validate", config("b.yaml", rows, **more, model={"start_from": "a"}))
    assert outcome.code == 2
    assert "model.layers[1].layers[0].initial: has no effect: the weights are" in outcome.err
    drawn = [reshape, inner, {"type": "dense"}]
    file = config("c.yaml", rows, layers=drawn, data=NO_CATEGORIES, model={"freeze": [1]})
    told = "\n".join(prepare(load_config(file)).notes)
    assert "model.freeze: the weights that stay are drawn from the seed" in told


def test_rows_are_split_otherwise_in_other_data_or_where_another_seed_draws(
    dlcli: Command,
) -> None:
    rows = write("t.csv", names=["size", "other"])
    layers = [{"type": "dense", "units": 4, "activation": "relu"}, {"type": "dense"}]
    others = write("u.csv", names=["size", "other"], num_rows=50)
    told = []
    for name, time in (("drawn", {}), ("latest", {"time": "other"})):
        data = {**NO_CATEGORIES, "split": {"validation": 0.2, **time}}
        more: dict[str, Any] = {"layers": layers, "data": data, "training": {"epochs": 1}}
        assert dlcli("train", config("a.yaml", rows, **more), "--run-dir", name).code == 0
        for table, seed in ((rows, 0), (rows, 7), (others, 0)):
            file = config("b.yaml", table, **more, model={"start_from": name}, seed=seed)
            told.append("the rows are not split as there" in begun(file)[1])
    assert told == [False, True, True, False, False, True]


def test_other_encodings_and_runs_that_are_not_there_are_refused_together(
    first: Path, dlcli: Command
) -> None:
    rows = first.parent / "first.csv"
    file = config("c.yaml", rows, data={"scale": "minmax"}, model={"start_from": str(first)})
    outcome = dlcli("validate", file)
    assert "data.scale: must be standard, as in " in outcome.err
    assert dlcli("validate", file, "--set", "data.scale=standard").code == 0
    file = config("c.yaml", rows, model={"start_from": "gone"}, training={"epochs": 0})
    outcome = dlcli("validate", file)
    assert outcome.code == 2
    assert "model.start_from: gone: no such run folder or checkpoint" in outcome.err
    assert "training.epochs" in outcome.err
    broken = Path("broken.safetensors")
    broken.write_bytes((first / "best.safetensors").read_bytes()[:-1])
    outcome = dlcli("validate", file, "--set", f"model.start_from={broken}")
    assert outcome.code == 4
    assert "broken.safetensors: damaged" in outcome.err


@pytest.mark.parametrize("settings", [{"engine": "eager"}, {"engine": "captured"}, {"shards": 3}])
def test_frozen_layers_stay_as_they_are(
    settings: dict[str, Any], first: Path, dlcli: Command
) -> None:
    rows = first.parent / "first.csv"
    file = config(
        "c.yaml",
        rows,
        model={"start_from": str(first), "freeze": ["embeddings", 0, "batch_norm"]},
        optimizer={"weight_decay": 0.5},
        training=settings,
    )
    outcome = dlcli("train", file, "--run-dir", "run", "--json")
    assert outcome.code == 0, outcome.err
    assert "frozen: 0_dense, 1_batch_norm, embeddings; 18 of" in outcome.err
    assert outcome.json["trained_parameters"] == 18
    best, after = (weights_of(path / "best.safetensors") for path in (first, Path("run")))
    changed = {name for name in best if not np.array_equal(best[name], after[name])}
    assert changed == {"2_dense.weight", "2_dense.bias"}
    assert "trained" in dlcli("describe", file).out
    more = ["--resume", "--set", "training.epochs=3"]
    assert dlcli("train", file, "--run-dir", "run", *more).code == 0


PIXELS = [f"p{index}" for index in range(16)]
IMAGE_LAYERS: list[dict[str, Any]] = [
    {"type": "conv2d", "out_channels": 3, "kernel_size": 3},
    {"type": "residual_block", "block": "basic"},
    {"type": "flatten"},
    {"type": "dense"},
]


def write_images(name: str, classes: str) -> Path:
    """Write images of 4×4 pixels, of which the class is where they are bright."""
    random = np.random.default_rng(len(name))
    lines = [",".join([*PIXELS, "y"])]
    for row in range(24):
        pixels = random.random(16)
        pixels[row % len(classes) * 4 : row % len(classes) * 4 + 4] += 1
        lines.append(",".join([*(f"{pixel:.3f}" for pixel in pixels), classes[row % len(classes)]]))
    Path(name).write_text("\n".join(lines) + "\n")
    return Path(name)


def test_images_of_other_classes_are_learned_from_features_that_change_slowly(
    dlcli: Command,
) -> None:
    data = {"shape": [1, 4, 4], "one_hot_max": 10}
    settings: dict[str, Any] = {
        "layers": IMAGE_LAYERS,
        "optimizer": {"type": "sgd", "lr": 0.1, "weight_decay": 0.0},
        "training": {"batch_size": "full", "epochs": 1},
    }
    first = config("first.yaml", write_images("ab.csv", "ab"), data=data, **settings)
    assert dlcli("train", first, "--run-dir", "first").code == 0
    start = {"start_from": "first", "freeze": [0]}
    rows = write_images("cde.csv", "cde")
    ends = {}
    for name, factor in (("whole", 1.0), ("slow", 0.1)):
        model = {**start, "start_lr_factor": factor}
        file = config(f"{name}.yaml", rows, data=data, model=model, **settings)
        outcome = dlcli("train", file, "--run-dir", name)
        assert outcome.code == 0, outcome.err
        ends[name] = weights_of(Path(name, "last.safetensors"))
    told = " ".join(outcome.out.split())
    assert "multiplied by 0.1 for 1_residual_block.layers.0_conv2d" in told
    assert "and not for 3_dense (model.start_lr_factor)" in told
    before = weights_of(Path("first/best.safetensors"))
    for name, value in before.items():
        changes = {run: weights[name] - value for run, weights in ends.items()}
        if name.startswith("0_conv2d"):
            assert not changes["slow"].any()
        elif name.startswith("3_dense"):
            assert np.array_equal(ends["slow"][name], ends["whole"][name])
        elif name.endswith(("weight", "bias")):
            np.testing.assert_allclose(changes["slow"], 0.1 * changes["whole"], atol=1e-7)
            assert changes["slow"].any()
    # Resumed, the same layers go on with the same rates, without the run that it began with.
    straight = ("--set", "training.epochs=3")
    assert dlcli("train", file, "--run-dir", "straight", *straight).code == 0
    Path("first/best.safetensors").unlink()
    assert dlcli("train", file, "--run-dir", "slow", "--resume", *straight).code == 0
    ends = {name: weights_of(Path(name, "last.safetensors")) for name in ("straight", "slow")}
    assert all(np.array_equal(ends["slow"][name], ends["straight"][name]) for name in before)
    outcome = dlcli(
        "train", file, "--run-dir", "slow", "--resume", "--set", "model.start_lr_factor=1"
    )
    assert outcome.code == 2
    assert "model.start_lr_factor: 0.1 then, 1.0 now" in outcome.err


def test_a_rate_of_layers_that_are_not_trained_is_refused(first: Path, dlcli: Command) -> None:
    model = {"start_from": str(first), "start_lr_factor": 0.1, "freeze": [0, "batch_norm"]}
    outcome = dlcli("validate", config("c.yaml", first.parent / "first.csv", model=model))
    assert outcome.code == 2
    assert "of the layers before 2_dense, none is trained; leave it out" in outcome.err


@pytest.mark.parametrize(
    ("freeze", "told"),
    [
        ([3], "model.freeze[0]: there is no layer 3; layers with weights: 0_dense, 1_batch_norm"),
        (["2_dens"], "there is no layer 2_dens; layers with weights: 0_dense"),
        (["dense", "batch_norm", "embeddings"], "every layer with weights is frozen"),
        (["dropout"], "model.freeze[0]: does nothing: dropout has no weights"),
    ],
)
def test_what_cannot_be_frozen_is_refused(freeze: list[Any], told: str, dlcli: Command) -> None:
    layers = [*LAYERS[:2], {"type": "dropout"}, LAYERS[2]] if freeze == ["dropout"] else LAYERS
    file = config("c.yaml", write("t.csv"), layers=layers, model={"freeze": freeze})
    outcome = dlcli("validate", file)
    assert outcome.code == 2
    assert told in outcome.err


def test_a_resumed_run_does_not_need_the_run_that_it_began_with(
    first: Path, dlcli: Command
) -> None:
    rows = write("second.csv", shift=100.0, num_rows=40)
    Path("start").mkdir()
    Path("start/best.safetensors").write_bytes((first / "best.safetensors").read_bytes())
    file = config("c.yaml", rows, model={"start_from": "start", "freeze": [0]})
    whole = dlcli("train", file, "--run-dir", "whole", "--set", "training.epochs=4")
    assert whole.code == 0
    assert dlcli("train", file, "--run-dir", "part").code == 0
    Path("start/best.safetensors").unlink()
    for name in ("previous", "last"):  # the one is taken where the other is damaged
        Path(f"part/{name}.safetensors").write_bytes(Path("part/last.safetensors").read_bytes())
    Path("part/last.safetensors").write_bytes(b"damaged")
    other = ["--resume", "--set", "training.epochs=3", "--set", "model.start_from=other"]
    told = dlcli("train", file, "--run-dir", "part", *other).out
    assert "other is not read, as a run that is resumed goes on from weights of its own" in told
    resolved = Path("part/config.yaml")
    assert load_config(resolved).config.model.start_from == "../start"
    outcome = dlcli(
        "train", resolved, "--run-dir", "part", "--resume", "--set", "training.epochs=4"
    )
    assert outcome.code == 0, outcome.err
    assert "not read" not in outcome.out
    ends = [weights_of(Path(name, "last.safetensors")) for name in ("whole", "part")]
    assert all(np.array_equal(ends[0][name], ends[1][name]) for name in ends[0])


def test_rows_that_are_streamed_begin_with_it_too(first: Path, dlcli: Command) -> None:
    rows = write("second.csv", shift=100.0, num_rows=40)
    file = config("c.yaml", rows, data={"streaming": True}, model={"start_from": str(first)})
    weights, _ = begun(file)
    best = weights_of(first / "best.safetensors")
    assert all(np.array_equal(weights[name], best[name]) for name in best)
    assert dlcli("train", file, "--run-dir", "run").code == 0


def test_a_refusal_to_resume_names_the_command_that_goes_on(
    first: Path, dlcli: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = ["--set", "optimizer.lr=0.001", "--set", "schedule=cosine"]
    source = first.parent / "first.yaml"
    outcome = dlcli("train", source, "--run-dir", first, "--resume", *changes)
    assert outcome.code == 2
    told = outcome.err.rstrip().splitlines()[-1]
    assert told.startswith("to go on from its weights as a new run: dlcli train ")
    words = shlex.split(told.split("dlcli ", 1)[1])
    assert words[3] == f"{first}-2"
    outcome = dlcli(*words)
    assert outcome.code == 0, outcome.err
    assert "begins with the weights of" in outcome.out
    # Of a run that was killed in its first epoch, and is named from within.
    monkeypatch.chdir(shutil.copytree(first, "copy"))
    Path("best.safetensors").unlink()
    outcome = dlcli("train", source, "--run-dir", ".", "--resume", *changes)
    assert f"--run-dir {Path.cwd()}-2" in outcome.err
    assert outcome.err.rstrip().endswith("/last.safetensors")
    # Initial weights would have no effect, and any layer can be frozen.
    layers: list[Any] = [{"type": "dense", "units": 1, "initial": {"bias": [1.0]}}]
    layers.append({"type": "dense"})
    file = config("a.yaml", write("t.csv", names=["size"]), layers=layers, data=NO_CATEGORIES)
    assert dlcli("train", file, "--run-dir", "given").code == 0
    changes = ["--resume", "--set", "model.freeze=[0]"]
    lines = dlcli("train", file, "--run-dir", "given", *changes).err.rstrip().splitlines()
    assert "  model.freeze: [] then, [0] now" in lines
    outcome = dlcli(*shlex.split(lines[-1].split("dlcli ", 1)[1]))
    assert "frozen: 0_dense" in outcome.out, outcome.err
    # Other layers could not begin with them.
    units = ["--set", "model.layers[0].units=4"]
    outcome = dlcli("train", source, "--run-dir", first, "--resume", *units)
    assert "as a new run" not in outcome.err


def test_a_refusal_to_resume_with_other_rows_names_the_command_that_learns_them(
    first: Path, dlcli: Command
) -> None:
    rows = write("this_week.csv", num_rows=40)
    changes = ["--set", f"data.path={rows.resolve()}"]
    source = first.parent / "first.yaml"
    outcome = dlcli("train", source, "--run-dir", first, "--resume", *changes)
    assert outcome.code == 3
    told = outcome.err.rstrip().splitlines()[-1]
    assert told.startswith("to go on from its weights as a new run: dlcli train ")
    words = shlex.split(told.split("dlcli ", 1)[1])
    words[3] = "run"
    outcome = dlcli(*words)
    assert outcome.code == 0, outcome.err
    assert f"data {rows.resolve()}" in outcome.out
    assert "begins with the weights of" in outcome.out


def test_trials_that_are_stacked_all_begin_with_it(first: Path) -> None:
    file = config(
        "c.yaml",
        first.parent / "first.csv",
        data={"split": {"validation": 0.2}},
        model={"start_from": str(first)},
    )
    best = weights_of(first / "best.safetensors")
    prepared = prepare(load_config(file))
    setup = build_resolver(prepared, choose_placement("cpu", "fp32")).base
    optimizer = prepared.config.optimizer
    trials = [ResolvedTrial(optimizer_trial(optimizer, seed), setup, optimizer) for seed in (3, 5)]
    assert obstacle_to_stacking(setup) is None
    network = Stack.of(trials).network
    for index in range(2):
        begun = network.state_dict(index, network.parameters.values, network.buffers)
        assert all(np.array_equal(begun[name].numpy(), best[name]) for name in best)
    frozen = prepare(load_config(file, ["model.freeze=[0]"]))
    setup = build_resolver(frozen, choose_placement("cpu", "fp32")).base
    assert "(model.freeze)" in str(obstacle_to_stacking(setup))
