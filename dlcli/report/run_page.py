"""The data of a run's report → its page and pictures."""

from pathlib import Path

from dlcli.explaining.unavailable import Unavailable
from dlcli.report.explanation.section import explanation_sections
from dlcli.report.landscape.section import landscape_section
from dlcli.report.learning import learning_section
from dlcli.report.overview import Overview, overview_sections
from dlcli.report.page import PageSection, write_page
from dlcli.report.picture import save_pictures
from dlcli.report.quality.section import quality_sections
from dlcli.report.training_statistics import statistics_section
from dlcli.runs.report_data import ReportData


def write_run_page(report: ReportData) -> Path:
    """Draw a run into its folder; return the page. StorageError where that fails."""
    record, network = report.record, report.network
    sections = [learning_section(record.history, report.diagnosis)]
    if isinstance(network, Unavailable):
        text = f"Metrics, explanations and the loss landscape are not shown: {network.reason}"
        sections.append(PageSection("Not available", (text,)))
    else:
        sections += quality_sections(network.quality)
        sections += explanation_sections(network.explanation)
    sections.append(statistics_section(report.statistics))
    if not isinstance(network, Unavailable):
        sections.append(landscape_section(network.landscape, network.path))
    sections += overview_sections(_overview(report))
    pictures = [picture for section in sections for picture in section.pictures]
    save_pictures(record.folder.path, pictures)
    write_page(record.folder.report, f"Run of {record.name}", report.diagnosis.text, sections)
    return record.folder.report


def _overview(report: ReportData) -> Overview:
    record, network = report.record, report.network
    return Overview(
        folder=record.folder.path,
        config=record.history.config,
        summary=record.summary,
        surroundings=record.surroundings,
        plan=None if isinstance(network, Unavailable) else network.model.plan,
        fitted=record.fitted,
        notes=record.history.notes,
    )
