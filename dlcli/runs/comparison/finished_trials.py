"""runs.jsonl: the finished runs of a comparison, so that none is done twice."""

from collections.abc import Mapping

from pydantic import ValidationError

from dlcli import __version__
from dlcli.config.optimizers import Optimizer
from dlcli.errors import CheckpointError
from dlcli.runs.folder.lines_file import LinesFile
from dlcli.runs.folder.run_folder import RunFolder
from dlcli.section import Section
from dlcli.trials.comparing.results import TrialResult


class _Header(Section):
    """The first line."""

    dlcli: str
    checksums: dict[str, str]  # SHA-256 of the data files


class FinishedTrials:
    """The runs in a folder; reading and writing raise CheckpointError and StorageError."""

    def __init__(self, folder: RunFolder, checksums: Mapping[str, str]) -> None:
        """Read what is there, or begin anew on data with these checksums."""
        self._file = LinesFile(folder.runs)
        self._results: dict[tuple[Optimizer, int], TrialResult] = {}
        lines = folder.runs.read_text(encoding="utf-8").splitlines()
        if not lines:
            header = _Header(dlcli=__version__, checksums=dict(checksums))
            self._file.append(header.model_dump(mode="json"))
            lines = [header.model_dump_json()]
        try:
            self.checksums = _Header.model_validate_json(lines[0]).checksums
        except ValidationError as error:
            raise _damaged(folder, 1, error, "start anew in another --run-dir") from None
        for number, line in enumerate(lines[1:], 2):
            try:
                self._remember(TrialResult.model_validate_json(line))
            except ValidationError as error:
                again = "remove it, and its run is done again"
                raise _damaged(folder, number, error, again) from None

    def __len__(self) -> int:
        return len(self._results)

    @property
    def num_judged(self) -> int:
        """How many of them have figures."""
        return sum(result.figures is not None for result in self._results.values())

    def find(self, optimizer: Optimizer, seed: int, *, is_judged: bool) -> TrialResult | None:
        """Return what came of a run, with its figures if it `is_judged`; None: nothing yet."""
        result = self._results.get((optimizer, seed))
        return None if result is None or (is_judged and result.figures is None) else result

    def add(self, result: TrialResult) -> None:
        """Keep a run that is over."""
        self._file.append(result.model_dump(mode="json"))
        self._remember(result)

    def sync(self) -> None:
        """Wait until all is on the disk."""
        self._file.sync()

    def _remember(self, result: TrialResult) -> None:
        self._results[result.optimizer, result.seed] = result


def _damaged(
    folder: RunFolder, number: int, error: ValidationError, repair: str
) -> CheckpointError:
    problem = error.errors()[0]
    where = ".".join(map(str, problem["loc"]))
    said = f"{where}: {problem['msg']}" if where else problem["msg"]
    return CheckpointError(f"{folder.runs}: line {number} is damaged: {said}; {repair}")
