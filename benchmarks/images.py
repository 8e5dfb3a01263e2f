"""Images a second, beside torchvision: `python -m benchmarks.images FOLDER [--write]`.

FOLDER has a folder of images for each class. torchvision's part is a script of its own, run by the
Python of `--peer`, which needs torch and torchvision; both programs take turns.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

import numpy as np
import torch
import yaml
from PIL import __version__ as pillow_version

from benchmarks.measurement import machine, met, publish
from benchmarks.streaming import RUN_AND_TELL
from dlcli.config import load_config
from dlcli.images.decoding import decode_many
from dlcli.images.folders import Leftovers, find_images
from dlcli.images.settings import ImageSettings
from dlcli.runs.preparation import prepare
from dlcli.runs.training.train import train
from dlcli.training.loop import EpochResult

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "measurements" / "images.md"
PEER = ROOT / "benchmarks" / "peers" / "with_torchvision.py"
SIDE, BATCH_SIZE = 96, 32
NUM_ROUNDS, NUM_EPOCHS = 5, 4
MIN_DECODING, MIN_FIRST, MIN_LATER = 1.0, 1.0, 2.0
TIMES, MAX_MEMORY = 10, 1.1
_OURS = """
import json, sys
from pathlib import Path
from benchmarks.images import seconds_of_epochs
print(json.dumps(seconds_of_epochs(Path(sys.argv[1]))))
"""


def seconds_of_decoding(folder: Path) -> tuple[int, float]:
    """Return how many images a folder has, and how long decoding them to batches takes."""
    started = time.perf_counter()
    paths = (folder / image.path for image in find_images(folder, Leftovers()))
    decoded = decode_many(paths, ImageSettings(size=(SIDE, SIDE)))
    num_images = 0
    while batch := list(islice(decoded, BATCH_SIZE)):
        arrays = [image for image in batch if isinstance(image, np.ndarray)]
        num_images += len(torch.from_numpy(np.stack(arrays)))
    return num_images, time.perf_counter() - started


def peer_seconds(python: str, folder: Path, part: str, num_passes: int) -> list[float]:
    """Return how long each pass of torchvision's program takes, without its imports."""
    command = [python, PEER, folder, part, SIDE, BATCH_SIZE, num_passes]
    done = subprocess.run(list(map(str, command)), check=True, text=True, capture_output=True)
    seconds: list[float] = json.loads(done.stdout)["seconds"]
    return seconds


def write_config(folder: Path, images: Path) -> Path:
    """Write the config of a linear classifier of images that are flipped and shifted at random."""
    config = {
        "data": {
            "path": str(images.resolve()),
            "target": "label",
            "images": {"size": [SIDE, SIDE]},
        },
        "model": {"layers": [{"type": "flatten"}, {"type": "dense"}]},
        "training": {
            "batch_size": BATCH_SIZE,
            "epochs": NUM_EPOCHS,
            "augment": [{"type": "flip"}, {"type": "shift"}],
            "device": "cpu",
        },
        "report": False,
    }
    path = folder / "images.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


def seconds_of_epochs(config: Path) -> list[float]:
    """Train, and return how long each epoch takes; the first with all that comes before it."""
    started = time.perf_counter()
    seconds: list[float] = []
    for event in train(prepare(load_config(config)), run_dir=config.with_suffix("")):
        if isinstance(event, EpochResult):
            seconds.append(event.seconds if seconds else time.perf_counter() - started)
    return seconds


def compare_decoding(folder: Path, python: str) -> list[str]:
    """Return the table's row on decoding alone."""
    ours, theirs = [], []
    for _ in range(NUM_ROUNDS):
        num_images, seconds = seconds_of_decoding(folder)
        ours.append(num_images / seconds)
        theirs.append(num_images / peer_seconds(python, folder, "decoding", 1)[0])
    return [table_row(f"decoding to {SIDE} × {SIDE}, in batches", ours, theirs, MIN_DECODING)]


def compare_epochs(folder: Path, python: str, num_images: int) -> list[str]:
    """Return the table's rows on the first epoch and the later ones."""
    first: tuple[list[float], list[float]] = ([], [])
    later: tuple[list[float], list[float]] = ([], [])
    for _ in range(NUM_ROUNDS):
        with tempfile.TemporaryDirectory() as name:
            command = [sys.executable, "-c", _OURS, str(write_config(Path(name), folder))]
            done = subprocess.run(command, check=True, text=True, capture_output=True)
        each = (json.loads(done.stdout), peer_seconds(python, folder, "training", NUM_EPOCHS))
        for index, seconds in enumerate(each):
            first[index].append(num_images / seconds[0])
            later[index].append(num_images / statistics.median(seconds[1:]))
    return [
        table_row("the first epoch, from the files on", *first, MIN_FIRST),
        table_row("later epochs", *later, MIN_LATER),
    ]


def compare_memory(folder: Path) -> str:
    """Return the table's row on a folder and on one with as many images ten times, streamed."""
    peaks = []
    for times in (1, TIMES):
        with tempfile.TemporaryDirectory() as name:
            images = Path(name) / "images"
            for image in find_images(folder, Leftovers()):
                for number in range(times):
                    link = images / str(image.label) / f"{number} {Path(image.path).name}"
                    link.parent.mkdir(parents=True, exist_ok=True)
                    link.symlink_to((folder / image.path).resolve())
            config = write_config(Path(name), images)
            overrides = ["data.streaming=true", "training.epochs=2"]
            command = [sys.executable, "-c", RUN_AND_TELL, "train", str(config)]
            command += [word for override in overrides for word in ("--set", override)]
            command += ["--run-dir", str(Path(name) / "run")]
            done = subprocess.run(command, check=True, text=True, capture_output=True)
            peaks.append(int(done.stderr.split()[-1]) / 1024)
    ratio = peaks[1] / peaks[0]
    is_met = "met" if ratio <= MAX_MEMORY else "missed"
    return (
        f"Peak memory of a run of 2 epochs with `data.streaming: true`: {peaks[0]:,.0f} MiB, with "
        f"{TIMES} times the images {peaks[1]:,.0f} MiB: {ratio:.2f} times (at most "
        f"{MAX_MEMORY} asked, {is_met})."
    )


def table_row(title: str, ours: list[float], theirs: list[float], asked: float) -> str:
    """Return images a second of both, and the median of the rounds' ratios."""
    ratios = [one / other for one, other in zip(ours, theirs, strict=True)]
    ratio = statistics.median(ratios)
    return (
        f"| {title} | {statistics.median(ours):,.0f} | {statistics.median(theirs):,.0f} | "
        f"{ratio:.2f} ({min(ratios):.2f} to {max(ratios):.2f}) | ≥ {asked:.1f}, "
        f"{met(ratio, asked)} |"
    )


def main() -> None:
    """Measure, print, and with --write write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="a folder of images for each class")
    parser.add_argument("--peer", default=sys.executable, help="the Python of torchvision's part")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.relative_to(ROOT)}")
    arguments = parser.parse_args()
    num_images = sum(1 for _ in find_images(arguments.folder, Leftovers()))
    lines = [
        "# Images",
        "",
        "Made by `python -m benchmarks.images FOLDER --write`. Images a second, beside PyTorch's",
        "DataLoader with two workers, torchvision's ImageFolder and transforms; the median of",
        f"{NUM_ROUNDS} rounds in which both take turns, and the range of their ratios.",
        "",
        "| part | dlcli | torchvision | ratio | asked |",
        "|---|---|---|---|---|",
        *compare_decoding(arguments.folder, arguments.peer),
        *compare_epochs(arguments.folder, arguments.peer, num_images),
        "",
        "Decoding: without shuffling, to 8 bits. Epochs: a linear classifier of images that are",
        "flipped and shifted at random (`flip`, `shift`; RandomHorizontalFlip, RandomCrop with a",
        "reflected padding), in batches of "
        f"{BATCH_SIZE}; the first is counted from listing the files on, with",
        "the checksum, the statistics and the checkpoint's start, and without imports.",
        "",
        compare_memory(arguments.folder),
        "",
        f"{num_images:,} images; {machine()}, Pillow {pillow_version}.",
    ]
    publish(lines, PAGE, is_written=arguments.write)


if __name__ == "__main__":
    main()
