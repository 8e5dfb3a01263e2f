"""Whether the images that a table names are those that training had."""

import hashlib

from dlcli.columns.cells.named_files import paths_of
from dlcli.columns.cells.reading import read_cells
from dlcli.data.fitted import FittedData
from dlcli.images.checksums import checksums_of
from dlcli.tables.reading import read_blocks
from dlcli.tables.sources import Source
from dlcli.tables.text.text_format import TextFormat

_ENDING = " images"  # of keys; before it, the config's key that names the table


def images_key(key: str) -> str:
    """Return the key of the checksum of the images that a table names, by the table's key."""
    return key + _ENDING


def table_key(key: str) -> str:
    """Return the key of a table, by its own or by that of the images that it names."""
    return key.removesuffix(_ENDING)


def images_checksum(fitted: FittedData, source: Source, form: TextFormat) -> str | None:
    """Return the SHA-256 of the contents of the images that a source's cells name, row by row.

    None where they name none, or the source's own checksum covers them: a folder's. `form` is how
    a text file is written, as far as that is said. Raises DataError, StorageError.
    """
    columns = fitted.file_columns
    if not columns or source.parts[0].images is not None:
        return None
    digest = hashlib.sha256()
    for rows in read_blocks(source, fitted.text_format(form)):
        for column in columns:
            cells = read_cells(rows, column.name, fitted.missing_values)
            for of_file in checksums_of(paths_of(cells, rows)):
                digest.update(f"{of_file}\n".encode())
    return digest.hexdigest()
