"""Words that names, messages and docs of the product don't use, and what to write instead."""

import io
import keyword
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

# Patterns in text (comments, strings, Markdown), without regard to case.
PHRASES = {
    r"endless": "not finite",
    r"moments, truths": "datetimes, booleans",
    r"truths": "booleans",
    r"one answer for all": "majority-class baseline, mean baseline",
    r"constant answer": "constant baseline",
    r"learned by heart": "memorised",
    r"what training makes small": "the loss that is minimised",
    r"how the weights follow the gradient": "the update rule",
    r"asked rows": "sampled rows",
    r"is no loss for": "doesn't fit",
    r"network's answers?": "the network's predictions",
    r"must answer with": "outputs",
    r"what every [\w ]+ answers": "the interface of all …",
    r"to be looked at": "check",
    r"gives? the answer away": "target leakage",
}
# Constants that begin with these; the config's `most_lrs` and its like are no constants.
PREFIXES = {"MOST": "MAX", "FEWEST": "MIN"}
# Names in code, by the words between their underscores and capitals.
NAMES = {
    "own": "the thing's name",
    "endless": "not_finite",
    "truths": "booleans",
    "answers": "predictions",
    "answer": "prediction",
    "asked": "sampled, requested",
    "told": "logged, reported",
    "telling": "reporting",
    "rises": "importance",
    "oddities": "unseen",
}
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs" / "guides").glob("*.md")),
    *sorted((ROOT / "docs" / "reference").glob("*.md")),
    *sorted((ROOT / "docs" / "measurements").glob("*.md")),
]
MODULES = sorted((ROOT / "dlcli").rglob("*.py"))


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def phrases_in(text: str) -> Iterator[str]:
    flat = " ".join(text.split())
    for pattern, instead in PHRASES.items():
        if re.search(rf"\b{pattern}\b", flat, re.IGNORECASE):
            yield f"'{pattern}': write {instead}"


def parts_of(name: str) -> set[str]:
    """Return the words of a name: num_rows, RunFolder → num, rows, run, folder."""
    return {part.lower() for part in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}


@pytest.mark.parametrize("module", MODULES, ids=relative)
def test_code_uses_the_words_of_the_field(module: Path) -> None:
    text = module.read_text("utf-8")
    found = list(phrases_in(text))
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.NAME and not keyword.iskeyword(token.string):
            place = f"line {token.start[0]}: {token.string}"
            unwanted = parts_of(token.string) & NAMES.keys()
            found.extend(f"{place}: write {NAMES[word]}" for word in unwanted)
            prefix = token.string.strip("_").partition("_")[0]
            if prefix in PREFIXES:
                found.append(f"{place}: write {PREFIXES[prefix]}")
    assert not found, "\n".join(dict.fromkeys(found))


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_pages_use_the_words_of_the_field(page: Path) -> None:
    assert not list(phrases_in(page.read_text("utf-8")))
