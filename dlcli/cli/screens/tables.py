"""Tables on the terminal: inferred columns, layers, costs, metrics, confusion matrices."""

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import StringIO
from typing import TYPE_CHECKING, Any, TextIO, cast

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from dlcli.cli.output import unwritable
from dlcli.columns.unseen import UnseenCells
from dlcli.data.checks import shortlist
from dlcli.layers.base import FLOAT_BYTES
from dlcli.metrics import metric_of
from dlcli.network.layout import draw_branches, layout_rows
from dlcli.numbers import number_text
from dlcli.tables.sources import setting_text

if TYPE_CHECKING:
    from dlcli.data.fitting import ColumnReport
    from dlcli.runs.preparation import Prepared
    from dlcli.runs.training.events import TrainingStarted
    from dlcli.runs.training.resume import Resumed
    from dlcli.targets.base import Target
    from dlcli.training.device import Placement
    from dlcli.training.processes.estimate import StepEstimate

_MAX_LISTED = 12  # columns that are listed one by one
_MAX_TABLE = 100  # columns of a data table, beyond which one line sums them up
_MAX_CLASSES = 12  # of a confusion matrix that fits on a screen


class _Screen:
    """A text stream: failing writes raise StorageError, or are ignored if it `may_vanish`."""

    def __init__(self, stream: TextIO, *, may_vanish: bool) -> None:
        self._stream = stream
        self._may_vanish = may_vanish

    def write(self, text: str) -> int:
        with self._explained():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self._explained():
            self._stream.flush()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if not self._may_vanish:
                raise unwritable(error) from None

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever else a stream has
        return getattr(self._stream, name)


def open_console(*, to_stderr: bool, may_vanish: bool = False, is_silent: bool = False) -> Console:
    """Open a rich console; without a terminal, lines are up to 200 characters.

    Standard error, and a stream that `may_vanish`, can be closed without ending the command.
    """
    screen = _Screen(sys.stderr if to_stderr else sys.stdout, may_vanish=may_vanish or to_stderr)
    if is_silent:
        return Console(file=StringIO(), quiet=True)
    width = None if screen.isatty() else 200
    return Console(file=cast("TextIO", screen), highlight=False, width=width)


def show_unseen(console: Console, unseen: Iterable[UnseenCells]) -> None:
    """Show what training had not seen, in bold where a column holds almost nothing else."""
    for cells in unseen:
        if cells.are_most:
            console.print(Text(f"warning: {cells.warning}", style="bold yellow"), soft_wrap=True)
        else:
            console.print(escape(str(cells)))


def show_start(console: Console, started: "TrainingStarted") -> None:
    """Show what was read and inferred, the layers, the device, the engine and the threads."""
    prepared = started.prepared
    engine, threads = started.engine, started.threads
    show_network(console, prepared, started.placement)
    console.print(f"[bold]engine[/] {engine.name}: {escape(engine.reason)} (training.engine)")
    if prepared.config.training.shards > 1:
        _show_shards(console, started)
    console.print(f"[bold]threads[/] {threads.number}: {escape(threads.reason)} (training.threads)")


def show_network(console: Console, prepared: "Prepared", placement: "Placement") -> None:
    """Show what was read and inferred, the layers and the device."""
    dataset = prepared.dataset
    rows = ", ".join(f"{count:,} {name}" for name, count in dataset.num_rows.items())
    data = prepared.config.data
    path = escape(setting_text(data.path))
    console.print(f"[bold]data[/] {path}: {rows} rows; {escape(data.target_text)}")
    _show_columns(console, prepared)
    for note in prepared.notes:
        console.print(f"  {escape(note)}")
    _show_layers(console, prepared)
    precision = str(placement.dtype).removeprefix("torch.")
    console.print(
        f"[bold]device[/] {placement.device}, {precision}: {escape(placement.reason)} "
        "(training.device, training.precision)"
    )
    show_augmentations(console, prepared)
    ema, optimizer = prepared.config.training.ema, prepared.config.optimizer
    if optimizer.averages_weights:
        console.print(
            f"[bold]weights[/] averaged by {optimizer.type}: the average is judged, saved and "
            "predicted with (optimizer.type)"
        )
    if ema is not None:
        console.print(
            f"[bold]weights[/] averaged with decay {ema.decay:g}: the average is judged, saved and "
            "predicted with (training.ema)"
        )


def show_augmentations(console: Console, prepared: "Prepared") -> None:
    """Show how training rows are augmented, if they are."""
    augment = prepared.config.training.augment
    if augment:
        each = "; ".join(f"{one.type}: {one.in_short}" for one in augment)
        console.print(
            f"[bold]augmented[/] training rows alone, anew in each epoch: {each} "
            "(training.augment)",
            soft_wrap=True,
        )


def _show_shards(console: Console, started: "TrainingStarted") -> None:
    """Show how batches are cut, and which layers look at the rows of each part by themselves."""
    shards = started.prepared.config.training.shards
    number = started.num_processes
    processes = "one process" if number == 1 else f"{number} processes"
    text = f"parts of each batch, shared by {processes} (training.shards)"
    layers = (layer.config for _, layer in started.prepared.plan.modules())
    if mixing := sorted({layer.type for layer in layers if layer.traits.row_mixing}):
        text += f"; {', '.join(mixing)} takes the statistics of each part by itself"
    console.print(f"[bold]shards[/] {shards} {text}")
    show_estimates(console, started.estimates)


def show_estimates(console: Console, estimates: "Sequence[StepEstimate]") -> None:
    """Show how long a step takes on several numbers of processes, and which number is best."""
    if not estimates:
        return
    each = [
        f"{one.seconds * 1e3:.2g} ms on {one.num_processes}"
        + (f" ({one.exchange_seconds * 1e3:.2g} of exchange)" if one.num_processes > 1 else "")
        for one in estimates
    ]
    best = min(estimates, key=lambda one: one.seconds).num_processes
    process = "process" if best == 1 else "processes"
    console.print(
        f"[bold]step[/] about {', '.join(each)}: {best} {process} would be the fastest of these"
    )


def show_resumed(console: Console, resumed: "Resumed") -> None:
    """Show where a run resumes, and what has changed."""
    step = f", after step {resumed.num_steps:,} of it" if resumed.num_steps else ""
    console.print(f"[bold]resumed[/] in epoch {resumed.epoch}{step}")
    for note in resumed.notes:
        console.print(f"  {escape(note)}")


def show_figures(console: Console, figures: Mapping[str, Mapping[str, Any] | None]) -> None:
    """Show metrics in a table, a column for each part of the data."""
    parts = {name: part for name, part in figures.items() if part is not None}
    names = list(dict.fromkeys(key for part in parts.values() for key in part))
    table = Table("", *parts)
    for name in names:
        if not any(isinstance(part.get(name), list | dict) for part in parts.values()):
            table.add_row(escape(name), *(_figure(part.get(name)) for part in parts.values()))
    console.print(table)


def show_baselines(console: Console, figures: Mapping[str, Mapping[str, Any] | None]) -> None:
    """Show a forecast beside those that need no network, on the part that it is judged on."""
    judged = [name for name in ("data", "test", "validation") if figures.get(name)]
    part = judged[0] if judged else ""
    found = figures.get(part) or {}
    if "baselines" not in found:
        return
    names = [name for name in found if isinstance(found[name], float)]
    names.remove("loss")
    table = Table(f"forecast of {part} windows", *names)
    for title, of in (("network", found), *found["baselines"].items()):
        table.add_row(title, *(_figure(of.get(name)) for name in names))
    console.print(table)


def show_labels(console: Console, figures: Mapping[str, Any]) -> None:
    """Show the figures of each label, where there are some and the screen has room for them."""
    for key, found in figures.items():
        if metric_of(key) != "by_label" or not 0 < len(found or {}) <= _MAX_CLASSES:
            continue
        names = next(iter(found.values()))
        target = key.rpartition(".")[0]
        table = Table(f"{escape(target)}: label" if target else "label", *names)
        for label, of in found.items():
            table.add_row(
                escape(label), f"{of['rows']:.10g}", *(_figure(of[name]) for name in [*names][1:])
            )
        console.print(table)


def show_confusions(console: Console, figures: Mapping[str, Any] | None, target: "Target") -> None:
    """Show the confusion matrix of a target, or of each of several, where there is one."""
    for part in target.parts:
        name = part.name if len(target.parts) > 1 else ""
        matrix = (figures or {}).get(f"{name}.confusion_matrix" if name else "confusion_matrix")
        if matrix is not None:
            show_confusion(console, matrix, part.class_names, name)


def show_confusion(
    console: Console, matrix: list[list[float]], classes: tuple[str, ...], target: str = ""
) -> None:
    """Show a confusion matrix, true classes in rows, unless it is too large for a screen."""
    if len(matrix) > _MAX_CLASSES:
        return
    corner = f"{escape(target)}: true" if target else "true"
    table = Table(f"{corner} \\ predicted", *map(escape, classes))
    for name, counts in zip(classes, matrix, strict=True):
        table.add_row(escape(name), *(f"{count:.10g}" for count in counts))
    console.print(table)


def show_costs(console: Console, prepared: "Prepared") -> None:
    """Show the parameters, operations and memory of each layer."""
    plan, settings = prepared.plan, prepared.config.training
    num_rows = prepared.dataset.num_rows["train"]
    batch_size = settings.rows_per_batch(num_rows)
    for line in draw_branches(plan):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    table = Table("layer", "output shape")
    for title in ("parameters", "multiply-adds per row", f"memory for {batch_size:,} rows"):
        table.add_column(title, justify="right")
    for row in layout_rows(plan):
        title = "  " * row.depth + row.title
        if row.multiply_adds is None or row.num_kept is None:
            table.add_row(escape(title), row.shape)
            continue
        memory = format_bytes(row.num_kept * batch_size * FLOAT_BYTES)
        counts = (f"{row.num_parameters:,}", f"{row.multiply_adds:,}")
        table.add_row(escape(title), row.shape, *counts, memory)
    memory = format_bytes(plan.activation_bytes(batch_size))
    figures = (f"{plan.num_parameters:,}", f"{plan.multiply_adds:,}", memory)
    table.add_row("total", "", *figures, style="bold")
    if plan.frozen:
        table.add_row("trained", "", f"{plan.num_trained:,}", "", "")
    console.print(table)
    if plan.num_embedding_parameters:
        names = ", ".join(embedding.name for embedding in plan.signature.embeddings)
        console.print(
            f"  {plan.num_embedding_parameters:,} of the parameters are embeddings: {names}",
            markup=False,
        )
    optimizer = prepared.config.optimizer
    num_kept = optimizer.num_kept(plan.num_trained, plan.matrices)
    console.print(
        f"  weights, gradients and {optimizer.type}'s state: "
        f"{format_bytes(plan.training_bytes(num_kept))}"
    )
    show_augmentations(console, prepared)


def _figure(value: float | None) -> str:
    return "–" if value is None else number_text(value, 4)


def _show_columns(console: Console, prepared: "Prepared") -> None:
    reports = prepared.dataset.columns
    used = [report for report in reports if report.kind is not None]
    left_out = [report for report in reports if report.kind is None]
    if len(reports) > _MAX_TABLE:
        console.print(f"[bold]columns[/] {escape(_in_one_line(reports))}", soft_wrap=True)
        return
    table = Table("column", "kind", "reason", "missing", "encoding")
    for report in used[:_MAX_LISTED] + left_out:
        kind = report.kind or "left out"
        missing = str(report.num_missing or "")
        table.add_row(escape(report.name), kind, escape(report.reason), missing, report.encoding)
    console.print(table)
    if len(used) > _MAX_LISTED:
        kinds = Counter(str(report.kind) for report in used[_MAX_LISTED:])
        rest = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
        console.print(f"  and {rest} more columns")


def _in_one_line(reports: "Sequence[ColumnReport]") -> str:
    """Return how many columns there are of each kind, and left out for each reason."""
    kinds = Counter(report.kind for report in reports if report.kind is not None)
    parts = [", ".join(f"{count:,} {kind}" for kind, count in kinds.items())]
    num_missing = sum(report.kind is not None and report.num_missing > 0 for report in reports)
    if num_missing:
        parts.append(f"{num_missing:,} of them with missing values")
    reasons: dict[str, list[str]] = {}
    for report in reports:
        if report.kind is None:
            reasons.setdefault(report.reason, []).append(report.name)
    parts += [
        f"{len(names):,} left out, {reason} ({shortlist(names)})"
        for reason, names in reasons.items()
    ]
    return f"{len(reports):,}: {'; '.join(parts)}"


def _show_layers(console: Console, prepared: "Prepared") -> None:
    plan = prepared.plan
    table = Table("layer", "output shape", "parameters", title_justify="left")
    for row in layout_rows(plan):
        title = "  " * row.depth + row.title
        table.add_row(escape(title), row.shape, _count(row.num_parameters))
    table.add_row("total", "", f"{plan.num_parameters:,}", style="bold")
    if plan.frozen:
        table.add_row("trained", "", f"{plan.num_trained:,}")
    console.print(table)


def format_bytes(number: int) -> str:
    """Write a number of bytes with a suitable unit."""
    size, unit = float(number), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.3g} {unit}" if size < 1000 else f"{size:.0f} {unit}"


def _count(number: int) -> str:
    return f"{number:,}" if number else ""
