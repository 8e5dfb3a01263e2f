"""A run's story → its page and pictures."""

from pathlib import Path

from dlcli.explaining.unavailable import Unavailable
from dlcli.report.explanation.section import why_parts
from dlcli.report.landscape.section import landscape_part
from dlcli.report.learning import learning_part
from dlcli.report.overview import Overview, overview_parts
from dlcli.report.page import PageSection, write_page
from dlcli.report.picture import save_pictures
from dlcli.report.quality.section import quality_parts
from dlcli.report.training_statistics import inside_part
from dlcli.runs.report_data import ReportData


def write_run_page(story: ReportData) -> Path:
    """Draw a run into its folder; return the page. StorageError where that fails."""
    record, answers = story.record, story.answers
    parts = [learning_part(record.history, story.diagnosis)]
    if isinstance(answers, Unavailable):
        said = f"How good the network is, why, and its landscape: {answers.reason}"
        parts.append(PageSection("What can't be shown", (said,)))
    else:
        parts += quality_parts(answers.quality)
        parts += why_parts(answers.why)
    parts.append(inside_part(story.looks))
    if not isinstance(answers, Unavailable):
        parts.append(landscape_part(answers.plane, answers.path))
    parts += overview_parts(_overview(story))
    save_pictures(record.folder.path, [picture for part in parts for picture in part.pictures])
    write_page(record.folder.report, f"Run of {record.name}", story.diagnosis.text, parts)
    return record.folder.report


def _overview(story: ReportData) -> Overview:
    record, answers = story.record, story.answers
    return Overview(
        folder=record.folder.path,
        config=record.history.config,
        summary=record.summary,
        surroundings=record.surroundings,
        plan=None if isinstance(answers, Unavailable) else answers.subject.plan,
        fitted=record.fitted,
        notes=record.history.notes,
    )
