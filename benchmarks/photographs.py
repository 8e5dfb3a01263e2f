"""What `dlcli init` makes of a folder of photographs, and what other classes teach a network.

    python -m benchmarks.photographs --signs FOLDER          # prints the page
    python -m benchmarks.photographs --signs FOLDER --write  # and writes it

FOLDER has the Sign Language Digits Dataset, github.com/ardamavi/Sign-Language-Digits-Dataset: 2,062
photographs of hands, in a folder for each of ten digits.

1. `dlcli init FOLDER` and `dlcli train`, as commands, with seeds 0 to 2, which draw the split, too.
   Asked: at least 97 % of the test images right, median of the seeds, in six minutes on two cores:
   720 CPU seconds, whatever else the machine does.
2. `model.start_from`: a network learns the classes 0 to 4; then one learns the classes 5 to 9 from
   20 images each, beginning with its weights, and one from the same images without. Both are
   judged on all other images of 5 to 9. Asked of the photographs: a gain whose 95 % interval, over
   draws of the 20 images, is above 0. Beside them, the shipped digits of 8×8 pixels.

The page is docs/measurements/photographs.md. Each result is a line of benchmarks/photographs.jsonl,
and what is there is not measured again. Exits with 1 where something is missed.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measurement import machine, met, publish
from dlcli.config import load_config
from dlcli.runs.drafting.draft import draft_config
from dlcli.runs.preparation import prepare
from dlcli.runs.training.events import TrainingFinished
from dlcli.runs.training.train import train
from dlcli.student_t import central_quantile

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "measurements" / "photographs.md"
RESULTS = ROOT / "benchmarks" / "photographs.jsonl"
NUM_SEEDS, NUM_DRAWS, NUM_EACH = 3, 6, 20
ACCURACY, CPU_SECONDS = 0.97, 720.0
FIRST, SECOND = "01234", "56789"  # classes

HEADER = """# Images

Made by `python -m benchmarks.photographs --signs FOLDER --write`, on the Sign Language Digits
Dataset (Dikle and Mavi; Apache-2.0): 2,062 photographs of hands that show a digit.
"""

INIT_HEADER = f"""## What `dlcli init` writes

`dlcli init FOLDER` and `dlcli train`; a fifth of the images test, drawn anew for each seed. Asked:
a median of at least {ACCURACY} in 6 minutes on two cores, {CPU_SECONDS:.0f} CPU seconds.

| seed | test accuracy | CPU seconds | minutes, beside other work |
|---|---|---|---|"""

TRANSFER_HEADER = f"""## Starting from other classes

A network learns the digits 0 to 4. Then two learn 5 to 9 from {NUM_EACH} images each, one with
`model.start_from`, one from random weights; both are judged on all other images of 5 to 9. The
configs are those of `dlcli init --effort quick`. Means over {NUM_DRAWS} draws of the images, which
also draw the seed; the interval of the gain (95 %) is Student's, of the differences within draws.
All draws of a data set start from one run. Asked of the photographs: an interval above 0.

| images | from random weights | started | gain | interval | above 0 |
|---|---|---|---|---|---|"""


def remembered(key: str, measure: Callable[[], dict[str, float]]) -> dict[str, float]:
    """Return a result from the file of results, or measure it and add it."""
    if RESULTS.exists():
        for line in RESULTS.read_text(encoding="utf-8").splitlines():
            found: dict[str, Any] = json.loads(line)
            if found.pop("key") == key:
                return found
    result = measure()
    with RESULTS.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"key": key, **result}) + "\n")
    print(key, result, file=sys.stderr, flush=True)
    return result


def run_command(*words: str, folder: Path) -> str:
    """Run dlcli in a folder; return its standard output."""
    command = [sys.executable, "-m", "dlcli", *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}: {done.stderr}")
    return done.stdout


def init_and_train(images: Path, seed: int) -> dict[str, float]:
    """Return the test accuracy of what init writes, and what both commands take."""

    def cpu() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    begun, worked = time.perf_counter(), cpu()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run_command("init", str(images), "-o", "signs.yaml", folder=folder)
        summary = json.loads(
            run_command("train", "signs.yaml", "--set", f"seed={seed}", "--json", folder=folder)
        )
    return {
        "accuracy": summary["test"]["accuracy"],
        "cpu": cpu() - worked,
        "seconds": time.perf_counter() - begun,
    }


def link_images(images: Path, folder: Path, classes: str, draw: int | None) -> None:
    """Make a folder of links to images of some classes; of a draw, with train and test in it."""
    for label in classes:
        files = sorted(file.resolve() for file in (images / label).iterdir())
        if draw is not None:
            order = np.random.default_rng([draw, int(label)]).permutation(len(files))
            files = [files[index] for index in order]
        for place, file in enumerate(files):
            part = "" if draw is None else "train" if place < NUM_EACH else "test"
            (folder / part / label).mkdir(parents=True, exist_ok=True)
            (folder / part / label / file.name).symlink_to(file)


def quick_run(images: Path, run: Path, *overrides: str) -> float:
    """Train what init writes for quick training; return the test accuracy."""
    config = run.parent / f"{run.name}.yaml"
    draft = draft_config(str(images), "", folder=run.parent, name=config.name, effort="quick")
    config.write_text(draft.text, encoding="utf-8")
    loaded = load_config(config, ["report=false", *overrides])
    *_, finished = train(prepare(loaded), run_dir=run)
    assert isinstance(finished, TrainingFinished)
    return float(finished.summary["test"]["accuracy"])


def transfer(images: Path, draw: int, folder: Path) -> dict[str, float]:
    """Return the test accuracies of a draw's images, from random weights and started."""
    source = folder / "source"
    if not source.exists():
        link_images(images, folder / "first", FIRST, None)
        quick_run(folder / "first", source)
    drawn = folder / f"draw{draw}"
    link_images(images, drawn, SECOND, draw)
    seed = f"seed={draw}"
    fresh = quick_run(drawn, folder / f"fresh{draw}", seed)
    started = quick_run(drawn, folder / f"started{draw}", seed, f"model.start_from={source}")
    return {"fresh": fresh, "started": started}


def init_lines(signs: Path) -> tuple[list[str], bool]:
    """Return the table of what init writes, and whether it is good enough."""
    results = [
        remembered(f"init {seed}", lambda seed=seed: init_and_train(signs, seed))  # type: ignore[misc]
        for seed in range(NUM_SEEDS)
    ]
    lines = [
        f"| {seed} | {found['accuracy']:.4f} | {found['cpu']:.0f} | {found['seconds'] / 60:.1f} |"
        for seed, found in enumerate(results)
    ]
    accuracy = statistics.median(found["accuracy"] for found in results)
    cpu = max(found["cpu"] for found in results)
    is_met = accuracy >= ACCURACY and cpu <= CPU_SECONDS
    lines += [
        "",
        f"Median accuracy {accuracy:.4f}: {met(accuracy, ACCURACY)}. At most {cpu:.0f} CPU seconds:"
        f" {met(CPU_SECONDS, cpu)}.",
        "",
    ]
    return lines, is_met


def transfer_line(name: str, images: Path) -> tuple[str, bool]:
    """Return a data set's row, and whether starting from other classes helps."""
    with tempfile.TemporaryDirectory() as folder:
        results = [
            remembered(
                f"transfer {name} {draw}",
                lambda draw=draw: transfer(images, draw, Path(folder)),  # type: ignore[misc]
            )
            for draw in range(NUM_DRAWS)
        ]
    gains = [found["started"] - found["fresh"] for found in results]
    fresh, started = (
        statistics.mean(found[key] for found in results) for key in ("fresh", "started")
    )
    gain = statistics.mean(gains)
    error = statistics.stdev(gains) / len(gains) ** 0.5
    half = central_quantile(0.95, len(gains) - 1) * error
    row = (
        f"| {name} | {fresh:.4f} | {started:.4f} | {gain:+.4f} | {gain - half:+.4f} to "
        f"{gain + half:+.4f} | {'yes' if gain > half else 'no'} |"
    )
    return row, gain > half


def main() -> None:
    """Measure, print, and with --write write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--signs", type=Path, required=True, help="the folder of photographs")
    parser.add_argument("--write", action="store_true", help="write the page")
    arguments = parser.parse_args()
    signs = arguments.signs.resolve()
    lines, is_met = init_lines(signs)
    lines = [HEADER, *INIT_HEADER.splitlines(), *lines, *TRANSFER_HEADER.splitlines()]
    for name, images in (("photographs", signs), ("shipped digits", ROOT / "data" / "digits_png")):
        line, helps = transfer_line(name, images)
        lines.append(line)
        is_met &= helps or images != signs
    lines += ["", f"{machine()}; a load of {os.getloadavg()[0]:.0f}."]
    publish(lines, PAGE, is_written=arguments.write)
    sys.exit(not is_met)


if __name__ == "__main__":
    main()
