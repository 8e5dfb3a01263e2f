"""The shipped images, and the script that makes them."""

import hashlib
import importlib.util
import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

ROOT = Path(__file__).parent.parent.parent
DATA = ROOT / "data"


@pytest.fixture(scope="module")
def make() -> Any:
    """Load data/make.py, which is in no package."""
    spec = importlib.util.spec_from_file_location("make", DATA / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def files(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*.png")}


def test_the_script_makes_the_shipped_images_byte_for_byte(make: Any, tmp_path: Path) -> None:
    table = make.write_shapes(np.random.default_rng(23), tmp_path / "shapes")
    make.write_digits(pl.read_csv(DATA / "digits.csv"), tmp_path / "digits_png")
    table.write_csv(tmp_path / "shapes.csv")
    for name in ("shapes", "digits_png"):
        assert files(tmp_path / name) == files(DATA / name)
    assert (tmp_path / "shapes.csv").read_bytes() == (DATA / "shapes.csv").read_bytes()


@pytest.mark.parametrize("name", ["shapes", "digits_png"])
def test_the_readme_has_the_checksum_of_each_folder(name: str) -> None:
    written = b"".join(file.read_bytes() for file in sorted((DATA / name).glob("*/*.png")))
    readme = (DATA / "README.md").read_text(encoding="utf-8")
    row = re.search(rf"^\| `{name}/` .*`([0-9a-f]+)` \|$", readme, re.MULTILINE)
    assert row is not None
    assert row[1] == hashlib.sha256(written).hexdigest()


def test_the_table_says_where_each_shape_is() -> None:
    from PIL import Image

    rows = pl.read_csv(DATA / "shapes.csv")
    for row in rows[::10].iter_rows(named=True):
        with Image.open(DATA / row["image"]) as image:
            pixels = np.asarray(image.convert("RGB"), dtype=float)
        colour = np.array([row["red"], row["green"], row["blue"]])
        down, right = np.nonzero(np.abs(pixels - colour).sum(axis=2) < 10)
        places = np.hypot(right + 0.5 - row["x"], down + 0.5 - row["y"])
        assert places.max() <= row["radius"] + 0.5
        assert abs(right.mean() + 0.5 - row["x"]) < 1
        assert abs(down.mean() + 0.5 - row["y"]) < 1
