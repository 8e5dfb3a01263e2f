"""The data of a run's report → its page and pictures."""

import shlex
from dataclasses import replace
from pathlib import Path
from typing import assert_never

from dlcli.explaining.reasons.permutation_importance import PermutationImportance
from dlcli.explaining.unavailable import Unavailable
from dlcli.network.plan import Plan
from dlcli.report.explanation.permutation_importance import importance_section
from dlcli.report.learning import learning_section
from dlcli.report.overview import Overview, overview_sections
from dlcli.report.page import PageSection, write_page
from dlcli.report.picture import save_pictures
from dlcli.report.quality.section import quality_sections
from dlcli.report.training_statistics import statistics_section
from dlcli.report.vision.augmented import augmented_section
from dlcli.runs.reporting.report_data import (
    DeepBudget,
    DeepReport,
    ForecastReport,
    NetworkReport,
    QuickReport,
    ReportData,
)
from dlcli.targets.base import Target


def write_run_page(report: ReportData, *, with_png: bool = False) -> Path:
    """Draw a run into its folder; return the page. StorageError where that fails.

    A full page's plots are files, too: SVGs, and PNGs where asked.
    """
    record, network = report.record, report.network
    learning = learning_section(record.history, report.diagnosis)
    # The page begins with the diagnosis, which its first section needn't repeat.
    sections = [replace(learning, paragraphs=learning.paragraphs[1:])]
    if isinstance(network, Unavailable):
        text = f"Metrics, explanations and the loss landscape are not shown: {network.reason}"
        sections.append(PageSection("Not available", (text,)))
        sections.append(statistics_section(report.statistics))
    elif isinstance(network, ForecastReport):
        from dlcli.report.forecasts.section import forecast_sections

        sections += [*forecast_sections(network.quality), statistics_section(report.statistics)]
    else:
        for quality in network.qualities:
            sections += _of_target(quality.target, network, quality_sections(quality))
        if network.augmented is not None:
            sections.append(augmented_section(network.augmented))
        sections += _explanations(report, network)
    sections += overview_sections(_overview(report))
    if not report.is_quick:
        pictures = [picture for section in sections for picture in section.pictures]
        save_pictures(record.folder.path, pictures, with_png=with_png)
    write_page(record.folder.report, f"Run of {record.name}", report.diagnosis.text, sections)
    return record.folder.report


def _explanations(report: ReportData, network: NetworkReport) -> list[PageSection]:
    statistics = statistics_section(report.statistics)
    match network.explained:
        case QuickReport(importances, seconds):
            found = []
            for importance, quality in zip(importances, network.qualities, strict=True):
                if isinstance(importance, PermutationImportance):
                    section = importance_section(importance, quality.loss, quality.target)
                    found += _of_target(quality.target, network, [section])
            return [*found, statistics, _full_report(report, seconds)]
        case DeepReport(explanations, visions, landscape, path, budget):
            from dlcli.report.explanation.section import explanation_sections
            from dlcli.report.landscape.section import landscape_section
            from dlcli.report.vision.section import vision_sections

            surface = landscape_section(landscape, path)
            seen = [
                section
                for quality, vision in zip(network.qualities, visions, strict=True)
                if vision is not None
                for section in _of_target(quality.target, network, vision_sections(vision))
            ]
            has_texts = any(one.texts for one in explanations)
            limits = _limits(budget, has_images=bool(seen), has_texts=has_texts)
            found = [
                section
                for one in explanations
                for section in _of_target(one.target, network, explanation_sections(one))
            ]
            return [*found, *seen, statistics, surface, limits]
        case _:
            assert_never(network.explained)


def _of_target(
    target: Target, network: NetworkReport, sections: list[PageSection]
) -> list[PageSection]:
    """Return sections about one target: under its name where there are several."""
    if len(network.qualities) == 1:
        return sections
    place = [quality.target.name for quality in network.qualities].index(target.name)
    return [
        replace(
            section,
            title=f"{target.name}: {section.title}",
            pictures=tuple(
                replace(picture, name=f"target_{place}_{picture.name}")
                for picture in section.pictures
            ),
        )
        for section in sections
    ]


def _limits(budget: DeepBudget, *, has_images: bool, has_texts: bool) -> PageSection:
    """Say what each of the longest questions could take."""
    images = f", what it sees in images {budget.vision_seconds:.2g}" if has_images else ""
    words = f", leaving out words {budget.importance_seconds:.2g}" if has_texts else ""
    return PageSection(
        "Time limits",
        (
            "What takes longest had about so many seconds, by the time that training took: "
            f"gradient boosting {budget.tree_seconds:.2g}, permutation importance "
            f"{budget.importance_seconds:.2g}{words}{images}, the loss landscape and the "
            f"path of training {budget.surface_seconds:.2g} each. What was cut for that is said "
            "beside them.",
        ),
    )


def _full_report(report: ReportData, seconds: float) -> PageSection:
    """Say what this page leaves out, and how to get it."""
    return PageSection(
        "The full report",
        (
            "This page was made at the end of training, from what was in memory. The linear "
            f"baseline, the intervals and the permutation importance had {seconds:.2g} seconds, by "
            "the time that training took; what was left out for that is said beside them. The full "
            "report gives them more, adds gradient boosting, partial dependence, the "
            "decision boundary (for two columns), hidden units, first-layer filters, attention, "
            "for texts the effects of words and errors by length, "
            "for images where the network looks and what its layers respond to, the loss landscape "
            "and the path of training, and leaves each plot as an SVG file (with --png, as a PNG, "
            "too). "
            "Make it with:",
        ),
        code=f"dlcli report {shlex.quote(str(report.record.folder.path))}",
    )


def _overview(report: ReportData) -> Overview:
    record, network = report.record, report.network
    return Overview(
        folder=record.folder.path,
        config=record.history.config,
        summary=record.summary,
        surroundings=record.surroundings,
        plan=_plan_of(network),
        fitted=record.fitted,
        notes=record.history.notes,
    )


def _plan_of(network: NetworkReport | ForecastReport | Unavailable) -> Plan | None:
    if isinstance(network, NetworkReport):
        return network.model.plan
    return network.plan if isinstance(network, ForecastReport) else None
