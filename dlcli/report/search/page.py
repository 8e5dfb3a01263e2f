"""What a search found → its page."""

from pathlib import Path

from dlcli.config.config import ReportKind
from dlcli.errors import counted
from dlcli.numbers import number_text
from dlcli.report.page import PageSection, write_page
from dlcli.report.picture import save_pictures
from dlcli.report.search.pictures import by_setting, progress
from dlcli.report.search.tables import fresh_table, importance_table, trials_table
from dlcli.report.table import TextTable
from dlcli.trials.searching.findings import Findings
from dlcli.trials.searching.optimism import Optimism
from dlcli.trials.searching.verdict_text import describe_findings

_PAGE = "search.html"


def write_search_page(folder: Path, found: Findings, kind: ReportKind) -> Path:
    """Draw a search into its folder; return the page. StorageError where that fails.

    A full one leaves its pictures as files, too.
    """
    importance = importance_table(found)
    parts = [
        PageSection("Best settings", tables=(trials_table(found, max_rows=20, max_columns=8),)),
        PageSection("Metric over the search", pictures=(progress(found),)),
        PageSection(
            "Which settings mattered",
            (importance,) if isinstance(importance, str) else (),
            tables=(importance,) if isinstance(importance, TextTable) else (),
            pictures=(by_setting(found),),
        ),
        _honest(found),
        *_refused(found),
    ]
    if kind == "full":
        save_pictures(folder, [picture for part in parts for picture in part.pictures])
    title = f"Settings searched for {found.name}"
    write_page(folder / _PAGE, title, describe_findings(found), parts)
    return folder / _PAGE


def _honest(found: Findings) -> PageSection:
    """Say how much better the best settings look than they are."""
    optimism, fresh = found.optimism, fresh_table(found)
    if isinstance(optimism, Optimism):
        seen, expected, low, high = (
            number_text(value, 4)
            for value in (optimism.seen, optimism.expected, optimism.low, optimism.high)
        )
        said = (
            f"The best of {optimism.num_settings} settings is partly the luckiest. Their "
            f"{found.tune.metric} is {seen} on the rows that chose them, and about {expected} on "
            f"others (95 % interval {low} to {high}). Blocks of the validation rows were resampled "
            f"({optimism.num_blocks} blocks, 2,000 times): the settings that are best on the "
            "blocks drawn were judged by the others (bootstrap bias correction, Tsamardinos et al. "
            "2018)."
        )
        if len(found.rungs) > 1:
            said += " What was chosen before, among shorter trials, is not in this estimate."
    else:
        said = f"How much better the best settings look than they are can't be told: {optimism}."
    return PageSection("Selection optimism", (said,), tables=(fresh,) if fresh is not None else ())


def _refused(found: Findings) -> list[PageSection]:
    if not found.refused:
        return []
    reasons: dict[str, int] = {}
    for one in found.refused:
        reasons[one.reason] = reasons.get(one.reason, 0) + 1
    rows = tuple((reason, f"{count:,}") for reason, count in reasons.items())
    text = (
        f"{counted(len(found.refused), 'sampled setting')} made no sound config, and others were "
        "sampled instead."
    )
    return [
        PageSection("Refused settings", (text,), tables=(TextTable(("reason", "settings"), rows),))
    ]
