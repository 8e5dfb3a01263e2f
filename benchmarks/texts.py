"""What `dlcli init` and `dlcli train` make of texts.

    python -m benchmarks.texts FOLDER          # prints the page
    python -m benchmarks.texts FOLDER --write  # and writes it

FOLDER has `sms.csv`, the SMS Spam Collection (Almeida and Hidalgo; CC BY 4.0; columns `label` and
`text`), and `names.csv`, family names of 18 languages (MIT; columns `name` and `language`).

A fifth of the rows test, drawn anew for each of the seeds 0 to 2. Asked, as medians: an F1 of spam
of at least 0.96; an accuracy of at least 0.86 and a macro F1 of at least 0.55 on names. Logistic
regression on n-grams of characters reaches 0.955 to 0.969, and 0.85 and 0.52.

The page is docs/measurements/texts.md. Each result is a line of benchmarks/texts.jsonl, and what is
there is not measured again. Exits with 1 where something is missed.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.measurement import machine, met, publish

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "measurements" / "texts.md"
RESULTS = ROOT / "benchmarks" / "texts.jsonl"
SEEDS = (0, 1, 2)
TARGETS = {"sms": "label", "names": "language"}
ASKED = {"sms": {"F1 of spam": 0.96}, "names": {"accuracy": 0.86, "macro F1": 0.55}}

HEADER = """# Texts

Made by `python -m benchmarks.texts FOLDER --write`: `dlcli init` and `dlcli train` on texts. A
fifth of the rows test, drawn anew for each seed.

| data | figure | seeds 0, 1, 2 | median | asked | met |
|---|---|---|---|---|---|"""


def run_command(*words: str, folder: Path) -> str:
    """Run dlcli in a folder; return its standard output."""
    done = subprocess.run(
        [sys.executable, "-m", "dlcli", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}: {done.stderr}")
    return done.stdout


def measure(data: Path, seed: int) -> dict[str, float]:
    """Return the test figures of what init writes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        target = TARGETS[data.stem]
        run_command("init", str(data.resolve()), "--target", target, "-o", "c.yaml", folder=folder)
        options = ("--set", f"seed={seed}", "--set", "report=false", "--json")
        test = json.loads(run_command("train", "c.yaml", *options, folder=folder))["test"]
    if data.stem == "names":
        return {"accuracy": test["accuracy"], "macro F1": test["macro_f1"]}
    (_, false), (missed, found) = test["confusion_matrix"]
    return {"F1 of spam": 2 * found / (2 * found + false + missed)}


def remembered(data: Path, seed: int) -> dict[str, float]:
    """Return a result from the file of results, or measure it and add it."""
    key = f"{data.stem} {seed}"
    lines = RESULTS.read_text("utf-8").splitlines() if RESULTS.exists() else []
    for line in lines:
        known: dict[str, Any] = json.loads(line)
        if known.pop("key") == key:
            return known
    found = measure(data, seed)
    with RESULTS.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"key": key, **found}) + "\n")
    print(key, found, file=sys.stderr, flush=True)
    return found


def main() -> None:
    """Measure what is not known yet, and print or write the page."""
    parser = argparse.ArgumentParser(description="What init and train make of texts.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    rows, all_met = [], True
    for name, asked in ASKED.items():
        found = [remembered(options.folder / f"{name}.csv", seed) for seed in SEEDS]
        for figure, least in asked.items():
            values = [one[figure] for one in found]
            median = statistics.median(values)
            all_met &= median >= least
            each = ", ".join(f"{value:.3f}" for value in values)
            rows.append(
                f"| {name} | {figure} | {each} | {median:.3f} | {least} | {met(median, least)} |"
            )
    publish([HEADER, *rows, "", machine()], PAGE, is_written=options.write)
    sys.exit(not all_met)


if __name__ == "__main__":
    main()
