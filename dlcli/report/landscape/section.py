"""The part of a report on the loss around the result, and the way there."""

from collections.abc import Iterator

from dlcli.explaining.surface.landscape import Plane
from dlcli.explaining.surface.path import PathPlane
from dlcli.explaining.unavailable import Unavailable
from dlcli.report.landscape.pictures import landscape_picture, path_picture
from dlcli.report.page import PageSection
from dlcli.report.picture import Picture


def landscape_part(plane: Plane | Unavailable, path: PathPlane | Unavailable) -> PageSection:
    """Show both, or say why one is not there."""
    pictures: list[Picture] = []
    if isinstance(plane, Plane):
        pictures.append(landscape_picture(plane))
    if isinstance(path, PathPlane):
        pictures.append(path_picture(path))
    return PageSection("The landscape", tuple(_paragraphs(plane, path)), pictures=tuple(pictures))


def _paragraphs(plane: Plane | Unavailable, path: PathPlane | Unavailable) -> Iterator[str]:
    known = path.plane if isinstance(path, PathPlane) else plane
    if isinstance(known, Plane):
        yield (
            "Every point of a picture is this network with other weights. Of "
            f"{known.num_parameters:,} directions two are seen; how the loss is in the others, a "
            "picture does not say. It is the training loss in the target's own units, dropout and "
            "weight decay left out."
        )
        if known.num_rows < known.num_known_rows:
            yield (
                f"So that it takes seconds, it is computed at {len(known.x)} × {len(known.y)} "
                f"points, on {known.num_rows:,} training rows drawn from {known.num_known_rows:,}."
            )
        if known.keeps_statistics:
            yield (
                "Batch norm's running statistics are those of the result at every point, also "
                "where training had others: far from the result, the loss is not what it saw."
            )
    if isinstance(path, PathPlane):
        yield (
            "Main directions make a smooth curve of nearly any walk through so many dimensions "
            "(Antognini and Sohl-Dickstein 2018): its bend by itself says nothing."
        )
    if isinstance(plane, Unavailable):
        yield f"The loss around the result is not shown: {plane.reason}."
    if isinstance(path, Unavailable):
        yield f"The way to the result is not shown: {path.reason}."
