"""PostgreSQL, by its Arrow driver (ADBC)."""

from pathlib import Path
from typing import Any

import polars as pl

from dlcli.errors import ConfigError, DataError
from dlcli.tables.databases.address import without_password

_SECONDS_TO_CONNECT = 10


def copy_postgresql(address: str, query: str, copy: Path) -> None:
    """Write the rows of a query to an Arrow file, batch by batch; nothing can be changed by it.

    Raises DataError where it can't be answered, ConfigError without the driver.
    """
    name = without_password(address)
    try:
        import adbc_driver_postgresql.dbapi as driver
    except ImportError:
        raise ConfigError(
            f"{name}: PostgreSQL needs its driver: pip install 'dlcli[postgresql]'"
        ) from None
    try:
        with driver.connect(_with_timeout(address)) as connection, connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION READ ONLY")
            cursor.execute(query)
            _write(cursor.fetch_arrow(), name, copy)
    except driver.Error as error:
        reason = without_password(str(error)).replace(address, name)
        raise DataError(f"{name}: the query can't be answered: {_first_lines(reason)}") from None


def _with_timeout(address: str) -> str:
    if "connect_timeout" in address:
        return address
    return f"{address}{'&' if '?' in address else '?'}connect_timeout={_SECONDS_TO_CONNECT}"


def _write(stream: Any, name: str, copy: Path) -> None:  # noqa: ANN401 - the driver has no types
    """Write a stream of batches. Numerics come as text, with all of their digits, and stay so."""
    rows = pl.scan_arrow_c_stream(stream)
    schema = rows.collect_schema()
    if not schema:
        raise DataError(f"{name}: data.query returns no rows; write a SELECT")
    others = [name for name, dtype in schema.items() if isinstance(dtype, pl.BaseExtension)]
    rows.with_columns(pl.col(name).ext.storage() for name in others).sink_ipc(copy)


def _first_lines(reason: str) -> str:
    lines = [line.strip() for line in reason.splitlines() if line.strip()]
    return " ".join(lines[:3])
