"""`dlcli report`, and the page at the end of `dlcli train`, in a real browser."""

import json
import re
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from dlcli.config import load_config
from dlcli.explaining.quality.quality import assess_quality
from dlcli.report.text import interval_text
from dlcli.runs.folder.run_folder import RunFolder
from dlcli.runs.preparation import prepare
from dlcli.runs.reporting.load_run import load_model_and_data
from dlcli.runs.training.recorder import read_snapshots
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
DEEP = ("Partial dependence", "Decision boundary", "Hidden units", "First-layer filters")


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
    assert seen.flaws == []
    assert "epoch" in seen.tooltip
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
def test_every_shipped_config_has_a_quick_and_a_full_report(name: str, dlcli: Command) -> None:
    train(dlcli, CONFIGS / name, "--set", "training.epochs=5")
    quick = check_page(Path("r/report.html"))
    assert not [*Path("r").glob("*.png"), *Path("r").glob("*.svg")]
    started = time.perf_counter()
    assert dlcli("report", "r").code == 0
    assert time.perf_counter() - started < 20
    full = check_page(Path("r/report.html"))
    for title in SECTIONS:
        assert f"<h2>{title}</h2>" in quick
        assert f"<h2>{title}</h2>" in full
    pictures = {path.stem for path in Path("r").glob("*.svg")}
    assert {"losses-by-epoch", "activations", "landscape"} <= pictures
    assert not [*Path("r").glob("*.png")]


def sections_of(page: str) -> dict[str, str]:
    """Return the sections of a page by their titles."""
    found = re.findall(r"<section[^>]*>\s*<h2[^>]*>(.*?)</h2>(.*?)</section>", page, re.DOTALL)
    return dict(found)


def test_the_quick_report_is_a_part_of_the_full_one_and_says_how_to_get_it(
    dlcli: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(ROOT / "data" / "moons.csv", "moons.csv")
    text = (CONFIGS / "moons.yaml").read_text().replace("../data/moons.csv", "moons.csv")
    Path("c.yaml").write_text(text)
    with monkeypatch.context() as patch:  # what is needed is in memory: no file of rows is read
        patch.setattr("dlcli.runs.reporting.load_run.load_tables", None)
        out = train(dlcli, Path("c.yaml"), "--set", "training.epochs=4")
    assert "report: r/report.html" in out
    page = Path("r/report.html").read_text("utf-8")
    quick = sections_of(page)
    assert not [title for title in quick if title in DEEP or title == "Loss landscape"]
    offered = quick.pop("The full report")
    assert "the loss landscape" in offered
    command = re.findall(r"<pre[^>]*>dlcli (.*?)</pre>", offered)
    made = dlcli(*command[0].split())
    assert made.code == 0
    assert "report: the loss landscape (question 3 of 4)\n" in made.out  # a line in a log
    assert "question" not in out
    full = sections_of(Path("r/report.html").read_text("utf-8"))
    assert {"Decision boundary", "Loss landscape"} <= set(full)
    errors = (found.pop("Largest errors") for found in (quick, full))
    here = str(Path.cwd())
    assert len({text.replace(f"{here}/", "") for text in errors}) == 1  # files are named otherwise
    assert {title: full[title] for title in quick} == quick
    train(dlcli, Path("c.yaml"), "--set", "training.epochs=4", "--set", "report=full", run="f")
    at_end = sections_of(Path("f/report.html").read_text("utf-8"))
    for title in ("Run summary", "Config"):  # other folders, times and values of `report`
        assert at_end.pop(title) != full.pop(title)
    assert at_end.pop("Largest errors")
    assert at_end == full
    files = {path.name for path in Path("r").glob("*.*g")}
    assert {path.name for path in Path("f").glob("*.svg")} == files
    assert {path.stem for path in Path("f").glob("*.png")} == {Path(name).stem for name in files}


@pytest.mark.parametrize(
    ("data", "part"),
    [
        ({"streaming": True, "split": {"validation": 0.2, "test": 0.2}}, "test rows"),
        ({"group": "g", "split": {"validation": 0.3}}, "validation rows"),
        ({"weight": "w"}, "training rows"),
    ],
    ids=["streamed", "in groups", "weighed, none held out"],
)
def test_a_quick_report_shows_the_rows_of_any_data(
    data: dict[str, Any], part: str, dlcli: Command, write_config: WriteConfig
) -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=200).round(3)
    columns: dict[str, np.ndarray] = {"x": x, "y": (2 * x + random.normal(size=200)).round(3)}
    group = data.pop("group", None)
    if group is not None:
        columns["g"] = np.arange(200) // 5
        data["split"]["group"] = "g"
    if "weight" in data:
        columns["w"] = random.integers(1, 4, 200)
    pl.DataFrame(columns).write_csv("t.csv")
    config = write_config("t.csv", "y", data=data)
    train(dlcli, config)
    shown = sections_of(Path("r/report.html").read_text("utf-8"))
    assert part in shown["Metrics"]
    quality = assess_quality(load_model_and_data(Path("r")))
    for metric in quality.metrics:
        assert f"<td>{interval_text(metric.network)}</td>" in shown["Metrics"]
    lines = re.findall(r"line \d+", shown["Largest errors"])
    assert lines == [row.position for row in quality.errors.rows]
    assert "Permutation importance" in shown


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
    assert text.count("<script") == 1  # the page's own
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
    outcome = dlcli("report", run, *(["--png"] if damage == "data" else []))
    assert outcome.code == 0, outcome.err
    assert (run / "losses-by-epoch.png").exists() == (damage == "data")
    page = (run / "report.html").read_text("utf-8")
    assert said in page.replace("\n", " ")


def test_a_run_that_diverged_has_a_report(dlcli: Command) -> None:
    rising = ["optimizer={type: sgd, lr: 50}", "schedule={type: constant, warmup_epochs: 39}"]
    settings = [*rising, "training.epochs=40", "training.early_stopping=null", "report=true"]
    options = [word for setting in settings for word in ("--set", setting)]
    outcome = dlcli("train", CONFIGS / "diabetes.yaml", *options, "--run-dir", "r")
    assert outcome.code == 5
    assert "The weights of the best epoch" in outcome.err
    assert len(read_snapshots(RunFolder(Path("r")))) > 2
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
