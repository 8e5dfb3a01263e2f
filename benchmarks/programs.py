"""The programs that are measured beside each other, dlcli among them, each in its own process."""

import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from benchmarks.workloads import WORKLOADS

ROOT = Path(__file__).parent.parent
PEERS = ROOT / "benchmarks" / "peers"
WITHOUT_PAGE, IN_BF16 = "dlcli-without-page", "dlcli-in-bf16"
TITLES = {
    "dlcli": "dlcli",
    WITHOUT_PAGE: "dlcli, `report: false`",
    IN_BF16: "dlcli, `training.precision: bf16`",
    "pytorch": "PyTorch, a DataLoader",
    "lightning": "Lightning",
    "skorch": "skorch",
    "keras-jax": "Keras on JAX",
    "keras-torch": "Keras on torch",
    "sklearn": "scikit-learn",
    "jax-scan": "JAX, an epoch in one scan",
    "ludwig": "Ludwig",
}
SETTINGS = {  # of dlcli, when it goes by these names
    "dlcli": (),
    WITHOUT_PAGE: ("report=false",),
    IN_BF16: ("training.precision=bf16",),
}
DENSE_ONLY = ("sklearn", "jax-scan", "ludwig")


@dataclass(frozen=True)
class Figures:
    """One run of a program."""

    step: float  # seconds, with its share of the validation pass, but for the first epoch; or nan
    whole: float  # seconds of the process
    accuracy: float  # on the validation rows, at the end


@contextmanager
def cores(number: int) -> Iterator[None]:
    """Keep what is started meanwhile on so many of this machine's cores.

    Raises:
        SystemExit: There are not so many.

    """
    allowed = os.sched_getaffinity(0)
    if number > len(allowed):
        raise SystemExit(f"{number} cores are asked for; this process may use {len(allowed)}")
    os.sched_setaffinity(0, sorted(allowed)[:number])
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def run_program(name: str, config: Path, spec: Path, python: Path) -> Figures:
    """Run a program on a work load; Python is the interpreter of its environment."""
    if name in SETTINGS:
        return run_dlcli(config, SETTINGS[name], batch_size=WORKLOADS[config.stem].batch_size)
    return run_peer(name, spec, python)


def run_dlcli(config: Path, settings: Sequence[str] = (), *, batch_size: int) -> Figures:
    """Train by the command line, as anyone would; settings are those of `--set`."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        command = [sys.executable, "-m", "dlcli", "train", str(config), "--run-dir", str(run)]
        for setting in settings:
            command += ["--set", setting]
        begun = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        whole = time.perf_counter() - begun
        lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    epochs = [json.loads(line) for line in lines]
    num_steps = -(-summary["rows"]["train"] // batch_size)
    step = statistics.median(epoch["seconds"] / num_steps for epoch in epochs[1:])
    return Figures(step, whole, epochs[-1]["validation"]["accuracy"])


def run_peer(name: str, spec: Path, python: Path) -> Figures:
    """Run a peer's program in its environment."""
    library, _, backend = name.partition("-")
    script = PEERS / f"with_{'jax_scan' if name == 'jax-scan' else library}.py"
    return run_script(
        script, spec, python, {"KERAS_BACKEND": backend} if library == "keras" else {}
    )


def run_script(
    script: Path, spec: Path, python: Path, environment: Mapping[str, str] = MappingProxyType({})
) -> Figures:
    """Run a program that prints its figures, with what it needs in its environment."""
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        done = subprocess.run(
            [python, script, spec, folder],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, **environment},
        )
        whole = time.perf_counter() - begun
    answer = json.loads(done.stdout.splitlines()[-1])
    step = statistics.median(answer["steps"][1:] or [math.nan])
    return Figures(step, whole, answer["accuracy"])
