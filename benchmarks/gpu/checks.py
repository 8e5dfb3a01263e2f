"""The tests that are marked `gpu`, with what failed."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib.util import find_spec

import pytest

from benchmarks.gpu.work import Work

_MAX_CHARACTERS = 200  # of an error
_MAX_PROCESSES = 6  # that share the card


class _Results:
    """What came of each test, until the time is over."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.counts: Counter[str] = Counter()
        self.failed: dict[str, str] = {}
        self.num_selected = 0
        self.session: pytest.Session | None = None

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.session, self.num_selected = session, len(session.items)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        self.num_selected = len(ids)  # the same for each process

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._fail(report.nodeid, report)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._fail(report.nodeid, report)
        elif report.skipped:
            self.counts["skipped"] += 1
        elif report.when == "call":
            self.counts["passed"] += 1
        if self.session is not None and not self.work.has_time_for(1):
            self.session.shouldstop = "no time left"

    def _fail(self, name: str, report: pytest.CollectReport | pytest.TestReport) -> None:
        crash = getattr(report.longrepr, "reprcrash", None)
        message = str(report.longrepr) if crash is None else str(crash.message)
        if name not in self.failed:
            self.counts["failed"] += 1
            self.failed[name] = " ".join(message.split())[:_MAX_CHARACTERS]


def lines(work: Work) -> Iterator[str]:
    """Run them, and yield the section's lines."""
    results = _Results(work)
    options = ["-m", "gpu", "-q", "-p", "no:cacheprovider", "--override-ini=addopts="]
    if work.device != "cpu" and find_spec("xdist"):
        options += ["-n", str(max(1, min(_MAX_PROCESSES, (os.cpu_count() or 2) // 2)))]
    code = pytest.main([*options, *work.tests], plugins=[results])
    counts = results.counts
    said = ", ".join(f"{counts[what]} {what}" for what in ("passed", "failed", "skipped"))
    yield f"`pytest -m gpu`: {said}."
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        yield ""
        yield f"pytest ended with {pytest.ExitCode(code).name}."
    if left := results.num_selected - sum(counts.values()):
        yield ""
        yield f"Left out, as there was no time: {left} of {results.num_selected}."
    if results.failed:
        yield ""
        yield "| failed | with |"
        yield "|---|---|"
        for name, message in results.failed.items():
            yield f"| `{name}` | {message.replace('|', chr(92) + '|')} |"
