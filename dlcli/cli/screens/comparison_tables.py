"""A comparison on a terminal: its cost, the results, the verdict."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dlcli.tables.sources import setting_text

if TYPE_CHECKING:
    from dlcli.report.table import TextTable
    from dlcli.runs.comparison.compare import ComparisonStarted
    from dlcli.trials.comparing.comparison import Comparison
    from dlcli.trials.comparing.profiles import Profile


def show_comparison_start(console: Console, started: "ComparisonStarted") -> None:
    """Show the data, the optimizers, how they are compared, and the cost."""
    comparable, protocol, cost = started.comparable, started.protocol, started.cost
    prepared = comparable.prepared
    data = prepared.config.data
    rows = ", ".join(f"{count:,} {name}" for name, count in prepared.dataset.num_rows.items())
    path = escape(setting_text(data.path))
    console.print(f"[bold]data[/] {path}: {rows} rows; {escape(data.target_text)}")
    for note in (*prepared.notes, *comparable.candidates.notes, *started.notes):
        console.print(f"  {escape(note)}")
    table = Table("optimizer", "settings", "initial learning rates")
    for name, optimizer in protocol.optimizers.items():
        settings = optimizer.model_dump(exclude={"type", "lr"}, exclude_defaults=True)
        text = ", ".join(f"{key} {_setting(value)}" for key, value in settings.items())
        grid = "  ".join(f"{lr:g}" for lr in protocol.grids[name])
        table.add_row(escape(name), escape(f"{optimizer.type} {text}".strip()), grid)
    console.print(table)
    placement = started.placement
    console.print(f"[bold]device[/] {placement.device}: {escape(placement.reason)}")
    tuning, judging = protocol.tuning_seeds, protocol.seeds
    console.print(
        f"[bold]seeds[/] {_span(tuning)} to choose the rates (compare.tuning_seeds), "
        f"{_span(judging)} to judge the optimizers (compare.seeds)"
    )
    done = f", {started.num_finished:,} finished before" if started.num_finished else ""
    console.print(
        f"[bold]cost[/] {cost.num_runs:,} runs{done}; at most {cost.max_steps:,} steps, about "
        f"{_duration(cost.seconds)}",
    )
    if cost.max_growths:
        console.print(
            f"  plus up to {cost.max_growths} more rates per optimizer if a best rate is at an "
            f"edge of its grid: {cost.num_runs_per_growth} runs, about "
            f"{_duration(cost.seconds_per_growth)} each (compare.most_lrs)",
        )


def show_comparison(console: Console, comparison: "Comparison") -> None:
    """Show each optimizer's results, best first, and the verdict in words."""
    from dlcli.report.comparison.tables import comparison_table
    from dlcli.trials.comparing.verdict_text import describe_verdict

    show_table(console, comparison_table(comparison))
    console.print(f"[bold]{escape(describe_verdict(comparison))}[/]")


def show_profiles(
    console: Console, comparisons: "Sequence[Comparison]", profiles: "Sequence[Profile]"
) -> None:
    """Show how optimizers do over several problems."""
    from dlcli.report.comparison.tables import profiles_table

    show_table(console, profiles_table(comparisons, profiles))


def show_table(console: Console, text: "TextTable") -> None:
    """Show a table of text, its note below."""
    first, *others = text.titles
    table = Table(escape(first))
    for title in others:
        table.add_column(escape(title), justify="right")
    for row in text.rows:
        table.add_row(*map(escape, row))
    console.print(table)
    console.print(escape(text.note), style="dim")


def _setting(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _span(seeds: Sequence[int]) -> str:
    return str(seeds[0]) if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s" if seconds >= 1 else "a second"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"
