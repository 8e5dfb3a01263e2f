"""Addresses of databases, and what of them may be shown.

A password stands in a config as `${env:NAME}` only, which is filled in when the database is opened:
so it gets neither on a screen nor into a run folder.
"""

import os
import re
from pathlib import Path

from dlcli.errors import DataError

_SQLITE = re.compile(r"^sqlite:///", re.IGNORECASE)
_POSTGRESQL = re.compile(r"^postgres(ql)?://", re.IGNORECASE)
_OTHER = re.compile(
    r"^(mysql|mariadb|mssql|oracle|redshift|snowflake|bigquery|clickhouse|duckdb|trino)(\+\w+)?:/+",
    re.IGNORECASE,
)
_PASSWORD = re.compile(r"(?<=://)([^:@/\s]*):(\S+)@")
_PASSWORD_SETTING = re.compile(r"(?<=[?&]password=)[^&\s]+", re.IGNORECASE)
_REFERENCE = re.compile(r"\$\{env:([A-Za-z_][A-Za-z0-9_]*)(?::([^}]*))?\}")
_SQLITE_MAGIC = b"SQLite format 3\x00"


def is_postgresql(setting: str) -> bool:
    """Say whether a setting is the address of a PostgreSQL database."""
    return bool(_POSTGRESQL.match(setting))


def sqlite_file(setting: str) -> str | None:
    """Return the file that an address of an SQLite database names, None for other settings."""
    found = _SQLITE.match(setting)
    return setting[found.end() :] if found else None


def is_sqlite_file(path: Path) -> bool:
    """Say whether a file is an SQLite database, by its first bytes."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(len(_SQLITE_MAGIC)) == _SQLITE_MAGIC
    except OSError:
        return False  # which its reader will say


def is_address(setting: str) -> bool:
    """Say whether a setting is the address of a database, not a path."""
    return is_postgresql(setting) or sqlite_file(setting) is not None


def refuse_other(setting: str) -> None:
    """Raise DataError for an address of a database that isn't read."""
    if found := _OTHER.match(setting):
        raise DataError(
            f"{without_password(setting)}: {found[1]} isn't read, only SQLite and PostgreSQL; "
            "write the rows to a Parquet or CSV file"
        )


def without_password(text: str) -> str:
    """Return text with `…` for the passwords of addresses in it."""
    return _PASSWORD_SETTING.sub("…", _PASSWORD.sub(r"\1:…@", text))


def has_password(setting: str) -> bool:
    """Say whether an address has a password written out, not as `${env:NAME}`."""
    found = [match[2] for match in _PASSWORD.finditer(setting)]
    found += [match[0] for match in _PASSWORD_SETTING.finditer(setting)]
    references = map(_REFERENCE.fullmatch, found)
    return any(reference is None or reference[2] for reference in references)


def fill_in(setting: str) -> str:
    """Return an address with environment variables filled in, and any other setting as it is."""
    filled = _REFERENCE.sub(lambda match: os.environ.get(match[1], match[2] or ""), setting)
    return filled if is_address(filled) else setting
