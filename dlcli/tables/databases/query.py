"""A query to a database → a file of its rows, made once and removed when it is needed no more."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import polars as pl

from dlcli.tables.databases.address import without_password
from dlcli.tables.unnamed_file import UnnamedFile

_HASHED_ROWS = 2**16


@dataclass
class Query:
    """The rows of a query, as they were when they were first asked for."""

    settings: ClassVar[tuple[str, ...]] = ("query",)

    address: str  # a file or, with its password, an address
    sql: str
    is_file: bool
    _copy: UnnamedFile | None = field(default=None, repr=False, compare=False)

    @property
    def name(self) -> str:
        """What messages call it."""
        return without_password(self.address)

    def file(self) -> Path:
        """Return an Arrow file with the rows, which is there as long as the query is.

        Raises DataError where the query can't be answered.
        """
        if self._copy is None:
            # Imported here, as most commands need neither library.
            from dlcli.tables.databases.postgresql import copy_postgresql
            from dlcli.tables.databases.sqlite import copy_sqlite

            ask = copy_sqlite if self.is_file else copy_postgresql
            self._copy = UnnamedFile(lambda copy: ask(self.address, self.sql, copy))
        return self._copy.path

    def checksum(self) -> str:
        """Return the SHA-256 of the rows, as text, and their columns' types."""
        scan = pl.scan_ipc(self.file())
        digest = hashlib.sha256(str(dict(scan.collect_schema())).encode())
        num_rows = int(scan.select(pl.len()).collect().item())
        for start in range(0, num_rows, _HASHED_ROWS):
            frame = scan.slice(start, _HASHED_ROWS).collect()
            for cells in frame.get_columns():
                is_text = cells.dtype.is_nested() or cells.dtype == pl.Binary
                written = str(cells.to_list()) if is_text else cells.to_frame().write_csv()
                digest.update(written.encode())
        return digest.hexdigest()
