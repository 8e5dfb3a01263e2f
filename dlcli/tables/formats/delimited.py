"""CSV and its like: text with a line for each row."""

from collections.abc import Iterator

from dlcli.tables.formats.base import BlockSize, Content, Format
from dlcli.tables.table import Table
from dlcli.tables.text.csv_blocks import read_csv_blocks
from dlcli.tables.text.text_format import TEXT_KEYS


class DelimitedFormat(Format):
    """Cells as text, separated by a character."""

    name = "a CSV file"
    suffixes = (".csv", ".tsv", ".tab", ".txt")
    is_stream = True
    is_typed = False
    settings = TEXT_KEYS

    def blocks(self, content: Content, size: BlockSize) -> Iterator[Table]:
        """Yield the rows in order, every cell as text."""
        yield from read_csv_blocks(
            content.stream, content.name, content.text, block_bytes=size.num_bytes
        )
