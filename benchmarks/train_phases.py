"""What `dlcli train` spends its time on, from its start to its end; `benchmarks.start` lists it.

    python -m benchmarks.train_phases CONFIG RUN_DIR     # prints JSON: seconds by phase

The command itself runs, in this process; functions that begin or end a phase tell the time.
"""

import importlib
import json
import os
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

# Since the system started the process: Python's own start counts, too.
_BEGUN = time.clock_gettime(time.CLOCK_BOOTTIME) - (
    int(Path("/proc/self/stat").read_text("utf-8").rpartition(")")[2].split()[19])
    / os.sysconf("SC_CLK_TCK")
)


class Phases:
    """The seconds of each phase; a phase ends where the next one is named."""

    def __init__(self) -> None:
        """Begin with the start of the process."""
        self.seconds: dict[str, float] = {}
        self._since = time.perf_counter() - _BEGUN

    def end(self, name: str) -> None:
        """End the phase that is under way, and name it."""
        now = time.perf_counter()
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self._since
        self._since = now

    def end_by(self, module: str, function: str, *, before: str, after: str) -> None:
        """End phases where a function is called and where it returns."""
        place = importlib.import_module(module)
        original: Callable[..., Any] = getattr(place, function)

        def timed(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - the function's own
            self.end(before)
            result = original(*args, **kwargs)
            self.end(after)
            return result

        setattr(place, function, timed)


def follow(phases: Phases) -> None:
    """Tell the phases of the events of a run; imports torch, as the command would next."""
    module = importlib.import_module("dlcli.runs.training.train")
    phases.end("importing torch")
    from dlcli.runs.training.events import TrainingFinished, TrainingStarted
    from dlcli.training.loop import EpochResult

    original = module.train
    names = {
        TrainingStarted: "placing the rows, building the network",
        EpochResult: "training",
        TrainingFinished: "saving, judging the best weights",
    }

    def timed(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:  # noqa: ANN401
        for event in original(*args, **kwargs):
            if type(event) in names:
                phases.end(names[type(event)])
            yield event

    module.train = timed  # type: ignore[attr-defined]
    phases.end_by(
        "dlcli.cli.commands.report",
        "make_report",
        before="figures on the screen, imports of the page",
        after="the page",
    )


def main() -> None:
    """Train, and print the seconds of each phase."""
    config, folder = sys.argv[1:]
    phases = Phases()
    from dlcli.cli import app
    from dlcli.cli.screens import progress

    phases.end_by("dlcli.config", "open_config", before="Python, imports", after="the config")
    read = progress.follow_reading

    def timed(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - the function's own
        progress.follow_reading = read  # it is called once more, as training starts
        phases.end("imports for reading")
        prepared = read(*args, **kwargs)
        phases.end("reading")
        follow(phases)
        return prepared

    progress.follow_reading = timed
    code = app.run(["train", config, "--run-dir", folder])
    phases.end("the end")
    print(json.dumps({"code": code, "seconds": phases.seconds}))


if __name__ == "__main__":
    main()
