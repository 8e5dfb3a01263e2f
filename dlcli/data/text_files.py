"""How the text files of a config are written: what was recognised, and what to say of it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from dlcli.config.sections.data import DataConfig
from dlcli.tables.table import Table
from dlcli.tables.text.text_format import TEXT_KEYS


def recognition_notes(headers: Iterable[Table]) -> Iterator[str]:
    """Say how each file is written, where it isn't a plain CSV file."""
    for header in headers:
        note = None if header.dialect is None else header.dialect.note()
        if note is not None:
            yield f"{header.files[0] if header.files else header.source}: {note}"
        yield from header.notes


@dataclass(frozen=True)
class TextFinding:
    """A value of a config's `data` that says how a text file is written, and why."""

    value: Any  # as YAML has it
    comment: str


def text_findings(table: Table, said: DataConfig) -> dict[str, TextFinding]:
    """Return what is said, and what was recognised, of a file that isn't a plain CSV file."""
    found = {
        key: TextFinding(_as_yaml(getattr(said, key)), "As --set says.")
        for key in TEXT_KEYS
        if key in said.model_fields_set
    }
    if table.dialect is None or table.files:  # each of several may be written otherwise
        return found
    for key, value, words in table.dialect.findings():
        found[key] = TextFinding(_as_yaml(value), f"{words[0].upper()}{words[1:]}.")
    return found


def _as_yaml(value: Any) -> Any:  # noqa: ANN401 - whatever a config holds
    return list(value) if isinstance(value, tuple) else value


def why_nameless(table: Table, name: str) -> str:
    """Say what a column is that has no name of its own."""
    return "has no name in the file" if name in table.unnamed else "is an index of pandas"


def nameless_notes(config: DataConfig, header: Table) -> Iterator[str]:
    """Say which columns have no name, and are no features unless `features` names them."""
    for name in header.nameless:
        if config.features is None and config.may_be_feature(name):
            yield f"'{name}' {why_nameless(header, name)}, and is left out (data.features)"


def agreed_settings(headers: Iterable[Table]) -> dict[str, Any] | None:
    """Return what was recognised of all files alike, by config key; None: none is a text file."""
    written = [header for header in headers if header.dialect is not None]
    if not written:
        return None
    if any(header.files for header in written):  # each of several may be written otherwise
        return {}
    dialects = [header.dialect for header in written if header.dialect is not None]
    first, *others = [dialect.settings() for dialect in dialects]
    return {
        key: value
        for key, value in first.items()
        if all(key in other and other[key] == value for other in others)
    }
