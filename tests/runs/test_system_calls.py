"""Every system call by which a run saves may fail, or be its last; every disk may be full.

Where strace or mount is missing or forbidden, what needs it is skipped.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.reliability.apart import run_apart
from tests.reliability.faults import FAULTS, Call, Case, Run

SAVES = ["save", "save without hard links", "first save"]
FAILING_RUNS = [
    "ENOSPC at a write of last",
    "ENOSPC at a write of best",
    "EIO at the fsync of last",
    "EIO at the rename to previous",
    "ENOSPC at the rename to last",
    "EIO at the rename to last, without hard links",
]
# Where one of these fails, the save must not: a name that is gone already is removed for safety's
# sake, and a file system without hard links is one that a run can live with.
HARMLESS = re.compile("unlink|link")
CALLS_OF_A_SAVE = [
    r'openat\(.*"metrics\.jsonl", O_RDONLY',
    r"fsync\(.*metrics\.jsonl>",
    r'openat\(.*"\.last\.safetensors\.\*\.dlcli-partial", O_WRONLY\|O_CREAT\|O_EXCL',
    r"write\(.*\.last\.safetensors\.\*\.dlcli-partial>",
    r"fsync\(.*\.last\.safetensors\.\*\.dlcli-partial>",
    r'link.*"last\.safetensors", .*"\.previous\.safetensors\.\*\.dlcli-partial"',
    r'rename.*"\.previous\.safetensors\.\*\.dlcli-partial", .*"previous\.safetensors"',
    r'rename.*"\.last\.safetensors\.\*\.dlcli-partial", .*"last\.safetensors"',
    r"fsync\(.*/case>",
    r'unlink.*"\.last\.safetensors\.\*\.dlcli-partial"',
    r'openat\(.*"\.best\.safetensors\.\*\.dlcli-partial", O_WRONLY\|O_CREAT\|O_EXCL',
    r"write\(.*\.best\.safetensors\.\*\.dlcli-partial>",
    r"fsync\(.*\.best\.safetensors\.\*\.dlcli-partial>",
    r'rename.*"\.best\.safetensors\.\*\.dlcli-partial", .*"best\.safetensors"',
    r"fsync\(.*/case>",
]


Pair = tuple[str | None, str | None]


class Seen:
    """What tests.reliability.faults has seen."""

    def __init__(self, folder: Path) -> None:
        seen: dict[str, Any] = json.loads(run_apart("faults", folder))
        self.no_tracing: str = seen["no_tracing"]
        self._cases = [Case(**{**case, "call": Call(**case["call"])}) for case in seen["cases"]]
        self._runs = [Run(**run) for run in seen["runs"]]
        self.disks = [Run(**run) for run in seen["disks"]]

    def cases(self, scenario: str, fault: str) -> list[Case]:
        self._need_tracing()
        found = [c for c in self._cases if (c.scenario, c.fault) == (scenario, fault)]
        assert found
        return found

    def run(self, what: str) -> Run:
        self._need_tracing()
        return next(run for run in self._runs if run.what == what)

    def _need_tracing(self) -> None:
        if self.no_tracing:
            pytest.skip(f"strace: {self.no_tracing}")


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    return Seen(tmp_path_factory.mktemp("faults"))


def test_a_save_makes_the_calls_that_we_expect_in_their_order(seen: Seen) -> None:
    texts = iter([case.call.text for case in seen.cases("save", "EIO")])
    missing = [pattern for pattern in CALLS_OF_A_SAVE if not _skip_to(texts, pattern)]
    assert missing == []


def _skip_to(texts: Iterator[str], pattern: str) -> bool:
    return any(re.match(pattern, text) for text in texts)


@pytest.mark.parametrize("scenario", [*SAVES, "append", "failing append"])
def test_every_fault_has_come_about(scenario: str, seen: Seen) -> None:
    for fault in FAULTS:
        for case in seen.cases(scenario, fault):
            assert case.injected, case
            assert (case.code < 0) == (fault == "SIGKILL"), case


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("scenario", SAVES)
def test_there_is_always_a_whole_checkpoint_no_older_than_the_one_before(
    scenario: str, fault: str, seen: Seen
) -> None:
    before: Pair = (None, None) if scenario == "first save" else ("old", "older")
    after: Pair = ("new", None) if scenario == "first save" else ("new", "old")
    sound = {before, after}
    if scenario != "first save":
        sound.add(("old", "old"))
    if scenario == "save without hard links":
        sound.add((None, "old"))
    for case in seen.cases(scenario, fault):
        last, previous, best = _checkpoints(case)
        assert (last, previous) in sound, case
        assert best in {before[0], "new"}, case
        assert best != "new" or last == "new", case  # to go on from last is to have its best
        assert case.files["metrics.jsonl"] == "old", case


@pytest.mark.parametrize("fault", ["ENOSPC", "EIO"])
@pytest.mark.parametrize("scenario", [*SAVES, "append", "failing append"])
def test_what_fails_is_told_and_leaves_nothing_half_written(
    scenario: str, fault: str, seen: Seen
) -> None:
    for case in seen.cases(scenario, fault):
        assert case.code == (0 if HARMLESS.match(case.call.name) else 7), case
        assert ("cannot write it" in case.screen) == (case.code == 7), case
        assert "Traceback" not in case.screen, case
        assert [name for name in case.files if name.startswith(".")] == [], case


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("scenario", ["append", "failing append"])
def test_a_line_of_metrics_is_there_whole_or_not_at_all(
    scenario: str, fault: str, seen: Seen
) -> None:
    for case in seen.cases(scenario, fault):
        whole = {"old", "new"} if fault == "SIGKILL" else {"old"}
        assert case.files["metrics.jsonl"] in whole, case


@pytest.mark.parametrize("what", FAILING_RUNS)
def test_a_run_whose_save_fails_ends_with_7_and_goes_on_to_the_same_bits(
    what: str, seen: Seen
) -> None:
    run = seen.run(what)
    assert run.injected
    check_that_it_went_on(run)


def test_a_resume_that_a_disk_fails_ends_with_7(seen: Seen) -> None:
    for what in ("EIO at the rename to damaged", "EIO at the removal of the old summary"):
        run = seen.run(what)
        assert run.injected
        assert (run.code, "Traceback" in run.screen) == (7, False), run


def test_a_lock_that_cannot_be_removed_does_not_spoil_the_end(seen: Seen) -> None:
    run = seen.run("EIO at the removal of the lock")
    assert run.injected
    assert run.code == 0, run


def test_disks_that_fill_up_end_runs_with_7_which_go_on_where_there_is_room(seen: Seen) -> None:
    if not seen.disks:
        pytest.skip("mount: not allowed here")
    for run in seen.disks:
        check_that_it_went_on(run)
    assert [bool(run.position) for run in seen.disks] == [False, False, True, True]


def check_that_it_went_on(run: Run) -> None:
    assert run.code == 7, run
    assert "Traceback" not in run.screen, run
    assert [wrong for wrong in run.files.values() if wrong] == [], run
    assert [name for name in run.files if name.startswith(".")] == [], run
    if run.position:
        assert (run.resumed, run.differing) == (0, []), run
    else:
        assert run.files == {}, run  # a run that saved nothing leaves nothing


def _checkpoints(case: Case) -> tuple[str | None, str | None, str | None]:
    names = ("last", "previous", "best")
    last, previous, best = (case.files.get(f"{name}.safetensors") for name in names)
    return last, previous, best
