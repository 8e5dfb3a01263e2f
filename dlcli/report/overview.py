"""What was run: data, columns, layers and config, as sections of a page."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlcli.config import Config, dump_config
from dlcli.data.fitted import FittedData
from dlcli.network.layout import layout_rows
from dlcli.network.plan import Plan
from dlcli.report.page import PageSection
from dlcli.report.picture import shortened
from dlcli.report.table import TextTable
from dlcli.tables.sources import setting_text

_MAX_COLUMNS = 30  # that are listed
_MAX_NAME_LENGTH = 60


@dataclass(frozen=True)
class Overview:
    """What is known of a run without its network's predictions."""

    folder: Path
    config: Config | None
    summary: Mapping[str, Any] | None
    surroundings: Mapping[str, str]  # the machine and its versions
    plan: Plan | None
    fitted: FittedData | None
    notes: tuple[str, ...]  # on files that are missing or damaged


def overview_sections(overview: Overview) -> list[PageSection]:
    """Return a summary of the run, its columns, its layers and its config."""
    notes = (f"{note}." for note in overview.notes)
    sections = [PageSection("Run summary", (_repeat(overview), *notes), (_facts(overview),))]
    if overview.fitted is not None:
        sections.append(PageSection("Columns", (), (_columns(overview.fitted),)))
    if overview.plan is not None:
        sections.append(PageSection("Layers", (), (_layers(overview.plan),)))
    if overview.config is not None:
        sections.append(PageSection("Config", code=dump_config(overview.config)))
    return sections


def _repeat(overview: Overview) -> str:
    config = shlex.quote(str(overview.folder / "config.yaml"))
    return f"To repeat this run: `dlcli train {config} --run-dir runs/again`"


def _facts(overview: Overview) -> TextTable:
    facts: dict[str, object] = {}
    summary, config = overview.summary or {}, overview.config
    if config is not None:
        facts["data"] = f"{setting_text(config.data.path)}, {config.data.target_text}"
        if (by := config.data.split.group or config.data.split.time) is not None:
            what = "whole groups of" if config.data.split.group else "the latest rows by"
            facts["held out"] = f"{what} {by}"
    for name, number in (summary.get("rows") or {}).items():
        facts[f"{name} rows"] = f"{number:,}"
    if config is not None:
        facts["task"] = config.data.task
        facts["loss"] = config.loss.type if config.loss else None
        facts["optimizer"] = f"{config.optimizer.type}, lr {config.optimizer.lr:g}"
        facts["batch size"] = config.training.batch_size
        facts["seed"] = config.seed
    if summary:
        facts["epochs"] = f"{summary.get('epochs')}, best {summary.get('best_epoch')}"
        facts["stop reason"] = str(summary.get("stop_reason")).replace("_", " ")
        facts["time"] = f"{summary.get('seconds', 0.0):.1f} s"
        facts["device"] = summary.get("device")
        if summary.get("start_from"):
            facts["begins with the weights of"] = summary["start_from"]
        if (
            "trained_parameters" in summary
            and summary["trained_parameters"] < summary["parameters"]
        ):
            facts["trained parameters"] = f"{summary['trained_parameters']:,}"
    if overview.plan is not None:
        facts["parameters"] = f"{overview.plan.num_parameters:,}"
    facts |= overview.surroundings
    known = {name: str(value) for name, value in facts.items() if value is not None}
    return TextTable(("", "value"), tuple(known.items()))


def _columns(fitted: FittedData) -> TextTable:
    listed = fitted.columns[:_MAX_COLUMNS]
    rows = tuple(
        (shortened(column.name, _MAX_NAME_LENGTH), column.kind, column.encoding_in_full())
        for column in listed
    )
    left = len(fitted.columns) - len(listed)
    return TextTable(("column", "kind", "encoding"), rows, f"And {left:,} more." if left else "")


def _layers(plan: Plan) -> TextTable:
    rows = [(row.title, row.shape, f"{row.num_parameters:,}") for row in layout_rows(plan)]
    rows.append(("total", "", f"{plan.num_parameters:,}"))
    return TextTable(("layer", "output shape", "parameters"), tuple(rows))
