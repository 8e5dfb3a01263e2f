"""Columns of images: what a cell means, and which cells can't be used."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image
from pydantic import TypeAdapter

from dlcli.columns.bad_cells import CellError
from dlcli.columns.column_statistics import ColumnStatistics
from dlcli.columns.family import FittedColumn, column_statistics, infer_from, unused_settings
from dlcli.columns.image import ImageColumn
from dlcli.config.sections.data import DataConfig
from dlcli.tables.table import Table

MISSING = ("", "NA")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of three images, a text file and a truncated image."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(3):
        pixels = np.full((4, 6, 3), 40 * number, np.uint8)
        pixels[0, 0] = 255
        Image.fromarray(pixels).save(folder / f"{number}.png")
    (folder / "notes.png").write_text("no image")
    noise = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    Image.fromarray(noise).save(folder / "cut.png")
    whole = (folder / "cut.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    return tmp_path


def table(folder: Path, cells: list[str], first_line: int = 2) -> Table:
    numbers = np.arange(first_line, first_line + len(cells))
    frame = pl.DataFrame({"x": pl.Series(cells)})
    return Table(frame, "f.csv", numbers, "line", folders=(folder,))


def statistics(rows: Table, kind: str | None = "image") -> ColumnStatistics:
    return column_statistics(rows, "x", MISSING, kind=kind)


def fit(rows: Table, **images: object) -> ImageColumn:
    found = statistics(rows)
    ImageColumn.refuse_other(found)
    settings = {"path": "f.csv", "target": "y", "images": {"size": [2, 3], **images}}
    return ImageColumn.fit(found, DataConfig.model_validate(settings))


def names(*numbers: int | str) -> list[str]:
    return [f"photos/{number}.png" for number in numbers]


def test_names_of_images_that_are_there_are_images(photos: Path) -> None:
    found = infer_from(statistics(table(photos, names(0, 1, 2)), None))
    assert (found.kind, found.reason) == (ImageColumn, "names of images, 3 of which are there")
    others = infer_from(statistics(table(photos / "elsewhere", names(0, 1, 2)), None))
    assert others.kind is not ImageColumn
    mixed = infer_from(statistics(table(photos, [*names(0, 1, 2), "a word"]), None))
    assert mixed.kind is not ImageColumn


def test_rows_are_pixels_in_their_order(photos: Path) -> None:
    rows = table(photos, names(2, 0, 1, 0))
    column = fit(rows)
    pixels, unseen = column.encode(rows, MISSING)
    assert (pixels.shape, str(pixels.dtype), unseen) == ((4, 3, 2, 3), "uint8", None)
    assert pixels[:, :, 1, 1].tolist() == [[80] * 3, [0] * 3, [40] * 3, [0] * 3]
    blocks = [column.encode(rows.take(np.array([row])), MISSING)[0] for row in range(4)]
    assert np.concatenate(blocks).tobytes() == pixels.tobytes()
    grey, _ = fit(rows, channels="grey").encode(rows, MISSING)
    assert grey.shape == (4, 1, 2, 3)


def test_statistics_of_blocks_find_the_same_files(photos: Path) -> None:
    cells = [*names(0, "notes"), "NA", *names(1, 9, "notes")]
    whole = statistics(table(photos, cells)).images
    parts = [statistics(table(photos, cells[at : at + 2], at + 2)) for at in (0, 2, 4)]
    assert (parts[0] + parts[1] + parts[2]).images == whole
    assert whole is not None
    assert (whole.num_there, whole.num_unusable) == (4, 4)


def test_each_cell_without_an_image_is_named_with_its_row(photos: Path) -> None:
    rows = table(photos, [*names(0, "notes"), "NA", *names(1, 9)])
    with pytest.raises(CellError) as error:
        fit(rows)
    first, *lines, last = str(error.value).splitlines()
    assert first == "f.csv: column 'x': 3 cells have no image that can be used:"
    assert lines[0].startswith(f"  line 3: {photos}/photos/notes.png: not an image")
    assert lines[1] == "  line 4: the cell is empty"
    assert last.startswith(f"  line 6: {photos}/photos/9.png: there is no such file; mend")
    column = fit(table(photos, names(0)))
    for refused in (column.check, column.encode):
        with pytest.raises(CellError, match="3 cells have no image"):
            refused(rows, MISSING)


def test_of_many_the_first_are_named_and_all_counted(photos: Path) -> None:
    rows = table(photos, [*names(0), *names(*range(10, 22)), *names("notes", "notes")])
    with pytest.raises(CellError) as error:
        fit(rows)
    lines = str(error.value).splitlines()
    assert len(lines) == 12
    assert lines[-1].startswith(
        "  and 4 more: in all, 12 are without a file, 2 are the path of a file that is no image; "
    )


def test_a_truncated_image_is_found_when_it_is_decoded(photos: Path) -> None:
    rows = table(photos, names(0, "cut"))
    column = fit(rows)
    with pytest.raises(CellError, match=r"line 3: .*cut\.png: truncated"):
        column.encode(rows, MISSING)
    assert column.find_bad(table(photos, names(0, 1)), MISSING) == []
    [bad] = column.find_bad(rows, MISSING)
    assert (bad.column, bad.is_needed, bad.rows.tolist()) == ("x", True, [False, True])


def test_missing_cells_can_be_left_to_zeros(photos: Path) -> None:
    column = fit(table(photos, names(1)))
    pixels = column.read(table(photos, [*names(1), ""]), MISSING, fills=True)
    assert pixels[0].any()
    assert not pixels[1].any()


def test_numbers_name_no_images(photos: Path) -> None:
    rows = table(photos, names(0))
    rows = Table(pl.DataFrame({"x": [1, 2]}), "f.parquet", np.arange(2), "row")
    with pytest.raises(CellError, match=r"f\.parquet, row 0: column 'x' has 1 where the path"):
        ImageColumn.refuse_other(statistics(rows))


def test_it_comes_back_equal_from_a_checkpoint(photos: Path) -> None:
    rows = table(photos, names(0, 1))
    column = fit(rows, fit="pad")
    assert TypeAdapter(FittedColumn).validate_json(column.model_dump_json()) == column
    assert column.encoding_in_short(DataConfig(path="f", target="y")) == "2 × 3 RGB, pad"
    assert column.encoding_in_full().startswith("2 × 3 pixels, RGB (pad), scaled by the mean")
    assert column.parts == ("red", "green", "blue")
    assert not column.is_constant(statistics(rows))
    assert column.is_constant(statistics(table(photos, names(0, 0))))
    assert [*unused_settings([column], {"images"})] == []
    assert dict(unused_settings([], {"images"})) == {"images": "no feature is an image"}
