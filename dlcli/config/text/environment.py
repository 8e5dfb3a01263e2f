"""`${env:NAME}` and `${env:NAME:default}` in text values; `$${env:` stands for `${env:`.

A value that is one reference and nothing else is read as `--set` reads its value.

In the address of a database they stay, and are filled in when it is opened: with a password, it
would be written to the run folder.
"""

import json
import os
import re

from dlcli.config.text.overrides import ReadValue
from dlcli.config.text.parsing import Document, KeyPath, Plain, format_path
from dlcli.errors import ConfigError, Problem
from dlcli.tables.databases.address import fill_in, is_address, without_password

_BEGUN, _ESCAPED = "${env:", "$${env:"
_REFERENCE = re.compile(
    r"(\$\$\{env:)"  # escaped
    r"|\$\{env:(?:([A-Za-z_][A-Za-z0-9_]*)(?::([^}]*))?\})?"
)


def escape_references(text: str) -> str:
    """Escape references, so that the text is read back unchanged; those of an address stay."""
    if is_address(fill_in(text)):
        return text
    return text.replace(_BEGUN, _ESCAPED)


def expand_environment(document: Document, read: ReadValue) -> tuple[Document, tuple[str, ...]]:
    """Return the document with references replaced, and a note on each value that had one.

    ConfigError for every variable that is not set and has no default.
    """
    notes: list[str] = []
    references: dict[KeyPath, str] = {}
    problems: list[Problem] = []

    def fill(text: str, path: KeyPath) -> Plain:
        def value(match: re.Match[str]) -> str:
            groups: tuple[str | None, ...] = match.groups()
            escaped, name, default = groups
            if escaped:
                return _BEGUN
            if name is None:
                message = "not an environment variable: write ${env:NAME} or ${env:NAME:default}"
                problems.append(document.problem(path, message))
                return ""
            found = os.environ.get(name, default)
            if found is None:
                hint = f"set it, or give a default: ${{env:{name}:…}}"
                problems.append(
                    document.problem(path, f"environment variable {name} is not set; {hint}")
                )
            return found or ""

        filled = _REFERENCE.sub(value, text)
        if is_address(filled) and filled != text:
            notes.append(f"{format_path(path)}: {without_password(text)}, filled in when opened")
            return text
        if filled == text.replace(_ESCAPED, _BEGUN):
            return filled
        found: Plain = filled
        if _REFERENCE.fullmatch(text) is not None:
            try:
                found = read(path, filled, text)
            except ConfigError:
                problems.append(document.problem(path, f"{text} is {filled!r}, which is not YAML"))
        value_in_yaml = repr(found) if isinstance(found, str) else json.dumps(found)
        notes.append(f"{format_path(path)}: {value_in_yaml}, from {text}")
        references[path] = text
        return found

    def walk(data: Plain, path: KeyPath) -> Plain:
        match data:
            case str():
                return fill(data, path)
            case list():
                return [walk(item, (*path, index)) for index, item in enumerate(data)]
            case dict():
                return {key: walk(item, (*path, key)) for key, item in data.items()}
            case _:
                return data

    expanded = Document(walk(document.data, ()), document.places, references)
    if problems:
        raise ConfigError(*problems)
    return expanded, tuple(notes)
