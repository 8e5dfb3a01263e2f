"""Which product files name a part besides its own file: `python -m tests.family_names`.

A family is a room of dlcli/ with a `base.py`; its members stand in one tuple. A file names a member
where it imports its class or decides by its type: compares with it, matches it, or has it as a key,
in a set or in a Literal. Settings that are written as data, as in `{"type": "adamw"}`, don't count.
"""

import ast
import importlib
import inspect
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from tests.conftest import ROOT

PRODUCT = ROOT / "dlcli"
_TAGS = ("type", "kind", "name")  # what a member is called by in a config or on the screen
# Where the word for a member means something else, by the beginnings of paths.
_HOMONYMS: dict[tuple[str, str], tuple[str, ...]] = {
    # what a setting is where dlcli chooses
    ("augmentations", "auto"): ("config/", "data/", "runs/", "training/"),
    # the setting data.scale, what fp16 multiplies losses by, and a layer
    ("augmentations", "scale"): (
        "columns/numeric.py",
        "layers/elementwise.py",
        "runs/drafting/draft.py",
        "runs/drafting/standard.py",
        "training/device.py",
    ),
    # types of JSON and of labels
    ("columns", "boolean"): ("config/reference.py", "targets/class_target.py"),
    # a sort of cells, as JSON's keys and of labels
    ("columns", "text"): (
        "tables/text/headers.py",
        "targets/class_target.py",
        "trials/comparing/document.py",
    ),
    # what a recurrent layer returns
    ("columns", "sequence"): ("layers/recurrent/", "runs/drafting/texts.py"),
    # the setting of other layers, as a key
    ("layers", "activation"): (
        "columns/image.py",
        "layers/blocks/kinds.py",
        "runs/combinations/inputs.py",
        "runs/combinations/parts.py",
        "runs/drafting/beside_images.py",
        "runs/drafting/best.py",
        "runs/drafting/image_files.py",
        "runs/drafting/images.py",
        "runs/drafting/quick.py",
        "runs/drafting/realmlp.py",
        "runs/drafting/texts.py",
    ),
    # how inputs are joined, and positions pooled
    ("layers", "attention"): (
        "explaining/learning/regularisation.py",
        "layers/joining/joins.py",
        "layers/time/pool_time.py",
    ),
    # the setting data.scale, what fp16 multiplies losses by, and an augmentation
    ("layers", "scale"): (
        "augmentations/geometry.py",
        "columns/numeric.py",
        "runs/drafting/draft.py",
        "runs/drafting/standard.py",
        "training/device.py",
    ),
    # the scale of columns, by rank
    ("losses", "quantile"): ("columns/scaling/scales.py",),
    # the loss of that name
    ("metrics", "mae"): ("losses/regression.py",),
    # JSON's type, sorts of cells and of times, and the axes of pictures
    ("targets", "number"): (
        "columns/base.py",
        "columns/labels.py",
        "config/reference.py",
        "data/survey/roles.py",
        "data/survey/survey.py",
        "explaining/reasons/boundary.py",
        "report/explanation/partial_dependence.py",
        "tables/text/headers.py",
        "texts/counts.py",
    ),
    # the number of a step, and torch.optim's key of the number of steps
    ("schedules", "step"): ("runs/rates.py", "training/optimizers.py"),
}


@dataclass(frozen=True)
class Member:
    """A part of a family."""

    family: str
    name: str  # of its class
    tag: str  # by which configs or results call it
    path: str  # in dlcli/


def families() -> dict[str, list[Member]]:
    """Return the members of each family that dlcli has."""
    rooms = [base.parent.name for base in sorted(PRODUCT.glob("*/base.py"))]
    found = {room: _members(room) for room in rooms}
    return {room: members for room, members in found.items() if members}


def _members(room: str) -> list[Member]:
    """Return what stands in the one tuple of classes of a room."""
    package = importlib.import_module(f"dlcli.{room}")
    modules = [package]
    if (PRODUCT / room / "family.py").exists():
        modules.append(importlib.import_module(f"dlcli.{room}.family"))
    tuples = {
        value
        for module in modules
        for key, value in vars(module).items()
        if key.isupper() and isinstance(value, tuple) and value
        if all(
            isinstance(item, type) and item.__module__.startswith(package.__name__)
            for item in value
        )
    }
    largest = max(tuples, key=len, default=())
    return [
        Member(room, member.__name__, _tag(member), _path(inspect.getfile(member)))
        for member in largest
    ]


def _tag(member: Any) -> str:
    for key in _TAGS:
        field = getattr(member, "model_fields", {}).get(key)
        if field is not None and get_origin(field.annotation) is Literal:
            return str(get_args(field.annotation)[0])
        if isinstance(vars(member).get(key), str):
            return str(vars(member)[key])
    return str(member.__name__)


def _path(file: str | Path) -> str:
    return str(Path(file).resolve().relative_to(PRODUCT))


@cache
def naming_files() -> dict[Member, list[str]]:
    """Return, for each member, the files of the product that name it besides its own."""
    found: dict[Member, list[str]] = {
        member: [] for members in families().values() for member in members
    }
    for file in sorted(PRODUCT.rglob("*.py")):
        tree, path = ast.parse(file.read_text("utf-8")), _path(file)
        classes, tags = set(imported_names(tree)), set(deciding_strings(tree))
        for member, files in found.items():
            elsewhere = _HOMONYMS.get((member.family, member.tag), ())
            decides = member.tag in tags and not path.startswith(elsewhere)
            if path != member.path and (decides or (member.family, member.name) in classes):
                files.append(path)
    return found


def imported_names(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield each name that is taken from a room, by import or as an attribute of its modules."""
    modules: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("dlcli"):
            parts = f"{node.module}.".split(".")
            for alias in node.names:
                yield parts[1], alias.name
                modules[alias.asname or alias.name] = parts[1] or alias.name
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith("dlcli."):
                    modules[alias.asname or "dlcli"] = alias.name.split(".")[1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            first = node.value
            while isinstance(first, ast.Attribute):
                first = first.value
            if isinstance(first, ast.Name) and first.id in modules:
                yield modules[first.id], node.attr


def deciding_strings(tree: ast.AST) -> Iterator[str]:
    """Yield the strings that are compared with, matched, keys of a mapping, in a set or Literal."""
    for node in ast.walk(tree):
        match node:
            case ast.Compare():
                yield from _strings(node.left, *node.comparators)
            case ast.MatchValue():
                yield from _strings(node.value)
            case ast.Dict():
                yield from _strings(*(key for key in node.keys if key is not None))
            case ast.Set():
                yield from _strings(*node.elts)
            case ast.Subscript(value=ast.Name(id="Literal")):
                yield from _strings(node.slice)
            case _:
                pass


def _strings(*nodes: ast.expr) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.Tuple | ast.List | ast.Set):
            yield from _strings(*node.elts)


def main() -> int:
    """Print them all; return 1 where a member is named in more than one file."""
    found = naming_files()
    for member, files in found.items():
        print(f"{member.family} {member.tag}: {', '.join(files) or 'nowhere'}")
    return int(any(len(files) > 1 for files in found.values()))


if __name__ == "__main__":
    sys.exit(main())
