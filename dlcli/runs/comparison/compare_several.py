"""`dlcli compare-optimizers` on several configs: a comparison each, and how all do over all."""

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlcli.config.config import ReportKind
from dlcli.errors import ConfigError
from dlcli.files import atomic_file
from dlcli.runs.comparison.comparable import Comparable
from dlcli.runs.comparison.compare import (
    ComparisonFinished,
    Event,
    compare,
    wanted_report,
)
from dlcli.runs.comparison.stages import Stopped
from dlcli.runs.folder.run_folder import RunFolder, make_run_folder
from dlcli.trials.comparing.comparison import Comparison
from dlcli.trials.comparing.profiles import LARGEST_RATIO, Profile, profile
from dlcli.trials.running.backend import Backend

_NAME = "comparison"


@dataclass(frozen=True)
class NextProblem:
    """The comparison on another config begins."""

    name: str
    number: int  # from 1
    num_problems: int


@dataclass(frozen=True)
class AllFinished:
    """Every comparison is done."""

    comparisons: tuple[Comparison, ...]
    profiles: tuple[Profile, ...]  # best score first
    folder: RunFolder
    document: dict[str, Any]  # of comparison.json
    report: ReportKind | None  # the page to make: the fullest that a config asks for


AnyEvent = Event | NextProblem | AllFinished


def refuse_unlike(comparables: Sequence[Comparable]) -> None:
    """Raise ConfigError where configs share a name, or don't compare the same optimizers."""
    names = [comparable.prepared.config.name for comparable in comparables]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ConfigError(f"two of the configs are named '{twice}': give each a `name` of its own")
    first, *others = comparables
    wanted = list(first.candidates.optimizers)
    for other in others:
        found = list(other.candidates.optimizers)
        if set(found) != set(wanted):
            raise ConfigError(
                f"'{names[0]}' compares {', '.join(wanted)}, and '{other.prepared.config.name}' "
                f"{', '.join(found)}: name the same for all, as in --optimizers sgd,adam"
            )


def compare_several(
    comparables: Sequence[Comparable],
    *,
    run_dir: Path | None = None,
    resume: bool = False,
    backend: Backend | None = None,
) -> Iterator[AnyEvent]:
    """Compare on one config after the other, each in a folder of its name; then sum up.

    Raises what `compare` does, and ConfigError where the folder is another's.
    """
    refuse_unlike(comparables)
    parent = make_run_folder(run_dir, _NAME)
    if not resume and any(parent.path.iterdir()):
        raise ConfigError(
            f"--run-dir {run_dir}: this folder is not empty; name another, or resume its "
            "comparisons: --resume"
        )
    comparisons = []
    for number, comparable in enumerate(comparables, 1):
        name = comparable.prepared.config.name
        yield NextProblem(name, number, len(comparables))
        folder = parent.path / name
        events = compare(
            comparable, run_dir=folder, resume=resume and folder.exists(), backend=backend
        )
        with closing(events):
            for event in events:
                yield event
                if isinstance(event, Stopped):
                    return
                if isinstance(event, ComparisonFinished):
                    comparisons.append(event.comparison)
    profiles = profile(
        {
            result.name: [
                found.seconds_to_target(found.result(result.name)) for found in comparisons
            ]
            for result in comparisons[0].results
        }
    )
    document = _to_document(comparisons, profiles)
    with atomic_file(parent.comparison) as file:
        file.write(json.dumps(document, indent=2, allow_nan=False).encode() + b"\n")
    wanted = [wanted_report(comparable.prepared.config) for comparable in comparables]
    kind: ReportKind | None = "full" if "full" in wanted else "quick" if "quick" in wanted else None
    yield AllFinished(tuple(comparisons), tuple(profiles), parent, document, kind)


def _to_document(comparisons: Sequence[Comparison], profiles: Sequence[Profile]) -> dict[str, Any]:
    """Return what comparison.json says of several problems; what is missed or infinite is null."""
    return {
        "problems": [comparison.name for comparison in comparisons],
        "targets": {comparison.name: comparison.target for comparison in comparisons},
        "largest_ratio": LARGEST_RATIO,
        "optimizers": [
            {
                "name": profile.name,
                "score": profile.score,
                "seconds_to_target": [_finite(time) for time in profile.times],
                "ratios_to_fastest": [_finite(ratio) for ratio in profile.ratios],
            }
            for profile in profiles
        ],
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
