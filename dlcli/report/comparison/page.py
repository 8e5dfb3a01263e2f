"""A comparison → its page and pictures."""

from collections.abc import Sequence
from pathlib import Path

from dlcli.explaining.surface.path import PathPlane
from dlcli.explaining.unavailable import Unavailable
from dlcli.report.comparison.pictures import curves, differences, profiles_picture, rates
from dlcli.report.comparison.tables import comparison_table, profiles_table
from dlcli.report.landscape.section import paths_picture
from dlcli.report.page import PageSection, write_page
from dlcli.report.picture import save_pictures
from dlcli.trials.comparing.comparison import Comparison
from dlcli.trials.comparing.profiles import Profile
from dlcli.trials.comparing.verdict_text import describe_verdict

_PAGE = "comparison.html"


def write_comparison_page(
    folder: Path, comparison: Comparison, paths: PathPlane | Unavailable
) -> Path:
    """Draw a comparison into its folder; return the page. StorageError where that fails."""
    behind = differences(comparison)
    time = (curves(comparison, "epochs"), curves(comparison, "seconds"))
    by_rate = rates(comparison)
    parts = [
        PageSection("Results", tables=(comparison_table(comparison),)),
        PageSection("Paired differences", pictures=(behind,) if behind else ()),
        PageSection("Loss curves", pictures=time),
        PageSection("Learning rates", pictures=(by_rate,)),
        _landscape(paths),
    ]
    save_pictures(folder, [picture for part in parts for picture in part.pictures])
    title = f"Optimizers compared on {comparison.name}"
    shown = [part for part in parts if part.paragraphs or part.tables or part.pictures]
    write_page(folder / _PAGE, title, describe_verdict(comparison), shown)
    return folder / _PAGE


def _landscape(paths: PathPlane | Unavailable) -> PageSection:
    title = "Optimizer paths"
    if isinstance(paths, Unavailable):
        return PageSection(title, (f"Not drawn: {paths.reason}.",))
    said = "From the same initial weights, on the first of the judging seeds."
    return PageSection(title, (said,), pictures=(paths_picture(paths),))


def write_profiles_page(
    folder: Path, comparisons: Sequence[Comparison], profiles: Sequence[Profile]
) -> Path:
    """Draw comparisons on several problems into their folder; return the page. StorageError."""
    picture = profiles_picture(comparisons, profiles)
    save_pictures(folder, [picture])
    best = profiles[0]
    lead = (
        f"Over {len(comparisons)} problems, {best.name} has the highest score, {best.score:.3f}. "
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
