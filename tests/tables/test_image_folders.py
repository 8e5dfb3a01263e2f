"""Folders of images as tables: a row for each image, with its class and its part."""

import os
import shutil
from pathlib import Path

import pytest

from dlcli.columns.family import column_statistics
from dlcli.config.sections.data import DataConfig
from dlcli.errors import DataError
from dlcli.tables.reading import checksum, read_table
from dlcli.tables.sources import find_source
from dlcli.tables.table import Table
from dlcli.targets.class_target import ClassTarget
from dlcli.targets.family import fit_target, infer_task
from tests.conftest import Command


def read(*words: str) -> Table:
    return read_table(find_source(words[0] if len(words) == 1 else words))


def refusal(*words: str) -> str:
    with pytest.raises(DataError) as caught:
        read(*words)
    return str(caught.value)


def touch(*paths: str) -> None:
    """Make files with a few bytes each; nothing is decoded here."""
    for path in map(Path, paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(str(path).encode())


def test_a_folder_of_classes_is_a_table_of_paths_and_labels() -> None:
    touch("pets/dog/b.JPG", "pets/dog/a.png", "pets/cat/1.jpeg", "pets/01/ü.webp", "pets/NA/x.gif")
    table = read("pets")
    assert table.frame.columns == ["image", "label"]
    assert table.frame.rows() == [
        ("01/ü.webp", "01"),
        ("NA/x.gif", "NA"),
        ("cat/1.jpeg", "cat"),
        ("dog/a.png", "dog"),
        ("dog/b.JPG", "dog"),
    ]
    assert table.place(3) == "pets, image 4"
    assert table.folder_of(int(table.numbers[3])) == Path("pets")
    assert not table.notes


def test_classes_with_numbers_for_names_are_classes() -> None:
    touch(*(f"ages/{age}/{image}.png" for age in range(30) for image in "abc"))
    statistics = column_statistics(read("ages"), "label", ("",), wants_labels=True)
    assert infer_task(statistics) == ("multiclass", "30 different labels")


@pytest.mark.parametrize(
    ("names", "first"),
    [(("train", "validation", "test"), "a"), (("Train", "val"), "b"), (("test", "valid"), "c")],
)
def test_folders_of_parts_are_a_column(names: tuple[str, ...], first: str) -> None:
    touch(*(f"pets/{name}/{label}/1.png" for name in names for label in (first, "z")))
    table = read("pets")
    assert table.frame.columns == ["image", "label", "part"]
    full = {"Train": "train", "val": "validation", "valid": "validation"}
    expected = {(f"{name}/{first}/1.png", first, full.get(name, name)) for name in names}
    assert expected <= set(table.frame.rows())
    assert len(table) == 2 * len(names)


def test_a_class_may_be_named_like_a_part() -> None:
    touch("toys/train/1.png", "toys/car/1.png")
    assert read("toys").frame["label"].to_list() == ["car", "train"]


def test_parts_of_a_folder_must_be_split_by_or_kept(dlcli: Command) -> None:
    touch(*(f"pets/{part}/{label}/1.png" for part in ("train", "test") for label in "ab"))
    Path("c.yaml").write_text(
        "data: {path: pets, target: label}\nmodel: {layers: [{type: dense}]}\n", encoding="utf-8"
    )
    said = dlcli("validate", "c.yaml").err
    assert "pets has folders of parts, so write `split: {column: part}`" in said
    for advice in ("data.split={column: part}", "data.keep=[part]"):
        assert "folders of parts" not in dlcli("validate", "c.yaml", "--set", advice).err


def test_what_is_no_row_is_named() -> None:
    touch("pets/cat/1.png", "pets/cat/notes.txt", "pets/cat/IMG.HEIC", "pets/README.md")
    touch("pets/.DS_Store", "pets/cat/Thumbs.db", "pets/dog/inside/deep/2.png", "pets/.git/3.png")
    Path("pets/bird/none").mkdir(parents=True)
    table = read("pets")
    assert table.frame.rows() == [("cat/1.png", "cat"), ("dog/inside/deep/2.png", "dog")]
    assert table.notes == (
        "pets: 3 files (README.md, cat/IMG.HEIC, cat/notes.txt) are left out: not image files that "
        "are read, by their names",
        "pets: 3 hidden or system files (.DS_Store, .git, cat/Thumbs.db) are left out",
        "pets: 1 folder (bird) is without images, so no row has such a label",
        "pets: 3 folders (bird/none, dog/inside, dog/inside/deep) are within folders of classes: "
        "their images have the label of the folder around them",
    )


def test_an_image_beside_classes_is_refused() -> None:
    touch("pets/cat/1.png", "pets/2.png")
    said = refusal("pets")
    assert said.startswith("pets/2.png: an image beside folders of images, such as pets/cat, so")
    assert said.endswith("move it into the folder of its class, or out of this one")
    shutil.move("pets/2.png", "pets/cat/2.png")
    assert len(read("pets")) == 2


def test_an_image_in_a_part_without_classes_is_refused() -> None:
    touch("pets/train/cat/1.png", "pets/test/2.png")
    assert "pets/test/2.png: an image in a folder of test rows" in refusal("pets")
    shutil.move("pets/test", "unlabelled")
    assert read("pets").frame["part"].to_list() == ["train"]
    assert read("unlabelled").frame.rows() == [("2.png",)]


def test_a_folder_beside_parts_and_two_folders_of_one_part_are_refused() -> None:
    touch("pets/train/cat/1.png", "pets/test/cat/2.png", "pets/more/cat/3.png")
    assert refusal("pets").startswith("pets/more: beside test and train, which hold the rows of")
    shutil.rmtree("pets/more")
    touch("pets/val/cat/4.png", "pets/validation/cat/5.png")
    assert refusal("pets") == "pets/val and pets/validation: both are validation rows; join them"


def test_a_table_beside_images_is_refused() -> None:
    touch("pets/cat/1.png")
    Path("pets/labels.csv").write_text("image,age\ncat/1.png,3\n", encoding="utf-8")
    assert refusal("pets") == (
        "pets/labels.csv: a table beside images; to read its rows, name it, or a pattern such as "
        "pets/*.csv; to read the images alone, move it out of the folder"
    )
    assert read("pets/labels.csv").frame["age"].to_list() == ["3"]
    assert read("pets/*.csv").frame["age"].to_list() == ["3"]
    Path("pets/labels.csv").unlink()
    assert len(read("pets")) == 1


def test_a_folder_without_images_is_refused() -> None:
    Path("empty").mkdir()
    assert refusal("empty") == "empty: a folder without files of rows, and without images"


def test_names_that_are_no_text_and_links_in_a_circle_are_refused() -> None:
    touch("pets/cat/1.png")
    Path("pets/cat/again").symlink_to(Path("pets/cat").resolve())
    assert refusal("pets") == "pets/cat/again: a link to a folder that it is in; remove it"
    Path("pets/cat/again").unlink()
    Path(os.fsdecode(b"pets/cat/\xff.png")).touch()
    assert refusal("pets").endswith("its name is not UTF-8; rename it")


def test_images_without_classes_and_images_by_name_have_no_label() -> None:
    touch("new/1.png", "new/2.jpg", "new/readme.txt")
    for words, expected in (
        (["new"], ["1.png", "2.jpg"]),
        (["new/1.png"], ["new/1.png"]),
        (["new/2.jpg", "new/1.png"], ["new/2.jpg", "new/1.png"]),
        (["new/*.png"], ["new/1.png"]),
    ):
        table = read(*words)
        assert table.frame.columns == ["image"]
        assert table.frame["image"].to_list() == expected
        folder = table.folder_of(int(table.numbers[0]))
        assert (folder / expected[0]).is_file()
    assert refusal("new/3.png") == "new/3.png: there is no such file"
    assert refusal("new/1.png", "new/../new/1.png").endswith(
        "listed twice, so it would count twice"
    )


def test_several_folders_of_images_are_one_table() -> None:
    touch("one/cat/1.png", "two/dog/1.png")
    table = read("one", "two")
    assert table.frame["label"].to_list() == ["cat", "dog"]
    assert [table.place(row) for row in range(2)] == ["one, image 1", "two, image 1"]
    assert [table.folder_of(int(number)) for number in table.numbers] == [Path("one"), Path("two")]


def test_the_checksum_notices_each_change_of_an_image_and_nothing_else() -> None:
    touch("pets/cat/1.png", "pets/dog/2.png")
    before = checksum(find_source("pets"))
    touch("pets/.DS_Store", "pets/cat/notes.txt")
    os.utime("pets/cat/1.png", (0, 0))
    assert checksum(find_source("pets")) == before
    found = {before}
    image = Path("pets/cat/1.png")
    image.write_bytes(image.read_bytes()[::-1])
    found.add(checksum(find_source("pets")))
    image.rename("pets/cat/3.png")
    found.add(checksum(find_source("pets")))
    shutil.move("pets/dog/2.png", "pets/cat/2.png")
    found.add(checksum(find_source("pets")))
    touch("pets/cat/4.png")
    found.add(checksum(find_source("pets")))
    assert len(found) == 5


def test_labels_that_look_missing_or_like_numbers_are_classes() -> None:
    touch(*(f"pets/{label}/{image}.png" for label in ("NA", "01", "1") for image in "ab"))
    config = DataConfig(path="pets", target="label")
    form = config.text_format
    rows = read_table(find_source("pets"), form)
    statistics = column_statistics(rows, "label", form.missing_values, wants_labels=True)
    target = fit_target(statistics, "multiclass", config.settings_of("label"))
    assert isinstance(target, ClassTarget)
    assert set(target.classes) == {"NA", "01", "1"}
