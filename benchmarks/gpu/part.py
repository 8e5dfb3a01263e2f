"""A part of `python -m benchmarks.gpu`, in a process of its own.

After an error on a GPU its process can do nothing more there; the next part begins in a new one.
"""

import importlib
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from contextlib import suppress
from pathlib import Path

from benchmarks.gpu.work import Work

ROOT = Path(__file__).parent.parent.parent
_GRACE_SECONDS = 10.0  # beyond the deadline, at which a part ends by itself
_MAX_LINES = 12  # of an error


def run_part(name: str, work: Work, grace_seconds: float = _GRACE_SECONDS) -> list[str]:
    """Run a part until the deadline at the latest; return its lines, and what went wrong."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as messages:
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.gpu.part", name, work.to_json()],
            cwd=ROOT,
            stdout=out,
            stderr=messages,
            start_new_session=True,  # so that its children can be ended with it
        )
        problem = ""
        try:
            process.wait(max(0.0, work.deadline - time.time()) + grace_seconds)
        except subprocess.TimeoutExpired:
            problem = "It took too long and was ended."
        finally:
            _end_group(process)
        out.seek(0)
        messages.seek(0)
        lines, said = out.read().splitlines(), messages.read().splitlines()
    if not problem and process.returncode:
        problem = f"It ended with exit code {process.returncode}."
    if problem:
        print("\n".join(said), file=sys.stderr)
        lines += ["", f"**{problem}**", "", "```", *said[-_MAX_LINES:], "```"]
    return lines


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End a process and those that it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _print_error(error: BaseException) -> None:
    """Print what went wrong, and where in this repository."""
    steps = traceback.extract_tb(error.__traceback__)
    own = [step for step in steps[1:] if step.filename.startswith(str(ROOT))]  # not this file's
    message = "".join(traceback.format_exception_only(error)).splitlines()
    places = [f"{step.filename.removeprefix(f'{ROOT}/')}:{step.lineno}" for step in own[-4:]]
    print(*message[: _MAX_LINES - 2], "at " + ", ".join(places), sep="\n", file=sys.stderr)


def main() -> None:
    """Print the lines of the part that the command line names, each as soon as it is known."""
    name, work = sys.argv[1], Work.from_json(sys.argv[2])
    printed = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what else prints here, pytest say, is no part of the page
    try:
        for line in importlib.import_module(f"benchmarks.gpu.{name}").lines(work):
            print(line, file=printed, flush=True)
    except Exception as error:
        _print_error(error)
        sys.exit(1)


if __name__ == "__main__":
    main()
