"""dlcli beside PyTorch and Lightning, each from the CSV to a saved model, in bf16."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from benchmarks.gpu.work import Work
from benchmarks.programs import Figures, run_dlcli, run_peer
from benchmarks.workloads import Workload, write_workload
from dlcli.config import load_config
from dlcli.runs.preparation import prepare

CAPTURED = "dlcli, captured"
_SECONDS = 25.0  # of a program, before one of this network has been run
_MAX_CHARACTERS = 200  # of an error


def lines(work: Work) -> Iterator[str]:
    """Yield the section's lines."""
    yield "A step is an epoch's time, validation included, divided by its steps: the median without"
    yield "the first epoch, of one process each. *dlcli takes* is the ratio of its captured step to"
    yield "the program's: below 1 where dlcli is faster."
    has_lightning = _has(work.peers, "lightning")
    if not has_lightning:
        yield ""
        yield f"Without Lightning, which `{Path(work.peers).name}` of this machine doesn't have."
    for workload in work.workloads():
        programs = programs_of(work, workload)
        if not has_lightning:
            del programs["Lightning"]
        yield from _workload_lines(work, workload, programs)


def programs_of(work: Work, workload: Workload) -> dict[str, Callable[[], Figures]]:
    """Return what runs each program once."""
    config, spec = write_workload(workload, Path(work.folder))
    about = json.loads(spec.read_text(encoding="utf-8"))
    spec.write_text(json.dumps(about | {"device": work.device, "precision": "bf16"}))
    peers = Path(work.peers)
    programs: dict[str, Callable[[], Figures]] = {}
    for engine in ("captured", "eager"):
        settings = {"device": work.device, "precision": "bf16", "engine": engine}
        words = [f"training.{key}={value}" for key, value in settings.items()]
        programs[f"dlcli, {engine}"] = partial(run_dlcli, config, words)
    programs["PyTorch, a DataLoader"] = partial(run_peer, "pytorch", spec, peers)
    programs["Lightning"] = partial(run_peer, "lightning", spec, peers)
    return programs


def _workload_lines(
    work: Work, workload: Workload, programs: dict[str, Callable[[], Figures]]
) -> Iterator[str]:
    config, _ = write_workload(workload, Path(work.folder))
    multiply_adds = prepare(load_config(config)).plan.multiply_adds
    yield ""
    yield f"### {workload.name}, batches of {workload.batch_size}"
    yield ""
    yield "| program | a step | dlcli takes | of the matrix rate | whole process | accuracy |"
    yield "|---|---|---|---|---|---|"
    captured, longest = None, 0.0
    for name, run in programs.items():
        if not work.has_time_for(longest or _SECONDS):
            yield f"| {name} | left out, as there was no time |||||"
            continue
        begun = time.perf_counter()
        try:
            figures = run()
        except subprocess.CalledProcessError as error:
            yield f"| {name} | failed: {_last_line(error)} |||||"
            continue
        longest = max(longest, time.perf_counter() - begun)
        if name == CAPTURED:
            captured = figures.step
        ratio = "–" if captured is None else f"{captured / figures.step:.2f}"
        share = work.share_of_matrix_rate(multiply_adds, workload.batch_size, figures.step)
        yield (
            f"| {name} | {figures.step * 1e6:,.0f} µs | {ratio} | {share:.2%} | "
            f"{figures.whole:.1f} s | {figures.accuracy:.3f} |"
        )


def _has(python: str, module: str) -> bool:
    command = [python, "-c", f"import {module}"]
    return not subprocess.run(command, capture_output=True, check=False).returncode


def _last_line(error: subprocess.CalledProcessError) -> str:
    text = error.stderr if isinstance(error.stderr, str) else (error.stderr or b"").decode()
    words = (text.strip().splitlines() or [str(error)])[-1]
    return words[:_MAX_CHARACTERS].replace("|", "\\|")
