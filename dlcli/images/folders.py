"""A folder → the image files in it, with the classes and parts that its folders are named after."""

import os
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dlcli.errors import DataError, counted
from dlcli.images.opening import SUFFIXES

PARTS = {  # as people name them, in lower case
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
_SYSTEM_NAMES = ("thumbs.db", "desktop.ini", "ehthumbs.db", "__macosx", "@eadir", "$recycle.bin")
_MAX_SHOWN = 3  # names in a message
_MAX_DEPTH = 32  # of folders within each other in which images are looked for


@dataclass(frozen=True)
class FoundImage:
    """An image file in a folder."""

    path: str  # relative to the folder, with `/`
    label: str | None = None  # the folder of its class
    part: str | None = None  # train, validation or test


@dataclass
class Leftovers:
    """What a folder has beside the images that are rows."""

    hidden: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)  # no images by their names
    empty: list[str] = field(default_factory=list)  # folders of classes
    nested: list[str] = field(default_factory=list)  # folders within those of classes

    def notes(self, root: Path) -> Iterator[str]:
        """Say what is not as in a folder with nothing but a folder of images for each class."""
        if self.others:
            yield (
                f"{root}: {_named('file', self.others)} left out: not image files that are read, "
                "by their names"
            )
        if self.hidden:
            yield f"{root}: {_named('hidden or system file', self.hidden)} left out"
        if self.empty:
            yield (
                f"{root}: {_named('folder', self.empty)} without images, so no row has such a label"
            )
        if self.nested:
            yield (
                f"{root}: {_named('folder', self.nested)} within folders of classes: their images "
                "have the label of the folder around them"
            )


def has_images(root: Path) -> bool:
    """Say whether a folder has image files, or folders of them, also below train and test.

    Folders named `key=value` are not looked into: they are parts of tables, perhaps many.
    """
    return _has_images(root, 2, set(), are_tables_skipped=True)


def find_images(root: Path, leftovers: Leftovers) -> Iterator[FoundImage]:
    """Yield a folder's images, by part, class and name; what is no row is added to the leftovers.

    The images are in folders of their classes; or these are in folders named train, validation and
    test; or there are no folders, and images have no label. Raises DataError for anything between.
    """
    files, folders = _entries(root, root, leftovers)
    images = _only_images(files, root, leftovers)
    with_images = [folder for folder in folders if _has_images(folder, _MAX_DEPTH, set())]
    if images and with_images:
        raise DataError(
            f"{images[0]}: an image beside folders of images, such as {with_images[0]}, so its "
            "label is unknown; move it into the folder of its class, or out of this one"
        )
    parts = _parts_among(folders)
    if parts:
        yield from _images_by_part(root, parts, leftovers)
    elif with_images:
        yield from _images_by_class(root, folders, None, leftovers)
    else:
        leftovers.empty += [_relative(folder, root) for folder in folders]
        yield from (FoundImage(_relative(image, root)) for image in images)


def has_image_suffix(name: str) -> bool:
    """Say whether a file is an image by its name."""
    return os.path.splitext(name)[1].lower() in SUFFIXES  # noqa: PTH122 - ten times as fast


def _images_by_part(
    root: Path, parts: dict[Path, str], leftovers: Leftovers
) -> Iterator[FoundImage]:
    by_part: dict[str, Path] = {}
    for folder, part in parts.items():
        if part in by_part:
            raise DataError(f"{by_part[part]} and {folder}: both are {part} rows; join them")
        by_part[part] = folder
    for part in dict.fromkeys(PARTS.values()):
        if part not in by_part:
            continue
        folder = by_part[part]
        files, folders = _entries(folder, root, leftovers)
        images = _only_images(files, root, leftovers)
        if images:
            raise DataError(
                f"{images[0]}: an image in a folder of {part} rows, where folders of classes are "
                f"expected, so its label is unknown; move it into one, or move {folder} out of "
                f"{root} and predict it with dlcli predict"
            )
        yield from _images_by_class(root, folders, part, leftovers)


def _images_by_class(
    root: Path, folders: Sequence[Path], part: str | None, leftovers: Leftovers
) -> Iterator[FoundImage]:
    labels: dict[str, Path] = {}
    for folder in folders:
        label = unicodedata.normalize("NFC", folder.name)
        if label in labels:
            raise DataError(f"{labels[label]} and {folder}: two folders of one class; join them")
        labels[label] = folder
        is_empty = True
        for image in _images_below(folder, root, leftovers):
            is_empty = False
            yield FoundImage(_relative(image, root), label, part)
        if is_empty:
            leftovers.empty.append(_relative(folder, root))


def _images_below(
    folder: Path, root: Path, leftovers: Leftovers, around: tuple[Path, ...] = ()
) -> Iterator[Path]:
    real = folder.resolve()
    if real in around:
        raise DataError(f"{folder}: a link to a folder that it is in; remove it")
    files, folders = _entries(folder, root, leftovers)
    yield from _only_images(files, root, leftovers)
    for inner in folders:
        leftovers.nested.append(_relative(inner, root))
        yield from _images_below(inner, root, leftovers, (*around, real))


def _parts_among(folders: Sequence[Path]) -> dict[Path, str]:
    """Return the folders that are parts, if they are; a single class may be named `test`, too."""
    parts = {folder: PARTS[name] for folder in folders if (name := folder.name.lower()) in PARTS}
    others = [folder for folder in folders if folder not in parts]
    if len(parts) > 1 and others:
        one, other = list(parts)[:2]
        raise DataError(
            f"{others[0]}: beside {one.name} and {other.name}, which hold the rows of parts; move "
            "it into one of them, if it is a class, or out of this folder"
        )
    return {} if others else parts


def _has_images(
    folder: Path, depth: int, seen: set[Path], *, are_tables_skipped: bool = False
) -> bool:
    """Say whether there is an image in a folder, or so deep below it, but where `seen` already."""
    real = folder.resolve()
    if real in seen:
        return False
    seen.add(real)
    folders = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if _is_hidden(entry.name):
                    continue
                if _is_folder(entry):
                    if are_tables_skipped and "=" in entry.name:
                        continue
                    folders.append(Path(entry.path))
                elif has_image_suffix(entry.name):
                    return True
    except OSError:  # which whoever lists it will say
        return False
    return depth > 0 and any(_has_images(inner, depth - 1, seen) for inner in folders)


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _entries(folder: Path, root: Path, leftovers: Leftovers) -> tuple[list[Path], list[Path]]:
    """Return a folder's files and folders, by name, but for hidden ones; DataError."""
    files, folders = list[Path](), list[Path]()
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"{folder}: cannot read it: {error.strerror or error}") from None
    for entry in found:
        path = Path(entry.path)
        if not _is_text(entry.name):
            raise DataError(f"{str(path)!r}: its name is not UTF-8; rename it")
        if _is_hidden(entry.name):
            leftovers.hidden.append(_relative(path, root))
        else:
            (folders if _is_folder(entry) else files).append(path)
    return files, folders


def _only_images(files: Sequence[Path], root: Path, leftovers: Leftovers) -> list[Path]:
    """Return the images among files by their names."""
    images = [file for file in files if has_image_suffix(file.name)]
    if len(images) < len(files):
        leftovers.others += [_relative(file, root) for file in files if file not in set(images)]
    return images


def _is_hidden(name: str) -> bool:
    """Say whether the system or a program keeps something for itself there."""
    return name.startswith(".") or name.lower() in _SYSTEM_NAMES


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:  # bytes that Python passes through
        return False
    return True


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def _named(noun: str, names: Sequence[str]) -> str:
    more = ", …" if len(names) > _MAX_SHOWN else ""
    verb = "is" if len(names) == 1 else "are"
    return f"{counted(len(names), noun)} ({', '.join(names[:_MAX_SHOWN])}{more}) {verb}"
