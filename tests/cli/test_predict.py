import io
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml

from dlcli.cli.app import run as run_dlcli
from tests.conftest import ROOT, Command, WriteConfig

CONFIGS = ROOT / "configs"
WriteTable = Callable[..., Path]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("trained") / "run"
    words = ["--run-dir", str(run), "--set", "seed=3", "--set", "report=false"]
    assert run_dlcli(["train", str(CONFIGS / "penguins.yaml"), *words]) == 0
    return run


@pytest.fixture
def run(trained: Path) -> Path:
    """A copy of the run, at the same depth, as its paths begin there."""
    shutil.copytree(trained, "run")
    return Path("run")


def test_rows_come_back_as_they_were_with_predictions(
    run: Path, dlcli: Command, penguins: Path
) -> None:
    outcome = dlcli("predict", run, penguins)
    assert outcome.code == 0
    assert "344 rows predicted, to standard output" in outcome.err
    answered = pl.read_csv(io.StringIO(outcome.out), infer_schema=False)
    asked = pl.read_csv(penguins, infer_schema=False)
    assert answered.select(asked.columns).equals(asked)
    names = ["Adelie", "Chinstrap", "Gentoo"]
    added = ["prediction", *[f"probability_{name}" for name in names]]
    assert answered.columns == [*asked.columns, *added]
    probabilities = answered.select(added[1:]).cast(pl.Float64).to_numpy()
    assert np.allclose(probabilities.sum(axis=1), 1)
    assert [names[best] for best in probabilities.argmax(axis=1)] == answered[
        "prediction"
    ].to_list()


def test_predictions_are_the_probabilities_that_evaluate_scored(
    run: Path, dlcli: Command, penguins: Path
) -> None:
    figures = dlcli("evaluate", run, penguins, "--json").json["data"]
    dlcli("predict", run, penguins, "-o", "out.csv")
    answered = pl.read_csv("out.csv")
    own = np.array([row[f"probability_{row['species']}"] for row in answered.to_dicts()])
    assert -np.log(own).mean() == pytest.approx(figures["loss"], rel=1e-5)
    right = (answered["prediction"] == answered["species"]).mean()
    assert right == pytest.approx(figures["accuracy"])


def test_evaluate_finds_the_same_rows_where_the_task_was_a_close_call(
    dlcli: Command, table: Callable[..., Path], write_config: WriteConfig
) -> None:
    """20 whole numbers are classes, 21 are not, and the training rows have fewer than the file."""
    path = table("x,y", *[f"{row % 9},{row % 20}" for row in range(80)], "1,20")
    config = write_config(
        path, "y", data={"split": {"validation": 0.2, "test": 0.3}}, training={"epochs": 1}
    )
    assert dlcli("train", config, "--run-dir", "run").code == 0
    summary = json.loads(Path("run/summary.json").read_text())
    again = dlcli("evaluate", "run", "--json").json
    assert again["test"]["loss"] == summary["test"]["loss"]
    assert again["validation"]["loss"] == summary["validation"]["loss"]


def test_evaluate_leaves_out_rows_without_a_target_where_training_did(
    dlcli: Command, table: Callable[..., Path], write_config: WriteConfig
) -> None:
    path = table("x,y", *[f"{row % 9},{'ab'[row % 2] if row % 10 else ''}" for row in range(60)])
    config = write_config(path, "y", data={"drop_missing_target": True})
    assert dlcli("train", config, "--run-dir", "run").code == 0
    outcome = dlcli("evaluate", "run", path)
    assert outcome.code == 0, outcome.err
    assert "6 of 60 rows left out, without 'y'" in outcome.out


def test_a_run_folder_behind_a_link_finds_its_data(dlcli: Command) -> None:
    Path("real/a/b").mkdir(parents=True)
    Path("link").symlink_to("real/a/b")
    config = CONFIGS / "moons.yaml"
    dlcli("train", config, "--run-dir", "link/run", "--set", "training.epochs=1")
    assert dlcli("evaluate", "link/run").code == 0


def test_the_file_to_predict_on_is_not_written_over(run: Path, dlcli: Command) -> None:
    Path("in.csv").write_text("island\nDream\n")
    outcome = dlcli("predict", run, "in.csv", "-o", "in.csv")
    assert outcome.code == 2
    assert "-o in.csv: this is the file to predict on" in outcome.err
    assert Path("in.csv").read_text() == "island\nDream\n"


def test_a_config_where_a_run_is_wanted_is_answered(dlcli: Command, penguins: Path) -> None:
    outcome = dlcli("predict", CONFIGS / "penguins.yaml", penguins)
    assert outcome.code == 4
    assert "a config, not a run; train it first, or predict with --untrained" in (outcome.err)


def test_an_answer_that_is_not_finite_is_refused(
    dlcli: Command, table: Callable[..., Path]
) -> None:
    layers = "model.layers=[{type: dense, initial: {weight: [[3.0e+38, 3.0e+38]]}}]"
    path = table("lectures,hours", "1e9,1e9", name="far.csv")
    config = CONFIGS / "final_grade.yaml"
    outcome = dlcli("predict", config, path, "--untrained", "--set", layers)
    assert outcome.code == 5
    assert "far.csv, line 2: the network's prediction is not finite" in outcome.err


def test_evaluate_gives_the_figures_of_the_summary(run: Path, dlcli: Command) -> None:
    summary = json.loads((run / "summary.json").read_text())
    assert dlcli("evaluate", run, "--json").json == {
        name: summary[name] for name in ("validation", "test")
    }
    assert dlcli("evaluate", run / "best.safetensors", "--json").json["test"] == summary["test"]
    assert "accuracy" in dlcli("evaluate", run).out


def test_evaluate_reads_and_encodes_held_out_rows_as_the_run_did(run: Path, dlcli: Command) -> None:
    before = dlcli("evaluate", run, "--json").json
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["seed"] += 1
    config["data"] |= {"scale": "minmax", "missing_values": ["NA", "Biscoe"]}
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    assert dlcli("evaluate", run, "--json").json == before


def test_a_number_is_predicted_in_its_own_units(dlcli: Command) -> None:
    dlcli("train", CONFIGS / "final_grade.yaml", "--run-dir", "r")
    dlcli("predict", "r", ROOT / "data" / "final_grade.csv", "-o", "out.parquet")
    answered = pl.read_parquet("out.parquet").with_columns(pl.col("grade").cast(pl.Float64))
    figures = dlcli("evaluate", "r", ROOT / "data" / "final_grade.csv", "--json").json["data"]
    errors = (answered["prediction"] - answered["grade"]).to_numpy()
    assert (errors**2).mean() == pytest.approx(figures["loss"], rel=1e-5)
    assert np.sqrt((errors**2).mean()) == pytest.approx(figures["rmse"], rel=1e-5)
    assert np.abs(errors).mean() < 6


def test_csv_and_parquet_give_the_same_answers_both_ways(
    run: Path, dlcli: Command, penguins: Path
) -> None:
    typed = pl.read_csv(penguins, null_values="NA")
    typed.write_parquet("typed.parquet")
    for source, out in ((penguins, "a.csv"), ("typed.parquet", "b.parquet")):
        assert dlcli("predict", run, source, "-o", out).code == 0
    ours, theirs = pl.read_csv("a.csv"), pl.read_parquet("b.parquet")
    assert theirs.select(typed.columns).equals(typed)
    for name in ("probability_Adelie", "probability_Gentoo"):
        assert np.allclose(ours[name], theirs[name], atol=1e-6)


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_training_on_either_format_gives_the_same_network(
    file_format: str, dlcli: Command, penguins: Path, write_config: WriteConfig
) -> None:
    typed = pl.read_csv(penguins, null_values="NA")
    typed.write_parquet("penguins.parquet")
    typed.write_csv("penguins.csv", null_value="NA")
    config = write_config(f"penguins.{file_format}", "species")
    assert dlcli("train", config, "--run-dir", "r").code == 0
    dlcli("predict", "r", penguins, "-o", "out.csv")
    answered = pl.read_csv("out.csv")["probability_Adelie"].to_numpy()
    config = write_config(penguins, "species")
    dlcli("train", config, "--run-dir", "original")
    dlcli("predict", "original", penguins, "-o", "original.csv")
    assert np.allclose(answered, pl.read_csv("original.csv")["probability_Adelie"])


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_standard_input_and_output(
    file_format: str, run: Path, dlcli: Command, penguins: Path, program: list[str]
) -> None:
    sent = penguins.read_bytes()
    if file_format == "parquet":
        buffer = io.BytesIO()
        pl.read_csv(penguins, null_values="NA").write_parquet(buffer)
        sent = buffer.getvalue()
    piped = subprocess.run(
        [*program, "predict", str(run), "-"],
        input=sent,
        capture_output=True,
        check=True,
    )
    dlcli("predict", run, penguins, "-o", "out.csv")
    ours = pl.read_csv(piped.stdout)["probability_Adelie"]
    assert np.allclose(ours, pl.read_csv("out.csv")["probability_Adelie"])


def test_what_training_never_saw_is_answered_and_said(run: Path, dlcli: Command) -> None:
    Path("new.csv").write_text(
        "island,bill_length_mm,bill_depth_mm,flipper_length_mm,body_mass_g,sex,year\n"
        "Atlantis,40,18,190,3500,male,NA\nAtlantis,40,18,190,3500,male,2007\n"
    )
    outcome = dlcli("predict", run, "new.csv")
    assert outcome.code == 0
    assert "'island' holds nothing that training saw: 2 of 2 cells are unseen in" in outcome.err
    assert "column 'year': 1 cell missing, although training had none" in outcome.err
    assert "new.csv, line 2" in outcome.err


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("island,sex\nDream,male\n", 3, "new.csv: no column 'bill_length_mm'"),
        ("prediction\n1\n", 3, "no column 'island'"),
        ("", 3, "the file is empty"),
    ],
)
def test_a_table_that_does_not_fit_is_refused_and_no_file_is_left(
    text: str, code: int, message: str, run: Path, dlcli: Command
) -> None:
    Path("new.csv").write_text(text)
    outcome = dlcli("predict", run, "new.csv", "-o", "out.csv")
    assert outcome.code == code
    assert message in outcome.err
    assert sorted(path.name for path in Path().iterdir()) == ["new.csv", "run"]


@pytest.mark.parametrize("out", ["out.csv", "out.parquet"])
def test_a_bad_cell_far_into_the_file_leaves_no_half_written_file(
    out: str, run: Path, dlcli: Command, penguins: Path
) -> None:
    header, *rows = penguins.read_text().splitlines()
    Path("long.csv").write_text(
        "\n".join([header, *(rows * 600)]) + "\nAdelie,Dream,x,1,1,1,male,1\n"
    )
    outcome = dlcli("predict", run, "long.csv", "-o", out)
    assert outcome.code == 3
    assert "long.csv, line 206402: column 'bill_length_mm' has 'x'" in outcome.err
    assert sorted(path.name for path in Path().iterdir()) == ["long.csv", "run"]


def test_other_refusals(run: Path, dlcli: Command, penguins: Path) -> None:
    assert dlcli("predict", "nowhere", penguins).code == 4
    assert dlcli("predict", run, "nowhere.csv").code == 3
    assert dlcli("predict", run, penguins, "-o", "out.xlsx").code == 2
    assert dlcli("predict", run, penguins, "-o", "no/such/folder.csv").code == 7
    assert dlcli("predict", run, penguins, "--set", "seed=1").code == 2
    dlcli("predict", run, penguins, "-o", "once.csv")
    outcome = dlcli("predict", run, "once.csv")
    assert outcome.code == 3
    assert "has a column 'prediction' already" in outcome.err
    assert dlcli("evaluate", run, "once.csv", "--json").code == 0


def test_the_folder_above_the_runs_is_answered_with_a_run(dlcli: Command, penguins: Path) -> None:
    dlcli("train", CONFIGS / "penguins.yaml", "--set", "training.epochs=1")
    outcome = dlcli("predict", "runs/penguins", penguins)
    assert outcome.code == 4
    assert "did you mean runs/penguins/001?" in outcome.err


def test_evaluate_refuses_data_that_has_changed_since(dlcli: Command, penguins: Path) -> None:
    Path("mine.csv").write_bytes(penguins.read_bytes())
    Path("c.yaml").write_text(
        (CONFIGS / "penguins.yaml").read_text().replace("../data/penguins", "mine")
    )
    assert dlcli("train", "c.yaml", "--run-dir", "r", "--set", "training.epochs=1").code == 0
    Path("mine.csv").write_bytes(penguins.read_bytes().replace(b"39.1", b"39.2"))
    outcome = dlcli("evaluate", "r")
    assert outcome.code == 3
    assert "mine.csv: changed since the run was trained" in outcome.err


class TestUntrained:
    def test_the_lectures_perceptron_gives_sigmoid_of_minus_6(self, dlcli: Command) -> None:
        Path("point.csv").write_text("x1,x2\n-1,2\n")
        config = CONFIGS / "lecture" / "02_worked_example.yaml"
        outcome = dlcli("predict", config, "point.csv", "--untrained")
        answered = pl.read_csv(io.StringIO(outcome.out))
        assert answered["probability_1"][0] == pytest.approx(1 / (1 + np.exp(6)), rel=1e-6)
        assert answered["prediction"][0] == 0

    def test_it_is_the_network_before_its_first_step(self, dlcli: Command) -> None:
        Path("point.csv").write_text("lectures,hours\n4,5\n")
        config = CONFIGS / "lecture" / "07_pass_class.yaml"
        first, again, other = (
            dlcli("predict", config, "point.csv", "--untrained", "--set", f"seed={seed}").out
            for seed in (0, 0, 1)
        )
        assert first == again != other


def test_labels_keep_their_type_in_parquet(
    dlcli: Command, table: WriteTable, write_config: WriteConfig
) -> None:
    for labels, dtype in ((["3", "11"], pl.Int64), (["True", "False"], pl.Boolean)):
        path = table("x,y", *[f"{n},{labels[n % 2]}" for n in range(12)])
        dlcli("train", write_config(path, "y"), "--run-dir", f"run_{labels[0]}")
        dlcli("predict", f"run_{labels[0]}", path, "-o", "out.parquet")
        answered = pl.read_parquet("out.parquet")
        assert answered["prediction"].dtype == dtype
        assert answered.columns[-2:] == [f"probability_{label}" for label in (
            ["3", "11"] if dtype == pl.Int64 else ["false", "true"])]  # fmt: skip


def test_a_parquet_column_that_csv_cannot_hold_is_refused(
    dlcli: Command, write_config: WriteConfig
) -> None:
    frame = pl.DataFrame({"x": range(12), "tags": [{"a": 1}] * 12, "y": ["u", "v"] * 6})
    frame.write_parquet("t.parquet")
    assert dlcli("train", write_config("t.parquet", "y"), "--run-dir", "r").code == 0
    outcome = dlcli("predict", "r", "t.parquet", "-o", "out.csv")
    assert outcome.code == 3
    assert (
        "column 'tags' is of type Struct({'a': Int64}), which CSV has no way to write"
        in outcome.err
    )
    assert not Path("out.csv").exists()
    assert dlcli("predict", "r", "t.parquet", "-o", "out.parquet").code == 0
    assert pl.read_parquet("out.parquet")["tags"].to_list() == [{"a": 1}] * 12


MEASURE = """
import resource, sys
from pathlib import Path
from dlcli.runs.predict import predict, trained_predictor
from dlcli.tables.sources import Source
predictor = trained_predictor(Path("run"))
for name in sys.argv[1:]:
    predict(predictor, Source.of(Path(name)), Path("out" + Path(name).suffix))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_the_memory_of_predict_does_not_grow_with_the_file(
    file_format: str, penguins: Path
) -> None:
    frame = pl.read_csv(penguins, infer_schema=False)
    for name, copies in (("small", 1_000), ("large", 3_000)):
        rows = pl.concat([frame] * copies)
        if file_format == "csv":
            rows.write_csv(f"{name}.csv")
        else:
            rows.write_parquet(f"{name}.parquet", row_group_size=65_536)
    files = [f"{name}.{file_format}" for name in ("small", "large")]
    measured = subprocess.run(
        [sys.executable, "-c", MEASURE, *files], capture_output=True, text=True, check=True
    )
    small, large = (int(line) for line in measured.stdout.split())
    # In kilobytes. The 0.7 million rows added would take 250 megabytes; buffers take their share.
    assert large - small < 100_000


@pytest.mark.parametrize("target", ["species", "body_mass_g"])
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_without_rows_the_header_of_the_predictions_is_written(
    target: str, suffix: str, dlcli: Command, penguins: Path, write_config: WriteConfig
) -> None:
    layers = [{"type": "dense", "units": 4}, {"type": "batch_norm"}, {"type": "dense"}]
    config = write_config(
        penguins,
        target,
        model={"layers": layers},
        data={"drop_missing_target": True, "one_hot_max": 2},
        training={"epochs": 1},
    )
    assert dlcli("train", config, "--run-dir", "run").code == 0
    frame = pl.read_csv(penguins, null_values="NA", infer_schema_length=None)
    some, none = Path(f"some.{suffix}"), Path(f"none.{suffix}")
    for rows, path in ((frame, some), (frame.clear(), none)):
        rows.write_csv(path) if suffix == "csv" else rows.write_parquet(path)
    assert dlcli("predict", "run", some, "-o", f"all.{suffix}").code == 0
    outcome = dlcli("predict", "run", none, "-o", f"out.{suffix}")
    assert outcome.code == 0, outcome.err
    assert f"0 rows predicted, to out.{suffix}" in outcome.err
    if suffix == "csv":
        header = Path("all.csv").read_text().splitlines()[0]
        assert Path("out.csv").read_text() == header + "\n"
    else:
        assert pl.read_parquet("out.parquet").equals(pl.read_parquet("all.parquet").clear())


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_standard_input_without_rows_gives_a_header_too(
    suffix: str, run: Path, penguins: Path, dlcli: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = pl.read_csv(penguins, null_values="NA", infer_schema_length=None).clear()
    data = io.BytesIO()
    frame.write_csv(data) if suffix == "csv" else frame.write_parquet(data)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data.getvalue())))
    result = dlcli("predict", run, "-")
    assert (result.code, "0 rows predicted" in result.err) == (0, True)
    added = ["prediction", *(f"probability_{name}" for name in ("Adelie", "Chinstrap", "Gentoo"))]
    assert result.out == ",".join([*frame.columns, *added]) + "\n"


def test_a_missing_column_is_refused_without_rows_too(run: Path, dlcli: Command) -> None:
    Path("none.csv").write_text("island,sex\n")
    outcome = dlcli("predict", run, "none.csv", "-o", "out.csv")
    assert outcome.code == 3
    assert "no column 'bill_length_mm'" in outcome.err
    assert not Path("out.csv").exists()
