"""`dlcli report`."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dlcli.cli.options import Run
from dlcli.cli.output import emit
from dlcli.errors import CheckpointError, ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from rich.console import Console

    from dlcli.runs.folder.run_folder import RunFolder
    from dlcli.runs.reporting.report_data import Record, ReportData


def report_command(
    run: Run,
    text: Annotated[
        bool,
        typer.Option("--text", help="Print curves, diagnosis and metrics here; write no page."),
    ] = False,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print the metrics beside baselines as one JSON object."),
    ] = False,
    png: Annotated[
        bool, typer.Option("--png", help="Leave each plot as a PNG, too, besides the SVG.")
    ] = False,
) -> None:
    """Make the full report of a run: a self-contained HTML page, and its plots as files."""
    from dlcli.cli.screens.tables import open_console
    from dlcli.runs.folder.run_folder import RunFolder
    from dlcli.runs.reporting.from_folder import collect_report_data, read_record

    if text and as_json:
        raise ConfigError("--json: the page's figures as JSON; leave --text out")
    if text and png:
        raise ConfigError("--png: leaves the plots of a page; --text makes none")
    console = open_console(to_stderr=as_json, may_vanish=not text)
    folder = RunFolder(run)
    if run.is_dir() and folder.fold_trials.exists():
        if png:
            raise ConfigError("--png: the page of a run's folds leaves no files of its plots")
        _report_folds(console, folder, as_text=text, as_json=as_json)
        return
    if run.is_dir() and folder.rounds.exists():
        raise CheckpointError(
            f"{run}: the folder of a search, whose page is {run / 'search.html'}; make it again "
            f"with: dlcli tune {folder.config} --run-dir {run} --resume --set report=full; a run "
            f"with the best settings: dlcli train {folder.best_config}"
        )
    record = read_record(run)
    if run.is_file():
        console.print(
            f"{run}: the report covers the whole run, with its best weights", markup=False
        )
    if text:
        _show_text(console, record)
    else:
        stages = collect_report_data(record)
        report = make_report(console, record.folder.path, stages, with_png=png, is_full=True)
        if as_json:
            emit(json.dumps({"baselines": baselines_of(report)}, allow_nan=False))


def _report_folds(console: "Console", folder: "RunFolder", *, as_text: bool, as_json: bool) -> None:
    """Write the page of trained folds, or show their figures; CheckpointError before their end."""
    from dlcli.runs.folder.run_folder import resume_command

    if not folder.summary.exists():
        raise CheckpointError(
            f"{folder.path}: not all of its folds are done; resume it: {resume_command(folder)}"
        )
    if as_text:
        from dlcli.cli.screens.folds import show_summary

        show_summary(console, json.loads(folder.summary.read_text("utf-8")))
        return
    from dlcli.report.folds.page import write_folds_page

    console.print(f"report: {write_folds_page(folder.path)}", markup=False, soft_wrap=True)
    if as_json:
        emit(json.dumps(json.loads(folder.summary.read_text("utf-8")), allow_nan=False))


def make_report(
    console: "Console",
    run: "Path",
    stages: "Generator[str, None, ReportData]",
    stop: "Callable[[], str | None]" = lambda: None,
    *,
    with_png: bool,
    is_full: bool = False,
) -> "ReportData | None":
    """Make a run's page, show the progress meanwhile, and return what the page shows.

    In a log, a full page has a line for each of its stages. None, and no page, where `stop` names
    a signal.
    """
    from dlcli.cli.screens.training import show_complete_without_report
    from dlcli.explaining.unavailable import Unavailable
    from dlcli.report.run_page import write_run_page

    try:
        report = _follow(console, stages, stop, is_full=is_full)
        page = None if report is None else write_run_page(report, with_png=with_png)
    except KeyboardInterrupt:  # a second SIGINT
        if stop() is None:
            raise
        report = page = None
    if report is None:
        show_complete_without_report(console, run, str(stop()).upper())
        return None
    if isinstance(report.network, Unavailable):
        note = f"not in the report: quality and explanation of the network: {report.network.reason}"
        console.print(note, markup=False, soft_wrap=True)
    console.print(f"report: {page}", markup=False, soft_wrap=True)
    return report


def baselines_of(report: "ReportData | None") -> dict[str, Any] | None:
    """Return a report's metrics beside baselines as plain data; None where there are none.

    Those of several targets are by name.
    """
    from dlcli.explaining.quality.document import baselines_document
    from dlcli.runs.reporting.report_data import NetworkReport

    if report is None or not isinstance(report.network, NetworkReport):
        return None
    documents = {one.target.name: baselines_document(one) for one in report.network.qualities}
    return documents if len(documents) > 1 else next(iter(documents.values()))


def _follow(
    console: "Console",
    stages: "Generator[str, None, ReportData]",
    stop: "Callable[[], str | None]",
    *,
    is_full: bool,
) -> "ReportData | None":
    from dlcli.cli.screens.terminal import can_redraw, open_status

    has_lines = is_full and not can_redraw(console)
    with open_status(console) as show:
        while stop() is None:
            try:
                text = f"report: {next(stages)}"
                show(text)
                if has_lines:
                    console.print(text, markup=False, soft_wrap=True)
            except StopIteration as end:
                report: ReportData = end.value
                return report
    return None


def _show_text(console: "Console", record: "Record") -> None:
    from dlcli.cli.screens.tables import show_confusions, show_figures, show_labels
    from dlcli.explaining.learning.diagnosis import diagnose
    from dlcli.report.text_curves import loss_curves

    history, summary = record.history, record.summary or {}
    console.print(loss_curves(history), markup=False, soft_wrap=True)
    diagnosis = diagnose(history, constant_loss=None)
    for finding in diagnosis.findings:
        console.print(f"{finding.text} {finding.evidence}", markup=False)
        for change in finding.changes:
            console.print(f"  try: {change}", markup=False, soft_wrap=True)
    figures = {name: summary.get(name) for name in ("validation", "test")}
    if any(figures.values()):
        show_figures(console, figures)
    judged = figures["test"] or figures["validation"] or {}
    if record.fitted is not None:
        show_confusions(console, judged, record.fitted.target)
    show_labels(console, judged)
    for note in history.notes:
        console.print(note, markup=False, soft_wrap=True)
