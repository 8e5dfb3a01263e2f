"""A search on a terminal: its space and cost, the best settings, which mattered."""

from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dlcli.cli.screens.comparison_tables import show_table
from dlcli.errors import counted
from dlcli.tables.sources import setting_text

if TYPE_CHECKING:
    from dlcli.runs.searching.tune import SearchStarted
    from dlcli.trials.searching.findings import Findings


def show_search_start(console: Console, started: "SearchStarted") -> None:
    """Show the data, the space, how it is searched, and the cost."""
    searchable, search = started.searchable, started.search
    prepared, tune = searchable.prepared, searchable.tune
    data = prepared.config.data
    rows = ", ".join(f"{count:,} {name}" for name, count in prepared.dataset.num_rows.items())
    path = escape(setting_text(data.path))
    console.print(f"[bold]data[/] {path}: {rows} rows; {escape(data.target_text)}")
    for note in (*prepared.notes, *searchable.notes, *started.notes):
        console.print(f"  {escape(note)}")
    table = Table("key", "values")
    for key, spread in searchable.space.items():
        [(kind, values)] = spread.model_dump(mode="json", exclude_none=True).items()
        table.add_row(escape(key), escape(f"{kind} {', '.join(map(str, values))}"))
    console.print(table)
    placement = started.placement
    console.print(f"[bold]device[/] {placement.device}: {escape(placement.reason)}")
    epochs = ", ".join(map(str, search.rungs))
    short = f"; epochs {epochs} (tune.halving)" if len(search.rungs) > 1 else ""
    judge = "validation" if tune.folds is None else "held-out"
    limit = "" if tune.time is None else f", within {tune.time:g} s (tune.time)"
    console.print(
        f"[bold]search[/] {counted(tune.trials, 'setting')} (tune.trials), sampled by "
        f"{tune.sampler} (tune.sampler), judged by the {judge} {tune.metric} (tune.metric)"
        f"{short}{limit}"
    )
    done = f"; {counted(started.num_finished, 'trial')} finished before"
    console.print(
        f"[bold]cost[/] at most about {started.seconds_per_setting:.2g} s for a setting by itself, "
        f"{search.rungs[-1]} epochs{done if started.num_finished else ''}"
    )


def show_findings(console: Console, found: "Findings") -> None:
    """Show the best settings, which settings mattered, and what is known of the best."""
    from dlcli.report.search.tables import importance_table, trials_table
    from dlcli.trials.searching.verdict_text import describe_findings

    show_table(console, trials_table(found, max_rows=10, max_columns=4))
    importance = importance_table(found)
    if isinstance(importance, str):
        console.print(escape(importance))
    else:
        show_table(console, importance)
    if found.refused:
        first = found.refused[0]
        console.print(
            f"{counted(len(found.refused), 'sampled setting')} refused, the first as "
            f"{escape(first.reason)}"
        )
    console.print(f"[bold]{escape(describe_findings(found))}[/]")
