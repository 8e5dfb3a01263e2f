"""A comparison → its page and pictures."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from dlcli.config.config import ReportKind
from dlcli.explaining.surface.path import PathPlane
from dlcli.explaining.unavailable import Unavailable
from dlcli.numbers import fixed_text
from dlcli.report.comparison.pictures import curves, differences, profiles_picture, rates
from dlcli.report.comparison.tables import comparison_table, profiles_table
from dlcli.report.page import PageSection, write_page
from dlcli.report.picture import save_pictures
from dlcli.trials.comparing.comparison import Comparison
from dlcli.trials.comparing.profiles import Profile
from dlcli.trials.comparing.verdict_text import describe_verdict

_PAGE = "comparison.html"


def write_comparison_page(
    folder: Path, comparison: Comparison, paths: PathPlane | Unavailable | None
) -> Path:
    """Draw a comparison into its folder; return the page. StorageError where that fails.

    Without `paths` it is a quick page; a full one has pictures as files, too.
    """
    behind = differences(comparison)
    time = (curves(comparison, "epochs"), curves(comparison, "seconds"))
    by_rate = rates(comparison)
    parts = [
        PageSection("Results", tables=(comparison_table(comparison),)),
        PageSection("Paired differences", pictures=(behind,) if behind else ()),
        PageSection("Loss curves", pictures=time),
        PageSection("Learning rates", pictures=(by_rate,)),
        _full_page(folder) if paths is None else _landscape(paths),
    ]
    if paths is not None:
        save_pictures(folder, [picture for part in parts for picture in part.pictures])
    title = f"Optimizers compared on {comparison.name}"
    shown = [part for part in parts if part.paragraphs or part.tables or part.pictures]
    write_page(folder / _PAGE, title, describe_verdict(comparison), shown)
    return folder / _PAGE


def _full_page(folder: Path) -> PageSection:
    """Say what the page leaves out, and how to get it."""
    text = (
        "This page was made from the runs alone. A full one adds the paths of the optimizers from "
        "the same initial weights, for which a run of each is repeated, and leaves each plot as "
        "PNG and SVG. Make it with:"
    )
    words = [str(folder / "config.yaml"), "--run-dir", str(folder), "--resume"]
    command = f"dlcli compare-optimizers {shlex.join(words)} --set report=full"
    return PageSection("The full page", (text,), code=command)


def _landscape(paths: PathPlane | Unavailable) -> PageSection:
    title = "Optimizer paths"
    if isinstance(paths, Unavailable):
        return PageSection(title, (f"Not drawn: {paths.reason}.",))
    from dlcli.report.landscape.section import paths_picture

    said = "From the same initial weights, on the first of the judging seeds."
    return PageSection(title, (said,), pictures=(paths_picture(paths),))


def write_profiles_page(
    folder: Path,
    comparisons: Sequence[Comparison],
    profiles: Sequence[Profile],
    kind: ReportKind,
) -> Path:
    """Draw comparisons on several problems into their folder; return the page. StorageError."""
    picture = profiles_picture(comparisons, profiles)
    if kind == "full":
        save_pictures(folder, [picture])
    best = profiles[0]
    lead = (
        f"Over {len(comparisons)} problems, {best.name} has the highest score, "
        f"{fixed_text(best.score)}. "
        "Each comparison's page shows how certain it is."
    )
    parts = [
        PageSection("Time to the target", tables=(profiles_table(comparisons, profiles),)),
        PageSection("Performance profile", pictures=(picture,)),
        *(
            PageSection(
                comparison.name,
                (describe_verdict(comparison),),
                tables=(comparison_table(comparison),),
            )
            for comparison in comparisons
        ),
    ]
    write_page(folder / _PAGE, "Optimizers compared on several problems", lead, parts)
    return folder / _PAGE
