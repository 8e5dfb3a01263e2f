"""Images a second, beside torchvision: `python -m benchmarks.images FOLDER [--write]`.

FOLDER has a folder of images for each class. torchvision's part is a script of its own, run by the
Python of `--peer`, which needs torch and torchvision; both programs take turns.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from PIL import __version__ as pillow_version

from benchmarks.measurement import machine, met, publish
from dlcli.images.decoding import decode_many
from dlcli.images.folders import Leftovers, find_images
from dlcli.images.settings import ImageSettings

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "measurements" / "images.md"
PEER = ROOT / "benchmarks" / "peers" / "with_torchvision.py"
SIDE, BATCH_SIZE = 96, 32
NUM_ROUNDS = 5
MIN_DECODING = 1.0


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


def compare_decoding(folder: Path, python: str) -> str:
    """Return a row of the table: images a second of both, and the median of the rounds' ratios."""
    ours, theirs = [], []
    for _ in range(NUM_ROUNDS):
        num_images, seconds = seconds_of_decoding(folder)
        ours.append(num_images / seconds)
        theirs.append(num_images / peer_seconds(python, folder, "decoding", 1)[0])
    ratios = [one / other for one, other in zip(ours, theirs, strict=True)]
    ratio = statistics.median(ratios)
    return (
        f"| decoding to {SIDE} × {SIDE}, in batches | {statistics.median(ours):,.0f} | "
        f"{statistics.median(theirs):,.0f} | {ratio:.2f} ({min(ratios):.2f} to {max(ratios):.2f}) "
        f"| ≥ {MIN_DECODING:.1f}, {met(ratio, MIN_DECODING)} |"
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
        compare_decoding(arguments.folder, arguments.peer),
        "",
        f"{num_images:,} images; {machine()}, Pillow {pillow_version}.",
    ]
    publish(lines, PAGE, is_written=arguments.write)


if __name__ == "__main__":
    main()
