"""What the benchmarks make of their measurements."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch

from benchmarks.gpu import __main__ as gpu
from benchmarks.gpu import card, comparison, engines, libraries, stacks
from benchmarks.gpu.part import run_part
from benchmarks.gpu.work import Work
from benchmarks.performance import Asked, ratio, unlike
from benchmarks.programs import Figures


def figures(*steps: float, accuracy: float = 0.9) -> list[Figures]:
    return [Figures(step, whole=1.0, accuracy=accuracy) for step in steps]


def test_a_ratio_is_taken_within_rounds_and_against_the_fastest() -> None:
    rounds = {
        "dlcli": figures(1.0, 20.0, 3.0),  # the machine was busy in the second round
        "pytorch": figures(2.0, 50.0, 4.0),
        "sklearn": figures(10.0, 10.0, 4.5),
    }
    step = Asked("tiny", "step", ("pytorch", "sklearn", "skorch"), 1.0)
    reached, whose = ratio(rounds, step)
    assert (reached, whose) == (2 / 3, "sklearn")
    assert ratio(rounds, Asked("tiny", "step", ("pytorch",), 1.0))[0] == 0.5


def test_who_learns_less_is_named() -> None:
    rounds = {"pytorch": figures(1.0), "dlcli": figures(1.0, accuracy=0.88),
              "skorch": figures(1.0, accuracy=0.7)}  # fmt: skip
    assert unlike(rounds) == ["skorch"]


def rehearsal(folder: Path, device: str = "cpu", seconds: float = 60.0) -> Work:
    return Work(device, True, time.time() + seconds, str(folder), sys.executable, ("nothing",))


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Keep threads that wait for each other out of short measurements."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("part", "num_rows"), [(card, 2), (engines, 2), (stacks, 2), (comparison, 1)]
)
@pytest.mark.usefixtures("one_thread")
def test_what_is_measured_on_a_gpu_can_be_rehearsed(
    part: ModuleType, num_rows: int, tmp_path: Path
) -> None:
    lines = list(part.lines(rehearsal(tmp_path)))
    rule = next(index for index, line in enumerate(lines) if line.startswith("|---"))
    rows = lines[rule + 1 :]
    assert len(rows) == num_rows
    assert all(row.count("|") == lines[rule].count("|") for row in rows)
    assert not any("left out" in row for row in rows)


@pytest.mark.parametrize("part", [engines, stacks, comparison, libraries])
def test_what_has_no_time_left_is_named(part: ModuleType, tmp_path: Path) -> None:
    lines = list(part.lines(rehearsal(tmp_path, seconds=0)))
    assert "left out, as there was no time" in "\n".join(lines).lower()


@pytest.mark.campaign
def test_libraries_learn_the_same_in_bf16(tmp_path: Path) -> None:
    work = rehearsal(tmp_path)
    [workload] = work.workloads()
    programs = libraries.programs_of(work, workload)
    ours, torchs = (programs[name]() for name in (libraries.CAPTURED, "PyTorch, a DataLoader"))
    assert ours.accuracy == pytest.approx(torchs.accuracy, abs=0.1)


def test_an_error_on_a_gpu_is_kept_and_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = run_part("card", rehearsal(tmp_path, "cuda:99"))
    assert "**It ended with exit code 1.**" in failed
    assert any(line.startswith("at benchmarks/gpu/card.py:") for line in failed)
    late = run_part("card", rehearsal(tmp_path, seconds=0), grace_seconds=0)
    assert "**It took too long and was ended.**" in late
    words = ["gpu", "--device", "cpu", "--parts", "checks", "--tests", "nothing"]
    monkeypatch.setattr(sys, "argv", [*words, "--write", "page.md"])
    gpu.main()
    page = Path("page.md").read_text(encoding="utf-8")
    assert capsys.readouterr().out.strip() == page.strip()
    assert "`pytest -m gpu`: 0 passed, 0 failed, 0 skipped." in page
    assert "pytest ended with USAGE_ERROR." in page


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "PyTorch sees no CUDA GPU here"),
        (["--device", "cpu", "--write"], "a rehearsal doesn't belong on docs/measurements/gpu.md"),
        (["--parts", "cart"], "no part 'cart'; there are card, checks,"),
    ],
)
def test_what_can_not_be_measured_is_refused(
    words: list[str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["gpu", *words])
    with pytest.raises(SystemExit) as ended:
        gpu.main()
    assert (ended.value.code, said in capsys.readouterr().err) == (2, True)
