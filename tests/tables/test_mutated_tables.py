"""A short form of a campaign in docs/measurements/campaigns.md."""

import os
from pathlib import Path

from tests.reliability.tables import Wrong, try_tables

NUM_TABLES = int(os.environ.get("DLCLI_TABLES", "100"))


def test_tables_changed_at_random_are_read_as_written_or_refused(tmp_path: Path) -> None:
    outcomes = list(try_tables(NUM_TABLES, seed=1, folder=tmp_path))
    assert [outcome for outcome in outcomes if isinstance(outcome, Wrong)] == []
    assert min(outcomes.count("read"), outcomes.count("refused")) > NUM_TABLES // 5
