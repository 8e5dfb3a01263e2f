"""Columns that `init` splits by, and a target whose logarithm it takes."""

import csv
import math
import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Command

Table = Callable[..., Path]


@pytest.fixture
def patients(table: Table) -> Path:
    """Rows of a patient resemble each other; the label is the patient's, by chance."""
    draw = random.Random(5)
    lines = []
    for patient in range(40):
        center, label = [draw.gauss(0, 1) for _ in range(6)], draw.choice(["ill", "well"])
        for _ in range(8):
            cells = [f"{number + draw.gauss(0, 0.05):.3f}" for number in center]
            lines.append(",".join([f"P{patient:02d}", *cells, label]))
    draw.shuffle(lines)
    return table("patient,a,b,c,d,e,f,y", *lines)


def test_repeated_identifiers_are_split_by(patients: Path, dlcli: Command) -> None:
    outcome = dlcli("init", "--effort", "quick", patients, "--target", "y", "-o", "c.yaml")
    assert "check: 'patient' has 40 values in 320 rows, and the rows of one" in outcome.err
    text = Path("c.yaml").read_text()
    assert "split: {group: patient, test: 0.2}" in text
    assert re.search(r"# Check: 'patient' has 40 values", text)
    rows = ["--set", "data.split={test: 0.2}", "--set", "data.features=[a,b,c,d,e,f]"]
    by_group, by_row = (
        dlcli("train", "c.yaml", "--json", "--run-dir", name, *more).json["test"]["accuracy"]
        for name, more in [("groups", []), ("rows", rows)]
    )
    assert by_row > 0.85
    assert by_group < 0.7  # nothing can be known of a new patient


@pytest.mark.parametrize("name", ["code", "userId", "CUSTOMER NO"])
def test_identifiers_are_known_by_name_or_by_near_duplicates(
    name: str, patients: Path, dlcli: Command
) -> None:
    patients.write_text(patients.read_text().replace("patient,", f"{name},"))
    text = dlcli("init", "--effort", "quick", patients, "--target", "y").out
    assert re.search(rf"split: {{group: '?{name}'?, test: 0.2}}", text)


def test_identifiers_of_numbers_and_text_are_groups_too(patients: Path, dlcli: Command) -> None:
    numbers = re.sub(r"^P(\d[1-9])", r"1\1", patients.read_text(), flags=re.MULTILINE)
    patients.write_text(numbers)
    outcome = dlcli("init", "--effort", "quick", patients, "--target", "y", "-o", "c.yaml")
    assert "split: {group: patient, test: 0.2}" in Path("c.yaml").read_text()
    assert "among its numbers" not in outcome.err
    assert dlcli("validate", "c.yaml").code == 0


def test_categories_are_no_groups(table: Table, dlcli: Command) -> None:
    draw = random.Random(1)
    cities = [(f"city {city}", draw.gauss(0, 1)) for city in range(40)]
    lines = [
        f"{name},{draw.random():.3f},{draw.random():.3f},{level + draw.gauss(0, 0.3):.3f}"
        for name, level in draw.choices(cities, k=400)
    ]
    outcome = dlcli("init", "--effort", "quick", table("city,a,b,rent", *lines), "--target", "rent")
    assert "split: {test: 0.2}" in outcome.out


def test_what_belongs_to_an_entity_is_no_group(table: Table, dlcli: Command) -> None:
    draw = random.Random(8)
    ages = [draw.randint(18, 80) for _ in range(400)]
    lines = [f"{age},{draw.random():.3f},{age + draw.gauss(0, 9):.2f}" for age in ages]
    assert (
        "split: {test: 0.2}"
        in dlcli("init", "--effort", "quick", table("driver_age,a,y", *lines), "--target", "y").out
    )


@pytest.mark.parametrize("is_reversed", [False, True])
def test_sorted_times_are_split_by(is_reversed: bool, table: Table, dlcli: Command) -> None:
    draw = random.Random(2)
    lines = [
        f"2024-{1 + day // 28:02d}-{1 + day % 28:02d},{draw.random():.3f},{draw.random():.3f}"
        for day in range(200)
    ]
    file = table("day,x,y", *(lines[::-1] if is_reversed else lines))
    outcome = dlcli("init", "--effort", "quick", file, "--target", "y", "-o", "c.yaml")
    assert "split: {time: day, test: 0.2}" in Path("c.yaml").read_text()
    word = "decreases" if is_reversed else "increases"
    assert f"check: 'day' {word} from row to row, so the latest rows test" in outcome.err
    assert dlcli("train", "c.yaml", "--smoke").code == 0


def test_of_unsorted_times_the_way_is_shown(table: Table, dlcli: Command) -> None:
    draw = random.Random(3)
    lines = [
        f"2024-{draw.randint(1, 12):02d}-{draw.randint(1, 28):02d},{draw.random():.3f}"
        for _ in range(200)
    ]
    file = table("day,y", *[f"{line},{draw.random():.3f}" for line in lines])
    file.write_text(file.read_text().replace("day,y", "day,x,y", 1))
    outcome = dlcli("init", "--effort", "quick", file, "--target", "y", "-o", "c.yaml")
    assert "split: {test: 0.2}" in Path("c.yaml").read_text()
    assert "to evaluate on the future, set data.split.time: day" in outcome.err
    assert dlcli("train", "c.yaml", "--smoke", "--set", "data.split.time=day").code == 0
    file.write_text(file.read_text().replace("day,x,y", "day,x,sales_next_week", 1))
    text = dlcli("init", "--effort", "quick", file, "--target", "sales_next_week").out
    assert "split: {time: day, test: 0.2}" in text


def test_a_target_over_orders_of_magnitude_is_learned_by_its_logarithm(
    table: Table, dlcli: Command
) -> None:
    """A log-normal target: near the mean relative error of the logarithm taken by hand."""
    draw = random.Random(4)
    rows = []
    for _ in range(300):
        x = draw.gauss(0, 1)
        rows.append((x, math.exp(7 + 1.6 * x + draw.gauss(0, 0.1))))
    table("x,income", *[f"{x:.4f},{income:.2f}" for x, income in rows])
    table("x,income", *[f"{x:.4f},{math.log(income):.6f}" for x, income in rows], name="log.csv")

    def relative_error(name: str, *, is_log: bool) -> float:
        outcome = dlcli(
            "init", "--effort", "quick", name, "--target", "income", "-o", f"{name}.yaml"
        )
        assert ("target_scale: log" in Path(f"{name}.yaml").read_text()) == (not is_log)
        assert ("over orders of magnitude" in outcome.err) == (not is_log)
        assert dlcli("train", f"{name}.yaml", "--run-dir", f"run-{name}").code == 0
        assert dlcli("predict", f"run-{name}", name, "-o", f"out-{name}").code == 0
        with Path(f"out-{name}").open() as file:
            found = [float(row["prediction"]) for row in csv.DictReader(file)]
        found = [math.exp(number) for number in found] if is_log else found
        errors = [abs(p / income - 1) for p, (_, income) in zip(found, rows, strict=True)]
        return sum(errors) / len(errors)

    by_hand = relative_error("log.csv", is_log=True)
    assert relative_error("table.csv", is_log=False) == pytest.approx(by_hand, rel=0.05)
    assert by_hand < 0.2


def test_a_skewed_target_is_told(table: Table, dlcli: Command) -> None:
    draw = random.Random(6)
    amounts = [draw.expovariate(1) ** 2 - 0.5 for _ in range(200)]
    file = table("x,y", *[f"{draw.random():.3f},{amount:.4f}" for amount in amounts])
    outcome = dlcli("init", "--effort", "quick", file, "--target", "y", "-o", "c.yaml")
    assert "check: 'y' is skewed: its median is" in outcome.err
    assert "loss: huber weighs its large errors less" in outcome.err
    assert "target_scale" not in Path("c.yaml").read_text()
    assert dlcli("train", "c.yaml", "--smoke", "--set", "loss=huber").code == 0


def test_the_advice_on_groups_and_times_works(patients: Path, dlcli: Command) -> None:
    """Out of `data.split` for patients that are known; the other column instead of the first."""
    assert dlcli("init", "--effort", "quick", patients, "--target", "y", "-o", "c.yaml").code == 0
    known = dlcli("train", "c.yaml", "--smoke", "--set", "data.split={test: 0.2}")
    assert known.code == 0
    assert re.search(r"patient\s*│ categorical", known.out)
    header, *lines = patients.read_text().splitlines()
    days = [f"2024-{1 + row // 28:02d}-{1 + row % 28:02d}" for row in range(len(lines))]
    dated = [f"{day},{line}" for day, line in zip(days, lines, strict=True)]
    patients.write_text("\n".join([f"day,{header}", *dated]) + "\n")
    found = dlcli("init", "--effort", "quick", patients, "--target", "y", "-o", "both.yaml").err
    assert "replace 'time: day' in data.split with 'group: patient'" in found
    text = Path("both.yaml").read_text()
    assert "split: {time: day, test: 0.2}" in text
    Path("both.yaml").write_text(text.replace("{time: day,", "{group: patient,"))
    assert dlcli("train", "both.yaml", "--smoke").code == 0
    assert dlcli("train", "both.yaml", "--smoke", "--set", "data.split={time: day, test: 0.2}",
                 "--set", "data.features=[a,b,day]").code == 0  # fmt: skip


def test_a_skewed_positive_target_is_told_with_a_way(table: Table, dlcli: Command) -> None:
    draw = random.Random(9)
    lines = [f"{draw.random():.3f},{5 + draw.expovariate(1) ** 2:.4f}" for _ in range(300)]
    found = dlcli(
        "init", "--effort", "quick", table("x,y", *lines), "--target", "y", "-o", "c.yaml"
    ).err
    assert "data.target_scale: log learns relative errors instead, or loss: huber" in found
    assert dlcli("train", "c.yaml", "--smoke", "--set", "data.target_scale=log").code == 0
