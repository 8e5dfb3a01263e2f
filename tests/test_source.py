"""What linters and type checkers leave to the reader: names assigned twice, imports."""

import ast
import re
import tomllib
from collections.abc import Iterator

import pytest

from tests.conftest import ROOT

FILES = [
    path
    for folder in ("dlcli", "tests", "benchmarks", "data")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if "peers" not in path.parts and ".venv" not in str(path)
]


def assigned_twice(source: str) -> list[str]:
    """Return the names that a module or a class gives a value or a definition more than once."""
    tree = ast.parse(source)
    scopes: list[ast.Module | ast.ClassDef] = [tree]
    scopes += [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    found = []
    for scope in scopes:
        seen: set[str] = set()
        for name in _names(scope.body):
            if name in seen:
                found.append(name)
            seen.add(name)
    return found


def _names(body: list[ast.stmt]) -> Iterator[str]:
    for statement in body:
        match statement:
            case ast.Assign(targets=targets):
                for target in targets:
                    yield from _targets(target)
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                if not any(_is_accessor(decorator) for decorator in statement.decorator_list):
                    yield name


def _targets(target: ast.expr) -> Iterator[str]:
    match target:
        case ast.Name(id=name):
            yield name
        case ast.Tuple(elts=elements):
            for element in elements:
                yield from _targets(element)


def _is_accessor(decorator: ast.expr) -> bool:
    """Whether a decorator makes a definition one of several: overloads, a property's setter."""
    if isinstance(decorator, ast.Attribute):
        return decorator.attr in ("setter", "deleter", "overload", "register")
    return isinstance(decorator, ast.Name) and decorator.id == "overload"


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("_FEW = 30\nx = 1\n_FEW = 200\n", ["_FEW"]),
        ("a, b = 1, 2\nb = 3\n", ["b"]),
        ("def f(): ...\ndef f(): ...\n", ["f"]),
        ("class C:\n    x: int = 1\n    x: int = 2\n", ["x"]),
        (
            "class C:\n    @property\n    def p(self): ...\n    @p.setter\n    def p(self, v): ...",
            [],
        ),
        ("if x:\n    a = 1\nelse:\n    a = 2\n", []),
        ("a = 1\ndef f():\n    a = 2\n", []),
    ],
)
def test_a_second_value_is_noticed(source: str, names: list[str]) -> None:
    assert assigned_twice(source) == names


def test_no_name_is_assigned_twice() -> None:
    found = {str(path.relative_to(ROOT)): assigned_twice(path.read_text("utf-8")) for path in FILES}
    assert {path: names for path, names in found.items() if names} == {}


def test_dlcli_imports_nothing_that_only_developers_have() -> None:
    """Such as scipy, whose import takes longer than a small network's training."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    of_developers = {
        re.split(r"[^\w.-]", name)[0] for name in project["optional-dependencies"]["dev"]
    }
    imported = {
        (path.name, module.split(".")[0])
        for path in FILES
        if path.is_relative_to(ROOT / "dlcli")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for module in _modules(node)
    }
    assert {place for place in imported if place[1] in of_developers - {"dlcli"}} == set()


def _modules(node: ast.Import | ast.ImportFrom) -> list[str]:
    if isinstance(node, ast.ImportFrom):
        return [node.module or ""]
    return [alias.name for alias in node.names]
