"""What `dlcli init` finds in a table: task, kinds of columns, images, warnings."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from dlcli.columns.base import Column
from dlcli.columns.cells import (
    TARGET,
    has_encoding,
    parse_datetimes,
    parse_numbers,
    read_cells,
    to_labels,
)
from dlcli.columns.cells.named_files import may_name_images
from dlcli.columns.family import (
    ColumnKind,
    column_statistics,
    infer_kind,
    kind_named,
    no_encoding,
)
from dlcli.columns.numeric import refuse_mixed
from dlcli.config.sections.data import DataConfig
from dlcli.data.checks import describe_left_out, without_column
from dlcli.data.survey.class_order import order_hint
from dlcli.data.survey.findings import (
    class_findings,
    code_findings,
    column_findings,
    label_findings,
    row_findings,
    why_useless,
)
from dlcli.data.survey.forecasts import forecast_findings
from dlcli.data.survey.grids import find_grid, resembles_image
from dlcli.data.survey.image_summary import SeenImages, look_at_images
from dlcli.data.survey.images import image_findings
from dlcli.data.survey.missing_words import left_out, settle_missing_words
from dlcli.data.survey.roles import SplitRole, find_split_roles
from dlcli.data.survey.skewness import find_skew
from dlcli.data.survey.texts import SeenText, recognise_texts
from dlcli.data.survey.weight_columns import weight_findings
from dlcli.data.text_files import TextFinding, recognition_notes, text_findings, why_nameless
from dlcli.errors import ConfigError, DataError
from dlcli.tables.image_files import LABEL, PART
from dlcli.tables.names import normalise_name
from dlcli.tables.reading import read_table
from dlcli.tables.sources import Source
from dlcli.tables.table import Table
from dlcli.targets.base import present
from dlcli.targets.family import infer_task, target_type
from dlcli.targets.task import Task

_MAX_STRANGE_TEXTS = 2  # in a numeric column; more can't all mean a missing value
_SAMPLE_ROWS = 20_000


@dataclass(frozen=True)
class Survey:
    """Values for the config's `data` section, and findings for the user to check."""

    target: str
    task: Task
    task_reason: str
    order_hint: str | None  # a sentence on classes that may have an order
    num_rows: int  # with a target
    num_without_target: int
    num_columns: int  # without the target
    text: dict[str, TextFinding]  # how a text file is written, by config key, if not plainly
    missing_values: tuple[str, ...]
    kinds: dict[str, ColumnKind]  # overriding inferred ones
    features: tuple[str, ...] | None  # None: every column but the target
    split_by: SplitRole | None  # the column to split by
    wants_log: bool  # whether the network should learn the target's logarithm
    grid: tuple[int, int] | None  # [height, width] of the image that each row is
    images: SeenImages | None  # in the files that columns name
    texts: dict[str, SeenText]  # by the column's name
    part_column: str | None  # which says what row is in which part
    findings: tuple[str, ...]


def survey(source: Source, target: str, said: DataConfig) -> Survey:
    """Survey a source; ConfigError if it has no such target, DataError if it can't be used.

    `said` holds what is said of how text files are written.
    """
    is_folder = any(part.images is not None for part in source.parts)
    target = normalise_name(target) or (LABEL if is_folder else "")
    table, findings = _read(source, target, said)
    missing_values, words = settle_missing_words(table, target)
    missing_values, kinds, strange = _settle_mixed(table, target, missing_values)
    findings += [*words, *strange.values(), *left_out(table, target, missing_values)]
    rows = table.take(present(table, [target], missing_values))
    if not len(rows):
        raise DataError(f"{source}: the target '{target}' is missing in every row")
    statistics = column_statistics(rows, target, missing_values, wants_labels=True)
    refuse_mixed(statistics, TARGET)
    task, reason = infer_task(statistics)
    columns = {name: read_cells(rows, name, missing_values) for name in rows.frame.columns}
    targets = columns.pop(target)
    part_column = PART if is_folder and PART in columns else None
    if part_column is not None:
        del columns[part_column]
    pictures = {name: cells for name, cells in columns.items() if may_name_images(cells, rows)}
    others = {name: cells for name, cells in columns.items() if name not in pictures}
    grid = None if pictures else _image_grid(columns)
    lacking = _lacking_images(pictures)
    pictures = {name: cells for name, cells in pictures.items() if name not in lacking}
    texts = {} if grid else recognise_texts(others, has_images=bool(pictures))
    others = {name: cells for name, cells in others.items() if name not in texts}
    useless = {} if grid else {**lacking, **_useless(others, kinds)}
    used = {name: cells for name, cells in others.items() if name not in useless}
    if not used and not pictures and not texts:
        reasons = "; ".join(f"'{name}': {why}" for name, why in useless.items())
        why = reasons or f"there is only the target '{target}'"
        raise DataError(f"{source}: no column to learn from: {why}")
    findings += describe_left_out(useless)
    findings += code_findings(used, targets)
    if grid is None and used:
        findings += weight_findings(used, are_listed=bool(useless))
    labels = targets if task == "regression" else to_labels(targets)
    notes, wants_log = _look_at_target(targets, labels, task)
    findings += notes
    split_by = None
    if grid is None and used:
        split_by, notes = _choose_split(used, labels, task)
        findings += notes
        if split_by is not None and split_by.column in kinds:
            del kinds[split_by.column]
            findings.remove(strange[split_by.column])  # it is no feature
    features = {
        name: cells for name, cells in columns.items() if name in (*used, *texts, *pictures)
    }
    findings += [text.finding for text in texts.values()]
    findings += row_findings(pl.DataFrame(list(features.values())), labels, task)
    if grid is None and used:
        findings += _sampled_findings(used, kinds, labels, task)
        findings += forecast_findings(rows, target, task)
    for picture in pictures:
        labelled_by = None if task == "regression" else target
        findings += image_findings(rows, picture, label=labelled_by, part=part_column)
    kinds |= {} if is_folder else dict.fromkeys(pictures, "image")
    kinds |= dict.fromkeys(texts, "text")
    return Survey(
        target=target,
        task=task,
        task_reason=reason,
        order_hint=None if task == "regression" else order_hint(labels, task),
        num_rows=len(rows),
        num_without_target=len(table) - len(rows),
        num_columns=len(columns),
        text=text_findings(table, said),
        missing_values=missing_values,
        kinds=kinds,
        features=tuple(features) if useless else None,
        split_by=split_by,
        wants_log=wants_log,
        grid=grid,
        images=look_at_images(pictures, rows) if pictures else None,
        texts=texts,
        part_column=part_column,
        findings=tuple(findings),
    )


def _read(source: Source, target: str, said: DataConfig) -> tuple[Table, list[str]]:
    """Return the columns that can be used, and findings; ConfigError, DataError."""
    if source.is_standard_input:
        raise ConfigError("DATA: standard input can't be read again for training; name a file")
    table = read_table(source, replace(said.text_format, said_by="option"))
    if not target:
        known = table.known_columns("")
        raise ConfigError(f"--target: say which column of {source} to predict{known}")
    if target not in table.frame.columns:
        raise ConfigError(f"--target: {source} {without_column(target, table)}")
    table, findings = _without_nameless(table, target)
    table, more = _without_unencodable(table, target)
    return table, [*recognition_notes([table]), *findings, *more]


def _look_at_target(targets: pl.Series, labels: pl.Series, task: Task) -> tuple[list[str], bool]:
    """Return findings on the target, and whether its logarithm should be learned."""
    if target_type(task).has_classes:
        return [*class_findings(labels, task)], False
    if target_type(task).has_labels:
        return [*label_findings(labels)], False
    skew = find_skew(targets.name, parse_numbers(targets).to_numpy())
    return ([], False) if skew is None else ([skew.finding], skew.wants_log)


def _sampled_findings(
    used: dict[str, pl.Series], kinds: dict[str, ColumnKind], labels: pl.Series, task: Task
) -> Iterator[str]:
    """Yield findings on single columns, by a sample of their rows."""
    sample = np.random.default_rng(0).permutation(len(labels))[:_SAMPLE_ROWS]
    sampled = {name: cells[sample] for name, cells in used.items()}
    kind_of = {name: _kind(cells, kinds.get(name)) for name, cells in used.items()}
    return column_findings(sampled, kind_of, labels[sample], task)


def _choose_split(
    used: dict[str, pl.Series], labels: pl.Series, task: Task
) -> tuple[SplitRole | None, list[str]]:
    """Return the column to split by, which is taken out of the ones used, and findings."""
    roles = find_split_roles(used, labels, task)
    if not roles:
        return None, []
    del used[roles[0].column]
    findings = [f"{roles[0].reason}, so {roles[0].consequence}"]
    findings += [
        f"{role.reason}; to split by it instead, replace '{roles[0].key}: {roles[0].column}' in "
        f"data.split with '{role.key}: {role.column}'"
        for role in roles[1:2]
        if role.key != roles[0].key
    ]
    return roles[0], findings


def _without_nameless(table: Table, target: str) -> tuple[Table, list[str]]:
    """Return the table without columns that have no name, and findings on them."""
    dropped = [name for name in table.nameless if name != target]
    findings = describe_left_out({name: f"it {why_nameless(table, name)}" for name in dropped})
    return replace(table, frame=table.frame.drop(dropped)), findings


def _without_unencodable(table: Table, target: str) -> tuple[Table, list[str]]:
    """Return the table without columns whose types have no encoding, and findings on them."""
    dropped = {
        name: dtype
        for name, dtype in table.frame.schema.items()
        if name != target and not has_encoding(dtype)
    }
    findings = describe_left_out(
        {name: no_encoding(name, dtype) for name, dtype in dropped.items()}
    )
    return replace(table, frame=table.frame.drop(dropped)), findings


def _settle_mixed(
    table: Table, target: str, missing_values: tuple[str, ...]
) -> tuple[tuple[str, ...], dict[str, ColumnKind], dict[str, str]]:
    """Decide on columns with text among numbers or dates: missing values, or categories.

    Returns the texts that mean missing, the kinds of the categorical columns, and a finding on each
    column.
    """
    kinds: dict[str, ColumnKind] = {}
    findings: dict[str, str] = {}
    for name in table.frame.columns:
        cells = read_cells(table, name, missing_values, takes_lists=True)
        if name == target or not infer_kind(cells).mixed:
            continue
        what, parsed = "numbers", parse_numbers(cells)
        dates = parse_datetimes(cells)
        if dates.count() > parsed.count():
            what, parsed = "dates", dates
        strange = cells.filter(cells.is_not_null() & parsed.is_null())
        texts = strange.unique(maintain_order=True).to_list()
        if len(texts) <= _MAX_STRANGE_TEXTS:
            missing_values += tuple(texts)
            written = " and ".join(f"'{text}'" for text in texts)
            findings[name] = (
                f"'{name}' has {written} among its {what}, {len(strange):,} times: treated as "
                "missing, in this and every other column (data.missing_values)"
            )
        else:
            kinds[name] = "categorical"
            findings[name] = (
                f"'{name}' has {len(texts)} texts among its {what}, such as '{texts[0]}': treated "
                "as categories (data.kinds)"
            )
    return missing_values, kinds, findings


def _lacking_images(pictures: dict[str, pl.Series]) -> dict[str, str]:
    """Return those with empty cells, and why they can't be used, where others have none."""
    lacking = {
        name: f"{cells.null_count():,} of its cells are empty, and no image can be missing"
        for name, cells in pictures.items()
        if cells.null_count()
    }
    return lacking if len(lacking) < len(pictures) else {}


def _useless(columns: dict[str, pl.Series], kinds: dict[str, ColumnKind]) -> dict[str, str]:
    reasons = ((name, why_useless(cells)) for name, cells in columns.items() if name not in kinds)
    return {name: reason for name, reason in reasons if reason is not None}


def _kind(cells: pl.Series, given: ColumnKind | None) -> type[Column]:
    kind = infer_kind(cells).kind if given is None else kind_named(given)
    assert kind is not None, "columns that can't be used are left out"
    return kind


def _image_grid(columns: dict[str, pl.Series]) -> tuple[int, int] | None:
    grid = find_grid(list(columns))
    if grid is None or not all(_is_number(cells) for cells in columns.values()):
        return None
    sampled = []
    for cells in columns.values():
        numbers = parse_numbers(cells).to_numpy()
        if not np.isfinite(numbers).all():  # an array has no place for a missing value
            return None
        sampled.append(numbers[:_SAMPLE_ROWS])
    return grid if resembles_image(np.column_stack(sampled), grid) else None


def _is_number(cells: pl.Series) -> bool:
    kind = infer_kind(cells).kind
    return kind is not None and kind.axis == "number"
