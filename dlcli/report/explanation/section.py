"""Why a network predicts as it does, as sections of a page."""

from dlcli.explaining.reasons.boundary import Boundary
from dlcli.explaining.reasons.explanation import Explanation
from dlcli.explaining.reasons.filters import Filters
from dlcli.explaining.reasons.partial_dependence import PartialDependence
from dlcli.explaining.reasons.permutation_importance import PermutationImportance
from dlcli.explaining.reasons.units import HiddenUnits, UnitMaps
from dlcli.explaining.unavailable import Unavailable
from dlcli.report.explanation.attention_maps import attention_sections
from dlcli.report.explanation.boundary import boundary_section
from dlcli.report.explanation.filters import filters_section
from dlcli.report.explanation.hidden_units import units_section
from dlcli.report.explanation.partial_dependence import dependence_section
from dlcli.report.explanation.permutation_importance import importance_section
from dlcli.report.explanation.texts import text_sections
from dlcli.report.page import PageSection


def explanation_sections(found: Explanation) -> list[PageSection]:
    """Return what is available, and at last what is not, with the reasons."""
    sections: list[PageSection] = []
    if isinstance(found.importance, PermutationImportance):
        sections.append(importance_section(found.importance, found.loss, found.target))
    if isinstance(found.dependence, PartialDependence):
        sections.append(dependence_section(found.dependence, found))
    if isinstance(found.boundary, Boundary):
        sections.append(boundary_section(found.boundary, found))
    if isinstance(found.units, HiddenUnits):
        maps = found.unit_maps if isinstance(found.unit_maps, UnitMaps) else None
        sections.append(units_section(found.units, maps, found))
    if isinstance(found.filters, Filters):
        sections.append(filters_section(found.filters))
    sections += attention_sections(found.attention)
    sections += text_sections(found.texts, found.target)
    results = {
        "permutation importance": found.importance,
        "partial dependence": found.dependence,
        "decision boundary": found.boundary,
        "maps of hidden units": found.unit_maps,
        "hidden units": found.units,
        "first-layer filters": found.filters,
    }
    names_by_reason: dict[str, list[str]] = {}
    for name, result in results.items():
        if isinstance(result, Unavailable):
            names_by_reason.setdefault(result.reason, []).append(name)
    if names_by_reason:
        listed = (f"{', '.join(names)} ({reason})" for reason, names in names_by_reason.items())
        sections.append(PageSection("Not available", (f"Not shown: {'; '.join(listed)}.",)))
    return sections
