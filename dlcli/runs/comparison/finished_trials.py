"""runs.jsonl: the finished trials in a folder, line by line, so that none is done twice."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field, JsonValue, TypeAdapter, ValidationError

from dlcli import __version__
from dlcli.errors import CheckpointError
from dlcli.optimizers import AnyOptimizer
from dlcli.runs.folder.lines_file import LinesFile
from dlcli.runs.folder.run_folder import RunFolder
from dlcli.section import Section
from dlcli.trials.comparing.protocol import optimizer_trial
from dlcli.trials.results import TrialResult
from dlcli.trials.trial import Trial


class _Header(Section):
    """The first line."""

    dlcli: str
    checksums: dict[str, str]  # SHA-256 of the data files


class _OptimizerAndSeed(Section):
    """What identified a run before there were trials."""

    optimizer: AnyOptimizer  # with its learning rate
    seed: Annotated[int, Field(ge=0)]


_LINE = TypeAdapter(dict[str, JsonValue])


def _read_line(text: str) -> TrialResult:
    """Read any other line, in its old form too; ValidationError."""
    line = _LINE.validate_json(text)
    if "optimizer" in line:
        old = {key: line.pop(key) for key in ("optimizer", "seed") if key in line}
        run = _OptimizerAndSeed.model_validate(old)
        line["trial"] = optimizer_trial(run.optimizer, run.seed).model_dump()
    return TrialResult.model_validate(line)


class FinishedTrials:
    """The trials in a folder; reading and writing raise CheckpointError and StorageError."""

    def __init__(
        self, folder: RunFolder, checksums: Mapping[str, str], path: Path | None = None
    ) -> None:
        """Read what is there, or begin anew on data with these checksums.

        `path` is the file, by default runs.jsonl, which marks the folder of a comparison.
        """
        path = folder.runs if path is None else path
        self._file = LinesFile(path)
        self._results: dict[Trial, TrialResult] = {}
        lines = path.read_text(encoding="utf-8").splitlines()
        if not lines:
            header = _Header(dlcli=__version__, checksums=dict(checksums))
            self._file.append(header.model_dump(mode="json"))
            lines = [header.model_dump_json()]
        try:
            self.checksums = _Header.model_validate_json(lines[0]).checksums
        except ValidationError as error:
            raise _damaged(path, 1, error, "start anew in another --run-dir") from None
        for number, line in enumerate(lines[1:], 2):
            try:
                result = _read_line(line)
            except ValidationError as error:
                again = "remove it, and its run is done again"
                raise _damaged(path, number, error, again) from None
            self._results[result.trial] = result

    def __len__(self) -> int:
        return len(self._results)

    @property
    def num_evaluated(self) -> int:
        """How many of them have figures."""
        return sum(result.figures is not None for result in self._results.values())

    def find(self, trial: Trial, *, is_evaluated: bool) -> TrialResult | None:
        """Return a trial's result, with figures if it `is_evaluated`; None while there is none."""
        result = self._results.get(trial)
        return None if result is None or (is_evaluated and result.figures is None) else result

    def add(self, result: TrialResult) -> None:
        """Keep a finished trial."""
        left_out = {"blocks"} if result.blocks is None else set[str]()
        self._file.append(result.model_dump(mode="json", exclude=left_out))
        self._results[result.trial] = result

    def sync(self) -> None:
        """Wait until all is on the disk."""
        self._file.sync()


def _damaged(path: Path, number: int, error: ValidationError, repair: str) -> CheckpointError:
    problem = error.errors()[0]
    where = ".".join(map(str, problem["loc"]))
    said = f"{where}: {problem['msg']}" if where else problem["msg"]
    return CheckpointError(f"{path}: line {number} is damaged: {said}; {repair}")
