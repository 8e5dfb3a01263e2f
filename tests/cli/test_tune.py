"""`dlcli tune`, through the command line."""

import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml

from dlcli.cli.app import run as run_dlcli
from tests.browser import CHROMIUM, look_at
from tests.conftest import Command

LR, DECAY = "optimizer.lr", "optimizer.weight_decay"
HIDDEN = {"type": "dense", "units": 4, "activation": "tanh"}
SPACE = {LR: {"log": [1e-3, 1.0]}, DECAY: {"log": [1e-5, 1e-2]}}


def write_table(path: Path, *, test_is_garbage: bool = False) -> None:
    """Write rows of two columns that decide a third, and the part that each is in."""
    noise = np.random.default_rng(0)
    x = noise.normal(size=(160, 2)).round(3)
    y = np.where(x[:, 0] + 0.5 * x[:, 1] ** 2 > 0.4, "yes", "no")
    part = np.array(["train"] * 80 + ["validation"] * 50 + ["test"] * 30)
    if test_is_garbage:
        x[part == "test"] *= -7.0
        y[part == "test"] = np.where(noise.random(30) < 0.5, "yes", "no")
    rows = pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": y, "part": part})
    rows.write_csv(path)


def write_config(path: Path, **sections: Any) -> Path:
    config = {
        "data": {"path": "table.csv", "target": "y", "split": {"column": "part"}},
        "model": {"layers": [HIDDEN, {"type": "dense"}]},
        "training": {"epochs": 4, "batch_size": 20},
        "tune": {"space": SPACE, "trials": 12},
        **sections,
    }
    path.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    return path


@dataclass(frozen=True)
class Searched:
    """The folders of two searches, of tables that differ in their test rows alone."""

    config: Path
    run: Path
    other: Path


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Searched:
    runs = []
    for is_garbage in (False, True):
        folder = tmp_path_factory.mktemp("search")
        write_table(folder / "table.csv", test_is_garbage=is_garbage)
        config = write_config(folder / "small.yaml")
        run = folder / "run"
        assert run_dlcli(["tune", str(config), "--run-dir", str(run)]) == 0
        runs.append(run)
    return Searched(runs[0].parent / "small.yaml", *runs)


def trials_of(run: Path) -> list[dict[str, Any]]:
    """Return the finished trials in their order, without what a machine takes another time for."""
    lines = (run / "runs.jsonl").read_text("utf-8").splitlines()[1:]
    found = [{**json.loads(line), "seconds_a_step": 0} for line in lines]
    return sorted(found, key=lambda one: json.dumps(one["trial"], sort_keys=True))


def test_a_search_leaves_results_a_table_a_page_and_a_config(searched: Searched) -> None:
    run = searched.run
    assert sorted(path.name for path in run.iterdir()) == [
        "best.yaml",
        "config.yaml",
        "ensemble.json",
        "members",
        "rounds.jsonl",
        "runs.jsonl",
        "search.html",
        "search.json",
        "summary.json",
        "trials.csv",
    ]
    document = json.loads((run / "search.json").read_text("utf-8"))
    assert [document["tried"], len(document["trials"]), document["why_fewer"]] == [12, 13, None]
    figures = [one["figure"] for one in document["trials"]]
    assert figures == sorted(figures)
    assert document["best"] == document["trials"][0]
    table = pl.read_csv(run / "trials.csv")
    assert table["loss"].to_list() == figures
    assert set(table.columns) == {"trial", "loss", "epochs", "best_epoch", "diverged", LR, DECAY}
    fresh = document["fresh_seeds"]
    assert fresh["best"]["seeds"] == [1, 2, 3, 4, 5]
    gain = fresh["best"]["test"]["loss"]["mean"] - fresh["as_configured"]["test"]["loss"]["mean"]
    assert fresh["difference"]["test"]["mean"] == pytest.approx(gain)
    page = (run / "search.html").read_text("utf-8")
    for said in ("Selection optimism", "Which settings mattered", LR, "didn&#x27;t choose them"):
        assert said in page, said
    if CHROMIUM:
        seen = look_at(run / "search.html")
        assert (seen.messages, seen.requests, seen.flaws) == ([], [], [])


def test_the_best_config_trains_to_what_the_search_saw(searched: Searched, dlcli: Command) -> None:
    document = json.loads((searched.run / "search.json").read_text("utf-8"))
    best = yaml.safe_load((searched.run / "best.yaml").read_text("utf-8"))
    assert best["name"] == "small-best"
    assert best["optimizer"]["lr"] == document["best"]["settings"][LR]
    assert best["tune"]["space"] is None
    summary = dlcli("train", searched.run / "best.yaml", "--json").json
    assert [summary["best_epoch"]] == document["best"]["best_epochs"]
    assert summary["validation"]["loss"] == pytest.approx(document["best"]["figure"], rel=1e-4)


def test_the_folder_is_an_ensemble_of_the_best(searched: Searched, dlcli: Command) -> None:
    run = searched.run
    found = json.loads((run / "search.json").read_text("utf-8"))["ensemble"]
    assert sum(found["shares"].values()) == pytest.approx(1)
    evaluated = dlcli("evaluate", run, "--json").json
    for part in ("validation", "test"):
        assert evaluated[part]["loss"] == pytest.approx(found[part]["loss"], rel=1e-5)
        assert evaluated[part]["accuracy"] == pytest.approx(found[part]["accuracy"])
    table = searched.config.parent / "table.csv"
    assert dlcli("predict", run, table, "-o", "predictions.csv").code == 0
    rows = pl.read_csv("predictions.csv").filter(part="test")
    accuracy = (rows["prediction"] == rows["y"]).mean()
    assert accuracy == pytest.approx(found["test"]["accuracy"])
    refused = dlcli("report", run)
    assert refused.code == 4
    assert "search.html" in refused.err


def test_the_test_rows_are_not_looked_at_while_searching(searched: Searched) -> None:
    """Whatever they are, the search is the same; only what is said of its end differs."""
    both = [trials_of(run) for run in (searched.run, searched.other)]
    searching = [[one for one in some if one["trial"]["seed"] == 0] for some in both]
    assert len(searching[0]) == 13
    assert searching[0] == searching[1]
    assert all("test" not in one["figures"] for one in searching[0])
    assert all("test" in one["figures"] for one in both[0] if one not in searching[0])
    assert both[0] != both[1]
    configs = [(run / "best.yaml").read_text("utf-8") for run in (searched.run, searched.other)]
    assert configs[0].partition("\n")[2] == configs[1].partition("\n")[2]


def test_a_search_that_lost_its_last_trials_comes_to_the_same(
    searched: Searched, dlcli: Command, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    for name, kept in (("runs.jsonl", 9), ("rounds.jsonl", 1), ("config.yaml", 9999)):
        lines = (searched.run / name).read_text("utf-8").splitlines(keepends=True)
        run.mkdir(exist_ok=True)
        (run / name).write_text("".join(lines[:kept]), "utf-8")
    with (run / "runs.jsonl").open("a") as file:
        file.write('{"trial": {"chan')  # halfway
    config = searched.config
    outcome = dlcli("tune", config, "--run-dir", run, "--resume", "--json")
    assert outcome.code == 0, outcome.err
    assert "8 trials finished before" in " ".join(outcome.err.split())
    assert trials_of(run) == trials_of(searched.run)
    settings = [yaml.safe_load((one / "best.yaml").read_text()) for one in (run, searched.run)]
    for one in settings:
        del one["data"]["path"]
    assert settings[0] == settings[1]
    changed = dlcli("tune", config, "--run-dir", run, "--resume", "--set", "tune.metric=accuracy")
    assert changed.code == 2
    assert "tune.metric was loss, and is accuracy now" in changed.err
    more = dlcli("tune", config, "--run-dir", run, "--resume", "--trials", "14", "--json")
    assert more.code == 0, more.err
    assert more.json["tried"] == 14
    assert dlcli("train", config, "--run-dir", run, "--resume").code == 4
    assert dlcli("compare-optimizers", config, "--run-dir", run, "--resume").code == 4


def test_folds_judge_each_setting_by_rows_that_its_trials_hold_out(
    dlcli: Command, tmp_path: Path
) -> None:
    write_table(tmp_path / "table.csv")
    data = {"path": "table.csv", "target": "y", "split": {"validation": 0.2, "test": 0.2}}
    tune = {"space": {LR: {"log": [0.01, 0.1]}}, "trials": 3, "folds": 3, "metric": "accuracy"}
    config = write_config(tmp_path / "c.yaml", tune=tune, report=False, data=data)
    command = ["tune", config, "--set", "training.epochs=2", "--run-dir", "r", "--json"]
    outcome = dlcli(*command)
    assert outcome.code == 0, outcome.err
    assert "3 folds of the training and validation rows judge" in " ".join(outcome.err.split())
    assert "round 1: 12 runs" in outcome.err
    runs = trials_of(Path("r"))
    of_folds = [one for one in runs if one["trial"]["fold"] is not None]
    assert len(of_folds) == 4 * 3
    assert all(list(one["figures"]) == ["validation"] for one in of_folds)
    best = outcome.json["best"]
    figures = [
        one["figures"]["validation"]["accuracy"]
        for one in of_folds
        if one["trial"]["changes"] == best["settings"]
    ]
    assert best["figure"] == pytest.approx(np.mean(figures))
    assert len(best["best_epochs"]) == 3
    text = Path("r/runs.jsonl").read_text("utf-8").splitlines(keepends=True)
    Path("r/runs.jsonl").write_text("".join(text[:6]), "utf-8")
    again = dlcli(
        "tune", config, "--set", "training.epochs=2", "--run-dir", "r", "--resume", "--json"
    )
    assert again.json == outcome.json
    assert trials_of(Path("r")) == runs


def test_networks_of_the_best_settings_on_folds_are_an_ensemble(
    dlcli: Command, tmp_path: Path
) -> None:
    """None is trained once more, and those of settings that are not among the best 24 go."""
    write_table(tmp_path / "table.csv")
    data = {"path": "table.csv", "target": "y", "split": {"validation": 0.2, "test": 0.2}}
    tune = {"space": {LR: {"log": [0.01, 1.0]}}, "trials": 26, "folds": 2}
    config = write_config(tmp_path / "c.yaml", tune=tune, report=False, data=data)
    command = ["tune", config, "--set", "training.epochs=2", "--run-dir", "r", "--json"]
    outcome = dlcli(*command)
    assert outcome.code == 0, outcome.err
    run, found = Path("r"), outcome.json["ensemble"]
    assert sum(found["shares"].values()) == pytest.approx(1)
    named = [trial["trial"] for trial in outcome.json["trials"][:24]]
    assert {int(number) for number in found["shares"]} <= {*named}
    assert found["networks"] == 2 * len(found["shares"])
    words = f"{found['networks']} networks, those of all folds of {len(found['shares'])} setting"
    assert words in " ".join(outcome.err.split())
    kinds = [path.suffix for path in (run / "members").iterdir()]
    assert (kinds.count(".safetensors"), kinds.count(".outputs")) == (48, 48)
    members = json.loads((run / "ensemble.json").read_text("utf-8"))["members"]
    evaluated = dlcli("evaluate", run, "--json").json["test"]["loss"]
    assert evaluated == pytest.approx(found["test"]["loss"], rel=1e-5)

    outputs = (run / members[0]["file"]).with_suffix(".outputs")
    kept = outputs.read_bytes()
    outputs.write_bytes(kept[:50])
    refused = dlcli(*command, "--resume")
    assert refused.code == 4
    assert "missing or damaged" in refused.err
    assert "search anew in another --run-dir" in refused.err
    outputs.write_bytes(kept)
    (run / "ensemble.json").unlink()
    assert dlcli(*command, "--resume").json == outcome.json
    assert json.loads((run / "ensemble.json").read_text("utf-8"))["members"] == members


@pytest.mark.parametrize(
    ("tune", "place", "message"),
    [
        ({"space": {"optimizer.lr": {"log": [0, 1]}}}, "optimizer.lr.log[0]", "must be above 0"),
        ({"space": {"optimizer.lr": {"log": [1, 0.1]}}}, "optimizer.lr", "write [0.1, 1.0]"),
        ({"space": {"optimizer.lr": {"lg": [1, 0.1]}}}, "optimizer.lr.lg", "did you mean 'log'?"),
        ({"space": {"optimizer.lr": {}}}, "optimizer.lr", "needs exactly one of log, uniform"),
        ({"space": {"optimizer.lrr": {"log": [1, 2]}}}, "optimizer.lrr", "did you mean 'lr'?"),
        ({"space": {"model.layers[7].units": {"int": [1, 2]}}}, "units", "there is no item [7]"),
        ({"space": {"model.layers[0].units": {"int": [0, 2]}}}, "units", "must be at least 1"),
        ({"space": {"optimizer.type": {"choice": ["adam", "sdg"]}}}, "type", "mean 'sgd'?"),
        ({"space": {"data.split.seed": {"int": [0, 9]}}}, "seed", "a search can't set data.split"),
        ({"space": {"training.threads": {"int": [1, 2]}}}, "threads", "changes no result"),
        ({"space": {"loss": {"choice": ["mse", "mae"]}}}, "loss", "name a metric"),
        (
            {"halving": {}, "space": {"training.epochs": {"int": [1, 9]}}},
            "training.epochs",
            "leave one of the two out",
        ),
        ({"metric": "rmse"}, "metric", "a binary target has no rmse; use one of loss"),
    ],
)
def test_mistakes_are_named_with_their_place(
    dlcli: Command, tmp_path: Path, tune: dict[str, Any], place: str, message: str
) -> None:
    write_table(tmp_path / "table.csv")
    outcome = dlcli("validate", write_config(tmp_path / "c.yaml", tune=tune))
    assert outcome.code == 2
    assert re.search(rf"c\.yaml:\d+:\d+: tune\.\S*{re.escape(place)}", outcome.err), outcome.err
    assert message in " ".join(outcome.err.split())


def test_settings_that_only_fit_each_other_are_searched(dlcli: Command, tmp_path: Path) -> None:
    """Momentum is a setting of sgd alone: with adam, the config refuses it."""
    write_table(tmp_path / "table.csv")
    kind, momentum = "optimizer.type", "optimizer.momentum"
    space = {kind: {"choice": ["sgd", "adam"]}, momentum: {"uniform": [0, 0.9]}}
    config = write_config(tmp_path / "c.yaml", tune={"space": space, "trials": 3}, report=False)
    outcome = dlcli("tune", config, "--set", "training.epochs=1", "--json", "--run-dir", "r")
    assert outcome.code == 0, outcome.err
    assert {one["settings"].get(kind) for one in outcome.json["trials"]} == {None, "sgd"}
    [reason] = {one["reason"] for one in outcome.json["refused"]}
    assert reason.startswith(f"{momentum}: adam has no 'momentum'; it is a setting of sgd")
    assert "refused, the first as optimizer.momentum: adam has no" in " ".join(outcome.err.split())


def test_without_a_space_one_that_fits_the_network_is_said(dlcli: Command, tmp_path: Path) -> None:
    write_table(tmp_path / "table.csv")
    layers = [
        {"type": "dense", "units": 6, "activation": "relu"},
        {"type": "dropout", "rate": 0.1},
        {"type": "dense", "units": 1},
    ]
    config = write_config(
        tmp_path / "c.yaml", model={"layers": layers}, tune={"trials": 2}, report=False
    )
    outcome = dlcli("tune", config, "--set", "training.epochs=1", "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.json["space"] == {
        LR: {"log": [1e-4, 1e-2]},
        DECAY: {"log": [1e-6, 1e-2]},
        "model.layers[0].units": {"choice": [3, 6, 12]},
        "model.layers[1].rate": {"uniform": [0, 0.5]},
    }
    assert "the space is one that fits the network (tune.space)" in outcome.err
    assert not Path("runs/c/001/search.html").exists()
    [command] = re.findall(r"next: (dlcli train .*)", outcome.err)
    assert dlcli(*shlex.split(command)[1:], "--smoke").code == 0


def test_many_keys_stand_below_each_other_with_whole_names(dlcli: Command, tmp_path: Path) -> None:
    write_table(tmp_path / "table.csv")
    layer = {"type": "dense", "activation": "relu"}
    units = {f"model.layers[{place}].units": {"choice": [3, 6]} for place in range(6)}
    config = write_config(
        tmp_path / "c.yaml",
        model={"layers": [*({**layer, "units": 6} for _ in units), {"type": "dense"}]},
        tune={"trials": 12, "space": units},
        report=True,
    )
    outcome = dlcli("tune", config, "--set", "training.epochs=1", "--run-dir", "run")
    assert outcome.code == 0, outcome.err
    text = outcome.out + outcome.err
    for key in units:
        row = next(line for line in text.splitlines() if key in line and line.count("│") > 4)
        values = [cell.strip() for cell in row.split("│")[2:-1]]
        assert len([value for value in values if value in {"3", "6"}]) >= 4
    if CHROMIUM:
        seen = look_at(tmp_path / "run" / "search.html")
        assert (seen.messages, seen.requests, seen.flaws) == ([], [], [])
