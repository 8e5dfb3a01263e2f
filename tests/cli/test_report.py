"""`dlcli report`, and the page at the end of `dlcli train`, in a real browser."""

import json
import shutil
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from dlcli.config import load_config
from dlcli.runs.preparation import prepare
from dlcli.runs.training.train import train as run_training
from tests.browser import look_at, needs_browser
from tests.conftest import ROOT, Command, WriteConfig

CONFIGS = ROOT / "configs"
SHIPPED = sorted(str(path.relative_to(CONFIGS)) for path in CONFIGS.rglob("*.yaml"))
IN_EVERY_CHECK = ("diabetes.yaml", "digits_dense.yaml", "moons.yaml")  # numbers, images, a plane
MAX_BYTES = 3_000_000
SECTIONS = [
    *("Learning curves", "Metrics", "Activations, gradients and updates"),
    *("Run summary", "Layers", "Config"),
]


def train(dlcli: Command, config: Path, *options: str, run: str = "r") -> str:
    outcome = dlcli("train", config, "--run-dir", run, "--set", "report=true", *options)
    assert outcome.code == 0, outcome.err
    assert f"report: {run}/report.html" in outcome.out
    return outcome.out


def record(config: Path, run: Path, *settings: str) -> None:
    """Train a run, and leave its page to be made."""
    for _ in run_training(prepare(load_config(config, settings)), run_dir=run):
        pass


def check_page(page: Path) -> str:
    """Hold a page to what every page must be; return its text."""
    assert page.stat().st_size < MAX_BYTES
    seen = look_at(page)
    assert seen.messages == []
    assert seen.requests == []
    assert "</main>" in seen.dom
    assert seen.dom.count("<figure") == seen.dom.count("<figcaption>")
    assert seen.dom.count('role="img"') == seen.dom.count("<figure")
    return seen.dom


@needs_browser
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name in IN_EVERY_CHECK else pytest.mark.campaign)
        for name in SHIPPED
    ],
)
def test_every_shipped_config_has_a_report(name: str, dlcli: Command) -> None:
    record(CONFIGS / name, Path("r"), "training.epochs=5")
    started = time.perf_counter()
    assert dlcli("report", "r").code == 0
    assert time.perf_counter() - started < 20
    text = check_page(Path("r/report.html"))
    for title in SECTIONS:
        assert f"<h2>{title}</h2>" in text
    pictures = {path.stem for path in Path("r").glob("*.png")}
    assert pictures == {path.stem for path in Path("r").glob("*.svg")}
    assert {"losses-by-epoch", "activations", "landscape"} <= pictures


@needs_browser
def test_hostile_names_stay_text(dlcli: Command, write_config: WriteConfig) -> None:
    random = np.random.default_rng(0)
    hostile = "<script>alert(1)</script>\"'&$x_1$"
    image = '<img src="http://nothing.invalid/a.png" onerror=alert(1)>'
    rows = random.normal(size=(80, 2))
    labels = [hostile if row.sum() > 0 else "</table><b>no" for row in rows]
    pl.DataFrame({hostile: rows[:, 0], image: rows[:, 1], "y": labels}).write_csv("h.csv")
    config = write_config("h.csv", "y", data={"split": {"validation": 0.25, "test": 0.25}})
    train(dlcli, config)
    text = check_page(Path("r/report.html"))
    assert "<script" not in text
    assert "onerror=" not in text.replace("onerror=alert(1)&gt;", "")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["data.split.test=0"], "validation rows"),
        (["data.split={}", "training.early_stopping=null"], "training rows"),
        (["training.epochs=1"], ""),
    ],
    ids=["no test rows", "no held-out rows", "one epoch"],
)
def test_a_page_is_made_with_what_there_is(settings: list[str], said: str, dlcli: Command) -> None:
    options = [word for setting in ("training.epochs=2", *settings) for word in ("--set", setting)]
    train(dlcli, CONFIGS / "final_grade.yaml", *options)
    text = Path("r/report.html").read_text("utf-8")
    assert said in text
    for title in SECTIONS:
        assert f"<h2>{title}</h2>" in text


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train a run beside its data, and leave its page to be made."""
    folder = tmp_path_factory.mktemp("recorded")
    shutil.copy(ROOT / "data" / "moons.csv", folder / "moons.csv")
    text = (CONFIGS / "moons.yaml").read_text().replace("../data/moons.csv", "moons.csv")
    (folder / "c.yaml").write_text(text)
    record(folder / "c.yaml", folder / "r", "training.epochs=4")
    return folder


@pytest.mark.parametrize("damage", ["data", "best", "summary", "metrics", "inside", "snapshots"])
def test_what_is_damaged_or_gone_is_said(damage: str, recorded: Path, dlcli: Command) -> None:
    shutil.copytree(recorded, "copy")
    run = Path("copy/r")
    match damage:
        case "data":
            Path("copy/moons.csv").write_text("x1,x2,color\n1,2,red\n")
            said = "changed since the run was trained"
        case "best":
            (run / "best.safetensors").write_bytes(b"nothing")
            said = "best.safetensors"
        case "summary":
            (run / "summary.json").unlink()
            said = "summary.json is missing"
        case "metrics":
            lines = (run / "metrics.jsonl").read_text().splitlines()
            (run / "metrics.jsonl").write_text("\n".join([lines[0], "{", *lines[2:]]) + "\n")
            said = "metrics.jsonl"
        case "inside":
            (run / "inside.jsonl").unlink()
            said = "Nothing was recorded"
        case _:
            (run / "snapshots.safetensors").write_bytes(b"nothing")
            said = "a path needs 3 snapshots"
    outcome = dlcli("report", run)
    assert outcome.code == 0, outcome.err
    page = (run / "report.html").read_text("utf-8")
    assert said in page.replace("\n", " ")


def test_a_run_that_diverged_has_a_report(dlcli: Command) -> None:
    rising = ["optimizer={type: sgd, lr: 50}", "schedule={type: constant, warmup_epochs: 39}"]
    settings = [*rising, "training.epochs=40", "training.early_stopping=null", "report=true"]
    options = [word for setting in settings for word in ("--set", setting)]
    outcome = dlcli("train", CONFIGS / "diabetes.yaml", *options, "--run-dir", "r")
    assert outcome.code == 5
    assert "The weights of the best epoch" in outcome.err
    assert dlcli("report", "r").code == 0
    text = Path("r/report.html").read_text("utf-8")
    assert "diverged" in text
    assert "<h2>Metrics</h2>" in text


def test_many_classes_and_many_columns_have_a_report(
    dlcli: Command, write_config: WriteConfig
) -> None:
    random = np.random.default_rng(0)
    kinds = np.arange(1200) % 60
    columns = {f"column {place}": random.normal(size=1200) for place in range(500)}
    columns |= {f"column {place}": kinds * (place + 1) / 60 for place in range(3)}
    pl.DataFrame({**columns, "kind": [f"kind {kind}" for kind in kinds]}).write_csv("wide.csv")
    layers = [{"type": "dense", "units": 16, "activation": "relu"}, {"type": "dense"}]
    config = write_config(
        "wide.csv",
        "kind",
        data={"split": {"validation": 0.2, "test": 0.2}},
        model={"layers": layers},
    )
    started = time.perf_counter()
    train(dlcli, config)
    assert time.perf_counter() - started < 40
    assert Path("r/report.html").stat().st_size < MAX_BYTES


def test_a_folder_that_is_no_run_is_told(dlcli: Command) -> None:
    Path("empty").mkdir()
    outcome = dlcli("report", "empty")
    assert (outcome.code, "not a run folder: it has no config.yaml" in outcome.err) == (4, True)
    assert dlcli("report", "nowhere").code == 4


def test_without_a_report_nothing_is_recorded_or_drawn(dlcli: Command) -> None:
    options = ["--set", "training.epochs=2", "--set", "report=false", "--run-dir", "r"]
    outcome = dlcli("train", CONFIGS / "moons.yaml", *options)
    assert "report:" not in outcome.out
    assert not list(Path("r").glob("*.png"))
    assert not Path("r/inside.jsonl").exists()


def test_text_shows_curves_diagnosis_and_figures(dlcli: Command) -> None:
    config = CONFIGS / "penguins.yaml"
    assert dlcli("train", config, "--set", "training.epochs=12", "--run-dir", "r").code == 0
    outcome = dlcli("report", "r", "--text")
    assert outcome.code == 0, outcome.err
    assert "training loss" in outcome.out
    assert "validation loss" in outcome.out
    summary = json.loads(Path("r/summary.json").read_text())
    assert f"{summary['test']['accuracy']:.4g}" in outcome.out
    assert "true \\ predicted" in outcome.out
    assert not Path("r/report.html").exists()


def test_a_checkpoint_stands_for_its_run(recorded: Path, dlcli: Command) -> None:
    outcome = dlcli("report", recorded / "r" / "last.safetensors", "--text")
    assert outcome.code == 0, outcome.err
    assert "the report covers the whole run, with its best weights" in outcome.out


def test_other_pictures_need_no_run(dlcli: Command) -> None:
    assert dlcli("plot", "activations", "-o", "p").code == 0
    worked = CONFIGS / "lecture" / "02_worked_example.yaml"
    outcome = dlcli("plot", "plane", worked, "-o", "p")
    assert "1 + 3 x1 - 2 x2 = 0" in outcome.out
    names = {path.name for path in Path("p").iterdir()}
    assert names == {
        *("activation-functions.png", "activation-functions.svg", "boundary.png", "boundary.svg")
    }
    refused = dlcli("plot", "plane", CONFIGS / "penguins.yaml", "-o", "p")
    assert (refused.code, "can't draw the plane" in refused.err) == (2, True)
