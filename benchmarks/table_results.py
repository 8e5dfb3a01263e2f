"""What programs did on splits of tables, in a ledger that a measurement goes on from."""

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Result:
    """What a program did on a split."""

    table: str
    digest: str  # of the table's content
    task: str
    role: str
    num_rows: int
    split: int
    program: str
    version: str  # of its code
    error: float | None  # log-loss or RMSE on the test rows; None: it failed
    seconds: float  # from the tables to the predictions; of dlcli, of its processes
    failure: str = ""

    @property
    def key(self) -> tuple[object, ...]:
        """What is not measured again."""
        return (self.digest, self.split, self.program, self.version)


def read_ledger(path: Path) -> list[Result]:
    """Return what was measured; a line that was cut off is left out."""
    results = []
    for line in path.read_text("utf-8").splitlines() if path.exists() else ():
        try:
            results.append(Result(**json.loads(line)))
        except (ValueError, TypeError):
            continue
    return results
