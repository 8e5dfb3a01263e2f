import csv
import random
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from dlcli.config import load_config
from dlcli.runs.preparation import prepare
from tests.conftest import ROOT, Command

Table = Callable[..., Path]
TARGETS = {
    "penguins": "species",
    "digits": "digit",
    "diabetes": "progression",
    "pass_class": "passed",
    "final_grade": "grade",
    "moons": "color",
}


def numbered(rows: int) -> list[str]:
    """Rows of x and y, in which y follows from x but not at once."""
    return [f"{number % 17},{'ab'[number * 7 % 5 > 2]}" for number in range(rows)]


@pytest.mark.parametrize("name", TARGETS)
def test_what_init_writes_can_be_trained(name: str, dlcli: Command) -> None:
    data = ROOT / "data" / f"{name}.csv"
    outcome = dlcli(
        "init", "--effort", "quick", data, "--target", TARGETS[name], "-o", "drafted.yaml"
    )
    assert outcome.code == 0, outcome.err
    assert outcome.out == ""
    assert "next: dlcli train drafted.yaml" in outcome.err
    assert dlcli("train", "drafted.yaml", "--smoke").code == 0


def test_init_writes_a_config_that_trains_as_well_as_one_by_hand(dlcli: Command) -> None:
    """The whole comparison is benchmarks/init.py's."""
    dlcli(
        "init",
        "--effort",
        "quick",
        ROOT / "data/penguins.csv",
        "--target",
        "species",
        "-o",
        "drafted.yaml",
    )
    drafted, by_hand = (
        dlcli("train", config, "--json", "--run-dir", f"runs/{number}").json["test"]["accuracy"]
        for number, config in enumerate(["drafted.yaml", ROOT / "configs/penguins.yaml"])
    )
    assert drafted >= by_hand - 0.01


def test_without_an_output_file_the_config_goes_to_standard_output(dlcli: Command) -> None:
    outcome = dlcli("init", "--effort", "quick", ROOT / "data/moons.csv", "--target", "color")
    Path("moons.yaml").write_text(outcome.out)
    assert load_config(Path("moons.yaml")).config.data.target == "color"
    assert outcome.err == ""


def test_every_choice_has_a_reason_above_it(dlcli: Command) -> None:
    text = dlcli("init", "--effort", "quick", ROOT / "data/penguins.csv", "--target", "species").out
    for key in ("task", "split", "layers", "loss", "weight_decay", "schedule", "epochs"):
        assert re.search(rf"^ *# .*\n *{key}:", text, re.MULTILINE), key


def test_an_image_is_told_from_its_columns(dlcli: Command) -> None:
    text = dlcli("init", "--effort", "quick", ROOT / "data/digits.csv", "--target", "digit").out
    assert "shape: [1, 8, 8]" in text
    assert "conv2d" in text


def test_a_table_with_a_pixel_missing_anywhere_is_no_image(dlcli: Command, table: Table) -> None:
    header, *lines = (ROOT / "data/digits.csv").read_text().splitlines()
    lines = lines * (20_000 // len(lines) + 1)
    last = lines[-1].split(",")
    last[header.split(",").index("digit") - 1] = ""
    table(header, *lines, ",".join(last), name="late.csv")
    outcome = dlcli("init", "--effort", "quick", "late.csv", "--target", "digit")
    assert outcome.code == 0, outcome.err
    assert "shape:" not in outcome.out


def test_paths_start_from_the_config(dlcli: Command, table: Table) -> None:
    table("x,y", *numbered(60), name="here.csv")
    Path("deep/er").mkdir(parents=True)
    assert (
        dlcli("init", "--effort", "quick", "here.csv", "--target", "y", "-o", "deep/er/c.yaml").code
        == 0
    )
    assert load_config(Path("deep/er/c.yaml")).config.data.path == "../../here.csv"
    assert dlcli("train", "deep/er/c.yaml", "--smoke").code == 0


@pytest.mark.parametrize(
    ("header", "cell", "finding"),
    [
        ("id", lambda row: row + 1000, "'id' is left out: a different whole number in every row"),
        ("key", lambda row: row * 31 % 1009, "'key' is left out: a different whole number"),
        ("id", lambda row: "" if row == 7 else row, "'id' is left out: a different whole number"),
        ("name", lambda row: f"name {row}", "'name' is left out: text with a different value"),
        (
            "note",
            lambda row: f"n{row % 58}",
            "'note' is left out: text with 58 different values in 60",
        ),
        ("same", lambda _: 7, "'same' is left out: it is 7 in every row"),
        ("gaps", lambda row: "" if row % 3 else row, "'gaps' is missing in 67% of the rows"),
        (
            "tell",
            lambda row: "ba"[row * 7 % 5 > 2],
            "'tell' alone predicts 'y' in 100.0% of the rows",
        ),
        ("day", lambda row: f"2024-01-{row % 28 + 1:02}", "'day' is a time"),
        (
            "odd",
            lambda row: "?" if row == 5 else row % 9,
            "'odd' has '?' among its numbers, 1 times",
        ),
        (
            "odd",
            lambda row: f"t{row}" if row < 5 else row % 9,
            "'odd' has 5 texts among its numbers, such as 't0': treated as categories",
        ),
    ],
)
def test_what_stands_out_is_said(
    header: str, cell: Callable[[int], object], finding: str, dlcli: Command, table: Table
) -> None:
    rows = [f"{line},{cell(row)}" for row, line in enumerate(numbered(60))]
    table(f"x,y,{header}", *rows, name="odd.csv")
    outcome = dlcli("init", "--effort", "quick", "odd.csv", "--target", "y", "-o", "c.yaml")
    assert f"check: {finding}" in outcome.err
    comments = " ".join(Path("c.yaml").read_text().replace("#", "").split())
    assert f"Check: {finding}" in comments
    assert dlcli("train", "c.yaml", "--smoke").code == 0


def test_what_is_left_out_is_no_feature(dlcli: Command, table: Table) -> None:
    table("x,y,id", *(f"{line},{row}" for row, line in enumerate(numbered(60))), name="ids.csv")
    dlcli("init", "--effort", "quick", "ids.csv", "--target", "y", "-o", "c.yaml")
    assert load_config(Path("c.yaml")).config.data.features == ("x",)


def test_rows_that_stand_twice_are_counted(dlcli: Command, table: Table) -> None:
    table("x,y", *(f"{row % 30},{'ab'[row % 2]}" for row in range(60)), name="twice.csv")
    err = dlcli("init", "--effort", "quick", "twice.csv", "--target", "y", "-o", "c.yaml").err
    assert "30 of 60 rows are the same as an earlier row" in err
    prepared = prepare(load_config(Path("c.yaml")))
    known = {(*row, label) for row, label in rows_of(prepared, "train")}
    count = sum((*row, label) in known for row, label in rows_of(prepared, "test"))
    assert f"{count} of 12 test rows also occur among the training rows" in err


def rows_of(prepared: object, part: str) -> list[tuple[tuple[float, ...], int]]:
    rows = prepared.dataset.parts[part]  # type: ignore[attr-defined]
    return [
        (tuple(row), int(label))
        for row, label in zip(rows.inputs["numbers"], rows.targets["target"], strict=True)
    ]


def test_rows_that_contradict_each_other_are_counted(dlcli: Command, table: Table) -> None:
    table("x,y", *numbered(60), "0.5,a", "0.5,b", "0.5,b", name="torn.csv")
    err = dlcli("init", "--effort", "quick", "torn.csv", "--target", "y", "-o", "c.yaml").err
    assert "rows with another 'y' than a row with equal features" in err


def test_classes_out_of_balance_are_said(dlcli: Command, table: Table) -> None:
    rows = [f"{row % 17},{'rare' if row % 10 == 0 else 'common'}" for row in range(200)]
    table("x,y", *rows, name="rare.csv")
    err = dlcli("init", "--effort", "quick", "rare.csv", "--target", "y", "-o", "c.yaml").err
    assert (
        "180 of 200 rows are 'common', 20 are 'rare'. Always predicting 'common' has an accuracy "
        "of 0.900" in err
    )


def test_the_separator_and_missing_targets_are_seen(dlcli: Command, table: Table) -> None:
    lines = [line.replace(",", ";") for line in numbered(60)]
    table("x;y", *lines, "3;", "4;NA", name="semicolons.csv")
    assert (
        dlcli("init", "--effort", "quick", "semicolons.csv", "--target", "y", "-o", "c.yaml").code
        == 0
    )
    data = load_config(Path("c.yaml")).config.data
    assert (data.separator, data.drop_missing_target) == (";", True)
    assert dlcli("train", "c.yaml", "--smoke").code == 0


@pytest.mark.parametrize("rows", [100, 999, 1000, 40_000])
def test_the_network_grows_with_the_rows(rows: int, dlcli: Command, table: Table) -> None:
    table("x,y", *numbered(rows), name="grows.csv")
    assert (
        dlcli("init", "--effort", "quick", "grows.csv", "--target", "y", "-o", "c.yaml").code == 0
    )
    config = load_config(Path("c.yaml")).config
    units = [layer.units for layer in config.model.layers if layer.type == "dense"]
    assert (
        units
        == {
            100: [32, 16, None],
            999: [32, 16, None],
            1000: [128, 64, None],
            40_000: [256, 128, None],
        }[rows]
    )
    assert (config.training.early_stopping is not None) == (rows >= 1000)


def test_names_that_yaml_would_misread_come_back(dlcli: Command, table: Table) -> None:
    header = 'yes,1e3,"a: b",#c,"${x}",id,target: no'
    rows = [f"{r % 5},{r % 7},{r % 3},{r % 11},{r % 4},{r},{'ab'[r % 2]}" for r in range(60)]
    table(header, *rows, name="names.csv")
    outcome = dlcli(
        "init", "--effort", "quick", "names.csv", "--target", "target: no", "-o", "c.yaml"
    )
    assert outcome.code == 0, outcome.err
    data = load_config(Path("c.yaml")).config.data
    assert data.target == "target: no"
    assert data.features == ("yes", "1e3", "a: b", "#c", "${x}")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("t.csv", "--target", "z"), 2, "--target: t.csv has no column 'z'; its columns: x, y\n"),
        (("t.csv", "--target", "Y"), 2, "--target: t.csv has no column 'Y'; did you mean 'y'?\n"),
        (("u.csv", "--target", "y"), 3, "u.csv: there is no such file\n"),
        (("t.csv", "--target", "y", "-o", "t.csv"), 2, "-o: t.csv exists already; remove it, or "
         "name another file\n"),
        (("t.csv", "--target", "x"), 3, "t.csv: no column to learn from: 'y': it is a in every "
         "row\n"),
        (("t.csv", "--target", "y"), 3, "t.csv: the target 'y' has one class, 'a', in the training "
         "rows; at least two are needed\n"),
    ],
)  # fmt: skip
def test_what_cannot_be_drafted_is_refused(
    arguments: tuple[str, ...], code: int, message: str, dlcli: Command, table: Table
) -> None:
    table("x,y", *(f"{row}.5,a" for row in range(30)), name="t.csv")
    outcome = dlcli("init", "--effort", "quick", *arguments)
    assert (outcome.code, outcome.err) == (code, f"dlcli: {message}")
    assert sorted(path.name for path in Path().iterdir()) == ["t.csv"]


CELLS: list[Callable[[random.Random, int], object]] = [
    lambda draw, _: round(draw.random(), 3),
    lambda draw, _: draw.randint(0, 5),
    lambda _, row: row,
    lambda draw, _: draw.choice("abc"),
    lambda _, row: f"n{row}",
    lambda _draw, _row: 7,
    lambda draw, _: draw.choice(["", "NA", 1, 2]),
    lambda draw, _: draw.choice(["true", "false"]),
    lambda draw, _: f"20{draw.randint(10, 24)}-0{draw.randint(1, 9)}-11",
    lambda draw, _: draw.choice(["?", *range(9)]),
    lambda draw, _: draw.choice(["x y", "é", "#", "- a", ": b", "1e3", "yes"]),
]
NAMES = ["a", "id", "yes", '"x,y"', "q: z", "#h", "1", "é", "null", '"""q"""', "${env:X"]


@pytest.mark.parametrize("seed", range(100))
def test_what_init_writes_for_any_table_is_right_or_it_says_why_not(
    seed: int, dlcli: Command, table: Table
) -> None:
    draw = random.Random(seed)
    names = draw.sample(NAMES, draw.randint(2, 6))
    kinds = [draw.choice(CELLS) for _ in names]
    rows = range(draw.choice([3, 8, 20, 60, 150, 1200]))
    lines = [",".join(str(kind(draw, row)) for kind in kinds) for row in rows]
    table(",".join(names), *lines, name="any.csv")
    target = next(csv.reader([names[-1]]))[0]
    outcome = dlcli("init", "--effort", "quick", "any.csv", "--target", target, "-o", "c.yaml")
    if outcome.code == 0:
        validated = dlcli("validate", "c.yaml")
        assert validated.code == 0, validated.err
    else:
        assert outcome.code == 3, outcome.err
        assert outcome.err.startswith("dlcli: any.csv")


def test_each_finding_is_told_once_with_its_key(dlcli: Command, table: Table) -> None:
    """On the screen, one to a line, and as comments of the config."""
    rows = [
        f"{row % 17},{row},{'' if row % 3 else 5 + row % 7},c,"
        f"{'?' if row == 9 else row % 5},{['NA', '', 'b', 'c', 'd'][row * 3 % 5]},"
        f"{['x', 'y', 'x', 'NA', 'z'][row % 5] if row else ''}"
        for row in range(120)
    ]
    rows += [rows[1], rows[2], rows[3].rpartition(",")[0] + ",y", "1,200,,c,1,b,w"]
    table("a,id,gaps,same,marks,country,y", *rows, name="many.csv")
    outcome = dlcli("init", "--effort", "quick", "many.csv", "--target", "y", "-o", "c.yaml")
    assert outcome.code == 0, outcome.err
    told = [line for line in outcome.err.splitlines() if line.startswith("check: ")]
    assert len(told) == len(set(told)) >= 7
    for line in told:
        assert re.search(r"\b(data|loss|model|training)\b[.:]", line), line
    text = " ".join(Path("c.yaml").read_text().replace("#", " ").split())
    for line in told:
        assert f"Check: {line.removeprefix('check: ')}." in text


@pytest.mark.parametrize(
    ("target", "repair"), [("y", "data.kinds={zip: numeric}"), ("zip", "data.task=regression")]
)
def test_codes_are_told_with_the_key_for_amounts(
    target: str, repair: str, dlcli: Command, table: Table
) -> None:
    rows = [
        f"{['01201', '1201', '02139'][row % 3]},{row % 7},{'ab'[row * 5 % 7 > 3]}"
        for row in range(60)
    ]
    table("zip,h,y", *rows, name="codes.csv")
    outcome = dlcli("init", "--effort", "quick", "codes.csv", "--target", target, "-o", "c.yaml")
    told = "check: 'zip' has codes with zeros in front, such as '01201': treated as "
    assert outcome.err.count(told) == 1
    key, _, value = repair.partition("=")
    assert f"where they are amounts, set {key}: {value}" in outcome.err
    data = prepare(load_config(Path("c.yaml"))).config.data
    assert (data.kinds.get("zip"), data.task) == {
        "y": ("categorical", "binary"),
        "zip": (None, "multiclass"),
    }[target]
    changes = ["--set", repair, *(["--set", "loss=mse"] if target == "zip" else [])]
    outcome = dlcli("train", "c.yaml", "--smoke", *changes)
    assert outcome.code == 0, outcome.err


def test_without_a_target_the_columns_are_named(dlcli: Command) -> None:
    Path("t.csv").write_text("hours,passed\n1,no\n2,yes\n")
    outcome = dlcli("init", "--effort", "quick", "t.csv")
    assert outcome.code == 2
    told = "--target: say which column of t.csv to predict; its columns: hours, passed"
    assert told in outcome.err


def test_a_table_in_place_of_a_config_is_pointed_to_init(dlcli: Command) -> None:
    Path("my table.csv").write_text("hours,passed\n" + "1,no\n2,yes\n" * 20)
    outcome = dlcli("train", "my table.csv")
    assert outcome.code == 2
    assert "my table.csv: a table, not a config; make one with: dlcli init" in outcome.err
    command = outcome.err.partition("dlcli init ")[2].replace("COLUMN", "passed")
    assert dlcli("init", "--effort", "quick", *shlex.split(command)).code == 0
    assert dlcli("validate", "config.yaml").code == 0
