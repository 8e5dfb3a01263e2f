"""Why a network answers as it does, as parts of a page."""

from dlcli.data.target import ClassTarget, NumberTarget
from dlcli.explaining.reasons.boundary import Boundary
from dlcli.explaining.reasons.explanation import Explanation
from dlcli.explaining.reasons.filters import Filters
from dlcli.explaining.reasons.partial_dependence import Dependences
from dlcli.explaining.reasons.permutation_importance import MAX_SHUFFLES, Importances
from dlcli.explaining.reasons.units import UnitMaps, Units
from dlcli.explaining.unavailable import Unavailable
from dlcli.report.explanation.filters import excited_picture, filters_picture
from dlcli.report.explanation.partial_dependence import dependence_picture
from dlcli.report.explanation.pictures import importance_picture, pixels_picture
from dlcli.report.explanation.text import equation_of, figure, named, rows_asked
from dlcli.report.explanation.unit_maps import maps_picture
from dlcli.report.page import PageSection
from dlcli.report.picture import shortened
from dlcli.report.plots.boundary import boundary_picture
from dlcli.report.table import TextTable

_MAX_NAMED = 5
_FEW = 20  # columns, of which hardly one is above 0 by chance


def why_parts(why: Explanation) -> list[PageSection]:
    """Return what there is to say, and at last what there is not, with the reasons."""
    parts: list[PageSection] = []
    if isinstance(why.importance, Importances):
        parts.append(_importance(why.importance, why))
    if isinstance(why.dependence, Dependences):
        parts.append(_dependence(why.dependence, why))
    if isinstance(why.boundary, Boundary):
        parts.append(_boundary(why.boundary, why))
    if isinstance(why.units, Units):
        maps = why.unit_maps if isinstance(why.unit_maps, UnitMaps) else None
        parts.append(_units(why.units, maps, why))
    if isinstance(why.filters, Filters):
        parts.append(_filters(why.filters))
    asked = {
        "which columns matter": why.importance,
        "how answers depend on single columns": why.dependence,
        "the boundary in the plane of the input": why.boundary,
        "maps of hidden units": why.unit_maps,
        "what hidden units respond to": why.units,
        "the first layer's filters": why.filters,
    }
    absent: dict[str, list[str]] = {}
    for what, own in asked.items():
        if isinstance(own, Unavailable):
            absent.setdefault(own.reason, []).append(what)
    if absent:
        told = "; ".join(f"{', '.join(what)} ({reason})" for reason, what in absent.items())
        parts.append(PageSection("What can't be explained here", (f"Not shown: {told}.",)))
    return parts


def _importance(found: Importances, why: Explanation) -> PageSection:
    said = [
        f"Each is shuffled among the rows {_times(found.num_shuffles)}, so that it says nothing of "
        "its own row any more: what the network loses by that is what it gets from it. Intervals "
        "are over rows and shuffles together: other rows of the same kind would do as well."
    ]
    if found.asked.part == "train":
        said.append(
            "There are no held-out rows: these are training rows, on which what was learned by "
            "heart counts as important too."
        )
    is_short = found.num_shuffles < min(MAX_SHUFFLES, len(found.asked) - 1)
    if is_short or len(found.asked) < found.asked.num_held:
        said.append(
            f"To stay within seconds, {rows_asked(found.asked)} had to do"
            + (
                f", shuffled {_times(found.num_shuffles)} instead of {_times(MAX_SHUFFLES)}."
                if is_short
                else "."
            )
        )
    num_measured = len(found.columns) + len(found.endless)
    if num_measured < found.num_columns:
        said.append(
            f"Of {found.num_columns:,} columns, the {num_measured:,} were shuffled whose gradients "
            "promise most; what is told of columns is told of these."
        )
    if found.patch > 1:
        said.append("Patches rather than single pixels were shuffled, to stay within seconds.")
    if num_measured > _FEW:
        said.append(
            "Each interval is by itself: of columns that don't matter at all, about one in 40 lies "
            "above 0 by chance."
        )
    if found.endless:
        some = ", ".join(map(named, found.endless[:_MAX_NAMED]))
        said.append(
            f"{len(found.endless)} have no figure, as shuffling them makes answers that are not "
            f"finite numbers: {some}{', …' if len(found.endless) > _MAX_NAMED else ''}."
        )
    said.append(
        "Columns that say the same share their importance: each looks dispensable while the other "
        "is there."
    )
    if found.alike:
        pairs = ", ".join(
            f"{named(pair.first)} and {named(pair.second)} ({pair.correlation:.2f})"
            for pair in found.alike[:_MAX_NAMED]
        )
        said.append(f"So with these, by the correlation of their ranks: {pairs}.")
    if not found.columns:
        return PageSection("Which columns matter", tuple(said))
    if found.pixels is None:
        picture = importance_picture(found, why.loss, why.target)
        return PageSection("Which columns matter", tuple(said), (), (picture,))
    picture = pixels_picture(found, why.loss, why.target, is_image=found.is_image)
    return PageSection("Which pixels matter", tuple(said), (), (picture,))


def _after(activation: str | None) -> str:
    return f"after {activation}" if activation else "of the layer itself, without a non-linearity"


def _times(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{number} times")


def _dependence(found: Dependences, why: Explanation) -> PageSection:
    said = [
        "What the network would answer were a column's value another one in every row. Where "
        "columns go together, some of these rows can't exist: what is said of them is the "
        "network's guess. Where single rows' lines cross, the effect depends on other columns."
    ]
    if found.without:
        said.append(
            f"{', '.join(map(named, found.without))}: the same in all of {rows_asked(found.asked)}."
        )
    return PageSection(
        "How answers depend on them", tuple(said), (), (dependence_picture(found, why.target),)
    )


def _boundary(found: Boundary, why: Explanation) -> PageSection:
    said = []
    target, equation = why.target, found.equation
    if equation is not None:
        text = equation_of(equation, found.plane)
        if isinstance(target, NumberTarget):
            said.append(f"The network is one neuron: {named(target.name)} = {text}.")
        else:
            second, first = named(target.classes[1]), named(target.classes[0])
            said.append(
                f"The network is one neuron, and its boundary a line: {text} = 0, in the data's "
                f"own units. Where the sum is above 0 it says {second}, below 0 {first}; the "
                f"probability of {second} is 1 / (1 + exp(-sum))."
            )
    if found.has_gaps:
        said.append("All this is for rows in which both numbers are known.")
    title = "The answers" if isinstance(target, NumberTarget) else "The boundary"
    return PageSection(
        f"{title} in the plane of the input", tuple(said), (), (boundary_picture(found, target),)
    )


def _units(found: Units, maps: UnitMaps | None, why: Explanation) -> PageSection:
    said = [
        f"The last hidden dense layer has {found.num_units:,} units. Their activations are those "
        f"{_after(found.activation)} ({found.layer}), on {rows_asked(found.asked)}."
    ]
    if found.num_still:
        said.append(f"{found.num_still:,} of them give the same for each of these rows.")
    is_class = isinstance(why.target, ClassTarget)
    rows = tuple(
        (
            str(unit.number),
            figure(unit.influence),
            shortened(unit.speaks_for, 24)
            if is_class
            else f"{unit.speaks_for} {shortened(why.target.name, 24)}",
            ", ".join(f"{shortened(name, 32)} {value:+.2f}" for name, value in unit.features)
            or "nothing by itself",
        )
        for unit in found.units
    )
    unit = "the logits" if is_class else f"{named(why.target.name)}"
    note = (
        f"influence: how far a unit moves {unit} from what its mean activation would give, on "
        "average. speaks for: what becomes likelier as the unit's activation rises. goes with: the "
        "columns it correlates with most, from -1 to 1. Units are counted from 0"
        + (
            f"; {len(rows)} of {found.num_units:,} are shown."
            if len(rows) < found.num_units
            else "."
        )
    )
    table = TextTable(("unit", "influence", "speaks for", "goes with"), rows, note)
    pictures = (maps_picture(maps),) if maps is not None else ()
    return PageSection("What hidden units respond to", tuple(said), (table,), pictures)


def _filters(found: Filters) -> PageSection:
    pictures = [filters_picture(found)]
    if found.excited:
        pictures.append(excited_picture(found))
    said = [
        "Each filter is a small picture of what it looks for: orange where it wants low values, "
        "purple where it wants high ones."
        if found.weights.ndim == 4
        else "Each filter is a short signal that it looks for, wherever it is."
    ]
    if found.excited:
        said.append(f"Activations are those {_after(found.activation)} ({found.layer}).")
    return PageSection("What the first layer looks for", tuple(said), (), tuple(pictures))
