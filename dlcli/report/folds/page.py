"""The folder of trained folds → its page, from what its files say."""

import json
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.config import Config, dump_config, load_config
from dlcli.errors import CheckpointError, counted
from dlcli.explaining.quality.bootstrap import Estimate
from dlcli.metrics import label_of
from dlcli.report.charts.chart import Axis, Chart, Line, Panel
from dlcli.report.page import PageSection, write_page
from dlcli.report.picture import Picture, chart_picture
from dlcli.report.quality.per_class import confusion_picture
from dlcli.report.table import TextTable
from dlcli.report.text import interval_text, metric_text, with_interval
from dlcli.runs.folder.run_folder import RunFolder
from dlcli.runs.folds.ensemble_file import read_ensemble

_MAX_NETWORKS = 200  # that are listed
_WIDE = 20.0  # ratio of losses above which their scale is logarithmic


def write_folds_page(run: Path) -> Path:
    """Write the page of a finished run of folds; return it.

    Raises CheckpointError where its files are damaged, StorageError.
    """
    folder = RunFolder(run)
    ensemble = read_ensemble(run)
    try:
        summary = json.loads(folder.summary.read_text("utf-8"))
        config = load_config(folder.config).config
        lines = folder.metrics.read_text("utf-8").splitlines()
        sections = [*_sections(summary, [*map(json.loads, lines)], config, run)]
        if ensemble is not None and ensemble.target.class_names:
            sections.insert(1, _confusions(summary, ensemble.target.class_names))
        lead = _lead(summary)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{run}: summary.json or metrics.jsonl is damaged ({error}); resume the run, which "
            f"writes them anew: dlcli train {shlex.quote(str(folder.config))} --run-dir "
            f"{shlex.quote(str(run))} --resume"
        ) from None
    write_page(folder.report, f"Folds of {config.name}", lead, sections)
    return folder.report


def _lead(summary: Mapping[str, Any]) -> str:
    folds, headline = summary["folds"], _headline(summary)
    repeats = f", {folds['repeats']} times" if folds["repeats"] > 1 else ""
    part = "test" if summary["test"] is not None else "validation"
    rows = "test rows" if part == "test" else "rows that its networks were not trained on"
    figure = Estimate(**summary["intervals"][part][headline])
    return (
        f"{counted(len(folds['networks']), 'network')} of {folds['folds']} folds{repeats}, "
        f"averaged: {label_of(headline)} {with_interval(figure)} on "
        f"{summary['rows'][part]:,} {rows}."
    )


def _headline(summary: Mapping[str, Any]) -> str:
    names: list[str] = [name for name in summary["intervals"]["validation"] if name != "loss"]
    return names[0] if names else "loss"


def _sections(
    summary: Mapping[str, Any], epochs: list[Mapping[str, Any]], config: Config, run: Path
) -> Iterator[PageSection]:
    yield PageSection("Metrics", tuple(_explained(summary, config)), (_metrics(summary),))
    yield PageSection("Learning curves", pictures=(_curves(epochs),))
    yield PageSection("Networks", (), (_networks(summary),))
    again = f"dlcli train {shlex.quote(str(run / 'config.yaml'))} --run-dir runs/again"
    yield PageSection("Config", (f"To repeat this run: `{again}`",), code=dump_config(config))


def _explained(summary: Mapping[str, Any], config: Config) -> Iterator[str]:
    folds = summary["folds"]
    yield (
        "Out of fold: each row is predicted by the networks that were not trained on it"
        + (", whose predictions are averaged" if folds["repeats"] > 1 else "")
        + ", and by the epoch that is the best on other rows that are held out with it, so that no "
        "row has a say in its own prediction. One repeat: the mean of the repeats' figures."
    )
    if summary["test"] is not None:
        yield (
            f"Test: the ensemble of all {len(folds['networks'])} networks, on rows that none has "
            "seen. It has more networks for each row than the out-of-fold figures, which are "
            "those of networks trained on fewer rows each."
        )
    if folds["weights"] == "greedy":
        yield (
            "Repeats are weighted greedily, as often as each lowers the loss on the held-out rows "
            "(Caruana et al. 2004); the out-of-fold figures are those of weights that were found "
            "on the other half of the rows."
        )
    by = "groups" if config.data.split.group else "rows"
    yield f"95 % interval: percentile bootstrap over {by}."


def _metrics(summary: Mapping[str, Any]) -> TextTable:
    parts = {"out of fold": "validation", "test": "test"}
    shown = {title: part for title, part in parts.items() if summary[part] is not None}
    has_repeats = summary["folds"]["repeats"] > 1
    titles = ["metric"]
    for title in shown:
        titles += [title, "95 % interval"]
    rows = []
    for name in summary["intervals"]["validation"]:
        cells = [label_of(name)]
        for part in shown.values():
            found = Estimate(**summary["intervals"][part][name])
            cells += [metric_text(found.value), interval_text(found)]
        if has_repeats:
            cells.append(metric_text(summary["folds"]["one_repeat"][name]))
        rows.append(tuple(cells))
    return TextTable((*titles, *(["one repeat"] if has_repeats else [])), tuple(rows))


def _confusions(summary: Mapping[str, Any], classes: tuple[str, ...]) -> PageSection:
    part = "test" if summary["test"] is not None else "validation"
    matrix = np.array(summary[part]["confusion_matrix"])
    rows = "test rows" if part == "test" else "rows out of fold"
    text = f"True and predicted classes of the {summary['rows'][part]:,} {rows}."
    return PageSection("Confusion matrix", (text,), pictures=(confusion_picture(matrix, classes),))


def _curves(epochs: list[Mapping[str, Any]]) -> Picture:
    x = [epoch["epoch"] for epoch in epochs]
    train = [epoch["train"]["loss"] for epoch in epochs]
    held_out = [epoch["validation"]["loss"] for epoch in epochs]
    least, most = min(train + held_out), max(train + held_out)
    panel = Panel(
        [Line(x, train, "training", 0, 0), Line(x, held_out, "held out", 1, 1)],
        Axis("epochs", is_integer=True),
        Axis("loss", is_log=least > 0 and most > _WIDE * least),
    )
    return chart_picture(
        "losses-by-epoch",
        "Loss by epoch",
        "Mean loss of the networks that still train, each on its training rows and on those that "
        "its fold holds out.",
        Chart(((panel,),)),
    )


def _networks(summary: Mapping[str, Any]) -> TextTable:
    networks = summary["folds"]["networks"]
    rows = tuple(
        (
            network["file"],
            str(network["repeat"]),
            str(network["fold"]),
            f"{network['rows']['train']:,}",
            f"{network['rows']['validation']:,}",
            str(network["best_epoch"]),
            str(network["epochs"]),
            metric_text(network["validation_loss"]),
            metric_text(network["weight"]),
        )
        for network in networks[:_MAX_NETWORKS]
    )
    note = "Best loss: the lowest on the rows held out, which chose its epoch."
    if len(networks) > _MAX_NETWORKS:
        note += f" The first {_MAX_NETWORKS} of {len(networks)} are listed."
    titles = ("file", "repeat", "fold", "training rows", "held out", "best epoch", "epochs")
    return TextTable((*titles, "best loss", "weight"), rows, note)
