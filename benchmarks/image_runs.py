"""A whole run on photographs, beside fastai and Keras: `python -m benchmarks.image_runs FOLDER`.

FOLDER has a folder of images for each class, a fifth of which validates. Every program trains the
network that `dlcli init FOLDER` writes for a thousand images and more, for 10 epochs, with the same
augmentations as far as it has them, and is a process of its own from its start to its end, in turn
with the others. --peers names the Python of an environment with what
benchmarks/requirements-images.txt lists; --write writes docs/measurements/image-runs.md.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import yaml

from benchmarks.measurement import machine, publish
from benchmarks.programs import PEERS, ROOT
from dlcli.images.folders import Leftovers, find_images

PAGE = ROOT / "docs" / "measurements" / "image-runs.md"
SIDE, BATCH_SIZE, EPOCHS, LR = 64, 64, 10, 0.003
MAX_RATIO = 0.7
LIBRARIES = {"fastai": "images_with_fastai.py", "Keras": "images_with_keras.py"}


def share_out(images: Path, folder: Path) -> int:
    """Link the images into `train` and, each fifth one of a class, `validation`; return how many.

    They are named after their classes and places, so that no file is there twice.
    """
    found = list(find_images(images, Leftovers()))
    for place, image in enumerate(found):
        part = "train" if place % 5 else "validation"
        link = folder / part / str(image.label) / f"{place}{Path(image.path).suffix.lower()}"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to((images / image.path).resolve())
    return len(found)


def write_config(folder: Path, images: Path) -> Path:
    """Write what `dlcli init` writes for the images, with so many epochs, each of which counts."""
    path = folder / "images.yaml"
    init = ["-m", "dlcli", "init", str(images), "-o", str(path)]
    subprocess.run([sys.executable, *init], check=True, capture_output=True)
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    config["training"] |= {"epochs": EPOCHS, "batch_size": BATCH_SIZE}
    config["training"]["early_stopping"] = {"patience": EPOCHS}
    config["schedule"] = {"type": "cosine", "warmup_epochs": EPOCHS / 10}
    path.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    return path


def run_dlcli(config: Path) -> float:
    """Train as anyone would; return the accuracy on the validation images."""
    run = config.parent / "run"
    command = [sys.executable, "-m", "dlcli", "train", str(config), "--run-dir", str(run)]
    subprocess.run(command, check=True, capture_output=True)
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    accuracy: float = json.loads(lines[-1])["validation"]["accuracy"]
    return accuracy


def run_peer(python: Path, script: str, images: Path, out: Path) -> float:
    """Train with another library; return the accuracy on the validation images."""
    command = [python, PEERS / script, images, out, SIDE, BATCH_SIZE, EPOCHS, LR]
    done = subprocess.run([*map(str, command)], check=True, capture_output=True, text=True)
    accuracy: float = json.loads(done.stdout.splitlines()[-1])["accuracy"]
    return accuracy


def main() -> None:
    """Measure, print, and with --write write the page."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="a folder of images for each class")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", type=Path, default=ROOT / "benchmarks/.venv-images/bin/python")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.relative_to(ROOT)}")
    arguments = parser.parse_args()
    seconds: dict[str, list[float]] = {}
    accuracies: dict[str, list[float]] = {}
    for number in range(arguments.rounds):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            images = folder / "images"
            num_images = share_out(arguments.folder, images)
            config = write_config(folder, images)
            programs: dict[str, Callable[[], float]] = {"dlcli": partial(run_dlcli, config)}
            for library, script in LIBRARIES.items():
                programs[library] = partial(run_peer, arguments.peers, script, images, folder)
            for program, run in programs.items():
                begun = time.perf_counter()
                accuracies.setdefault(program, []).append(run())
                seconds.setdefault(program, []).append(time.perf_counter() - begun)
                print(
                    f"round {number + 1}: {program} {seconds[program][-1]:.1f} s", file=sys.stderr
                )
    rows = []
    for program, found in seconds.items():
        ratio, asked = "–", "–"
        if program != "dlcli":
            ratios = [ours / other for ours, other in zip(seconds["dlcli"], found, strict=True)]
            middle = statistics.median(ratios)
            ratio = f"{middle:.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
            asked = f"≤ {MAX_RATIO}, {'met' if middle <= MAX_RATIO else 'missed'}"
        accuracy = statistics.median(accuracies[program])
        rows.append(
            f"| {program} | {statistics.median(found):.1f} s | {accuracy:.1%} | {ratio} | {asked} |"
        )
    lines = [
        "# A whole run on photographs",
        "",
        "Made by `python -m benchmarks.image_runs FOLDER --write`: the network that `dlcli init`",
        f"writes, {EPOCHS} epochs, on images of {SIDE} × {SIDE} pixels, rotated, scaled, shifted",
        "and changed in colour at random, as the documentations of fastai and Keras have it; from",
        "the start of each process to its end, with imports, a validation each epoch and the model",
        f"saved. Medians of {arguments.rounds} rounds in which all take turns; ratios are of the",
        "same round, with their range.",
        "",
        "| program | seconds | accuracy | dlcli / it | asked |",
        "|---|---|---|---|---|",
        *rows,
        "",
        f"{num_images:,} images; {machine()}.",
    ]
    publish(lines, PAGE, is_written=arguments.write)


if __name__ == "__main__":
    main()
