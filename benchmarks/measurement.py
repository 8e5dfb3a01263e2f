"""What the pages of measurements share: the machine, whether a figure is met, printing, writing."""

import os
import platform
from collections.abc import Sequence
from pathlib import Path

import torch


def machine() -> str:
    """Return the cores of this machine, and the versions of Python and PyTorch."""
    return (
        f"{os.cpu_count()} cores, no GPU; Python {platform.python_version()}, PyTorch "
        f"{torch.__version__.partition('+')[0]}"
    )


def met(reached: float, asked: float) -> str:
    """Say whether a figure is met."""
    return "met" if reached >= asked else "missed"


def publish(lines: Sequence[str], page: Path, *, is_written: bool) -> None:
    """Print a page, and write it where that is asked for."""
    print("\n".join(lines))
    if is_written:
        page.write_text("\n".join(lines) + "\n", encoding="utf-8")
