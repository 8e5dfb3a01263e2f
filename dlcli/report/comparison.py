"""A comparison → its page and pictures."""

from collections.abc import Sequence
from pathlib import Path

from dlcli.comparing.comparison import Comparison
from dlcli.comparing.profiles import Profile
from dlcli.comparing.words import describe_verdict
from dlcli.explaining.absent import Absent
from dlcli.explaining.surface.path import PathPlane
from dlcli.report.comparison_pictures import curves, differences, profiles_picture, rates
from dlcli.report.comparison_table import comparison_table, profiles_table
from dlcli.report.landscape_pictures import paths_picture
from dlcli.report.page import Part, write_page
from dlcli.report.picture import save_pictures

_PAGE = "comparison.html"


def write_comparison_page(folder: Path, comparison: Comparison, paths: PathPlane | Absent) -> Path:
    """Draw a comparison into its folder; return the page. StorageError where that fails."""
    behind = differences(comparison)
    time = (curves(comparison, "epochs"), curves(comparison, "seconds"))
    by_rate = rates(comparison)
    parts = [
        Part("Results", tables=(comparison_table(comparison),)),
        Part("How sure that is", pictures=(behind,) if behind else ()),
        Part("On the way", pictures=time),
        Part("Learning rates", pictures=(by_rate,)),
        _landscape(paths),
    ]
    save_pictures(folder, [picture for part in parts for picture in part.pictures])
    title = f"Optimizers compared on {comparison.name}"
    shown = [part for part in parts if part.paragraphs or part.tables or part.pictures]
    write_page(folder / _PAGE, title, describe_verdict(comparison), shown)
    return folder / _PAGE


def _landscape(paths: PathPlane | Absent) -> Part:
    title = "The ways they took"
    if isinstance(paths, Absent):
        return Part(title, (f"They are not drawn: {paths.reason}.",))
    said = "From the same first weights, on the first of the seeds that they are judged on."
    return Part(title, (said,), pictures=(paths_picture(paths),))


def write_profiles_page(
    folder: Path, comparisons: Sequence[Comparison], profiles: Sequence[Profile]
) -> Path:
    """Draw comparisons on several problems into their folder; return the page. StorageError."""
    picture = profiles_picture(comparisons, profiles)
    save_pictures(folder, [picture])
    best = profiles[0]
    lead = (
        f"Over {len(comparisons)} problems, {best.name} has the highest score, {best.score:.3f}. "
        "How sure each comparison is, its own page says."
    )
    parts = [
        Part("Time to the target", tables=(profiles_table(comparisons, profiles),)),
        Part("Performance profile", pictures=(picture,)),
        *(
            Part(own.name, (describe_verdict(own),), tables=(comparison_table(own),))
            for own in comparisons
        ),
    ]
    write_page(folder / _PAGE, "Optimizers compared on several problems", lead, parts)
    return folder / _PAGE
