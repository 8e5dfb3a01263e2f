"""A search's results as tables."""

from pydantic import JsonValue

from dlcli.metrics import metric_of
from dlcli.numbers import error_text, number_text
from dlcli.report.table import TextTable
from dlcli.trials.comparing.verdict import Interval
from dlcli.trials.results import HeldOutPart
from dlcli.trials.searching.findings import Findings, Judged
from dlcli.trials.searching.search import Entry

_MAX_KEYS_ACROSS = 5  # more of them stand below each other, for their names to be read


def trials_table(found: Findings, *, max_rows: int, max_columns: int) -> TextTable:
    """Return a row for each setting, the best first, and the config as it is.

    Where many keys are searched, a setting has a column instead.
    """
    if len(found.space.dimensions) > _MAX_KEYS_ACROSS:
        return _best_settings(found, max_columns).transposed()
    return _best_settings(found, max_rows)


def _best_settings(found: Findings, most: int) -> TextTable:
    metric = found.tune.metric
    keys = [dimension.key for dimension in found.space.dimensions]
    latest = dict[int, Entry]()
    for entry in found.entries:  # those with the most epochs come first
        latest.setdefault(entry.number, entry)
    shown = list(latest.values())[:most]
    if found.configured is not None and found.configured not in shown:
        shown.append(found.configured)
    rows = tuple(
        (
            str(entry.number) if entry.settings else "config",
            "diverged" if entry.figure is None else number_text(entry.figure, 4),
            str(entry.epochs),
            *(value_text(entry.settings[key]) if entry.settings else "" for key in keys),
        )
        for entry in shown
    )
    note = (
        f"The best first; {metric} on the validation rows, of the best epoch. config: the config "
        "as it is."
    )
    if len(found.rungs) > 1:
        note += " epochs: the most that a setting was trained for; only the best go on."
    if len(shown) < len(latest):
        note += f" {len(latest):,} were tried: trials.csv has them all."
    return TextTable(("trial", f"validation {metric}", "epochs", *keys), rows, note)


def importance_table(found: Findings) -> TextTable | str:
    """Return a row for each setting that was searched; or why nothing can be told of them."""
    importances = found.importances
    if isinstance(importances, str):
        return f"No setting is said to have mattered: {importances}."
    rows = tuple(
        (
            one.key,
            f"{one.share:.2f}" if one.is_clear else "can't be told",
            f"{one.low:.2f} to {one.high:.2f}" if one.is_clear else "",
            f"{one.p_value:.2g}",
            value_text(one.best_value) if one.is_clear else "",
        )
        for one in importances
    )
    note = (
        "share: of the differences in rank between trials, what the setting explains by itself "
        "(adjusted R² of a quadratic for numbers, of means for choices), with its 95 % interval "
        "by the jackknife; p: of such a share where trials are shuffled, corrected for all keys "
        "(Holm). best value: where the fit is best. Interactions between settings are in no share."
    )
    return TextTable(("key", "share", "95 % interval", "p", "best value"), rows, note)


def fresh_table(found: Findings) -> TextTable | None:
    """Return the figures on fresh seeds, of the best settings and of the config as it is."""
    judged = [
        (name, one)
        for name, one in (("best", found.judged_best), ("config", found.judged_config))
        if one is not None and one.runs
    ]
    if found.judged_best is found.judged_config:
        judged = judged[:1]
    if not judged:
        return None
    names = _headline(found, judged[0][1])
    rows = tuple(
        (label, *(_interval(one.interval(part, figure)) for part, figure in names))
        for label, one in judged
    )
    if found.ensemble is not None:
        figures = found.ensemble.figures
        each = (figures.get(part, {}).get(figure) for part, figure in names)
        texts = ["–" if value is None else number_text(value, 4) for value in each]
        rows = (*rows, (f"ensemble of {found.ensemble.num_networks}", *texts))
    note = (
        f"Means over {len(judged[0][1].runs)} seeds that the search has not used ± 95 % confidence "
        "intervals. The test rows were looked at once the search was over. The ensemble is the "
        "mean of networks of the best settings, weighed on the "
    )
    note += "validation rows." if found.tune.folds is None else "rows that the folds hold out."
    titles = ("settings", *(f"{part} {figure}" for part, figure in names))
    return TextTable(titles, rows, note)


def _headline(found: Findings, judged: Judged) -> list[tuple[HeldOutPart, str]]:
    """Return the figures that are shown: of each part, the metric, the loss and the first other."""
    shown = []
    for part in dict.fromkeys(part for part, _ in judged.names):
        figures = [figure for other, figure in judged.names if other == part]
        first = next((figure for figure in figures if metric_of(figure) != "loss"), "loss")
        chosen = dict.fromkeys((found.tune.metric, "loss", first))
        shown += [(part, figure) for figure in chosen if figure in figures]
    return shown


def value_text(value: JsonValue) -> str:
    """Write a setting."""
    return number_text(value, 4) if isinstance(value, float) else str(value)


def _interval(interval: Interval | None) -> str:
    if interval is None:
        return "–"
    return error_text(interval.mean, interval.high - interval.mean)
