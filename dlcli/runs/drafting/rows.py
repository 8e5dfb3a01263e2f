"""Which rows of a table train, validate and test: a split, or folds where they work."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dlcli.config import Config, LoadedConfig
from dlcli.config.text.parsing import Document
from dlcli.data.dataset import Dataset, load_dataset
from dlcli.data.folding.rows import fold_rows
from dlcli.data.survey.survey import Survey
from dlcli.errors import ConfigError, DataError, DlcliError, Place
from dlcli.runs.drafting.best import best_shares
from dlcli.runs.drafting.effort import Effort
from dlcli.runs.drafting.image_files import image_folds
from dlcli.runs.drafting.quick import quick_shares
from dlcli.runs.drafting.recipe import KnownRows
from dlcli.runs.drafting.standard import wanted_folds, why_folded
from dlcli.runs.drafting.texts import text_folds

_FEWER_FOLDS = (3, 2)  # where those that are wanted don't work


@dataclass(frozen=True)
class SettledRows:
    """The `data` section with its split, and the rows as it encodes them."""

    section: dict[str, Any]
    why_split: str
    dataset: Dataset
    left_out: list[str]  # findings on features that the training rows can't use
    known: KnownRows


@dataclass(frozen=True)
class _Folds:
    number: int | None
    why_none: str = ""


def settle_rows(
    seen: Survey, section: Mapping[str, Any], folder: Path, *, source: str, effort: Effort
) -> SettledRows:
    """Choose the split by effort, and read the rows; `section` is `data` without a split.

    Raises ConfigError and DataError for rows that can't be used.
    """
    folds = _wanted(seen, effort)
    if effort == "best" and seen.grid is None and seen.images is None and not seen.texts:
        try:
            return _settle(seen, section, folder, source, folds, best_shares())
        except (ConfigError, DataError) as error:
            settled = settle_rows(seen, section, folder, source=source, effort="standard")
            known = replace(settled.known, why_no_search=_first_line(error))
            return replace(settled, known=known)
    return _settle(seen, section, folder, source, folds, quick_shares(seen.num_rows))


def _settle(
    seen: Survey,
    section: Mapping[str, Any],
    folder: Path,
    source: str,
    folds: _Folds,
    split: tuple[Mapping[str, float], str],
) -> SettledRows:
    """Read the rows with these fractions of them, and see whether so many folds work."""
    shares, why = split
    settled = {**section, "split": _split(seen, shares)}
    dataset, left_out = _load(settled, folder, source=source)
    if folds.number is not None:
        folds = _that_work(settled, folder, folds.number, source=source)
    if folds.number is not None:
        why = why_folded(has_validation="validation" in shares)
    return SettledRows(settled, why, dataset, left_out, _known(seen, dataset, folds))


def _wanted(seen: Survey, effort: Effort) -> _Folds:
    if effort == "quick" or seen.grid is not None:
        return _Folds(None)
    if seen.images is not None:
        return _Folds(image_folds(effort, seen.num_rows))
    if seen.texts:
        return _Folds(text_folds(seen.num_rows))
    if seen.split_by is not None and seen.split_by.key == "time":
        return _Folds(
            None, "with rows in the order of their times, most folds would learn from few of them"
        )
    number = wanted_folds(seen.num_rows)
    return _Folds(number, "" if number else f"{seen.num_rows:,} rows would take too long")


def _that_work(section: Mapping[str, Any], folder: Path, wanted: int, *, source: str) -> _Folds:
    """Cut the rows and fit each fold, with fewer where so many don't work."""
    loaded = _minimal_config(section, folder, source=source)
    why = ""
    for number in (wanted, *(few for few in _FEWER_FOLDS if few < wanted)):
        try:
            rows = fold_rows(loaded, number)
            for fold in range(number):
                rows.dataset(fold)
        except (ConfigError, DataError) as error:
            why = why or _first_line(error)
        else:
            return _Folds(number)
    return _Folds(None, why)


def _first_line(error: DlcliError) -> str:
    return str(error).partition("\n")[0]


def _known(seen: Survey, dataset: Dataset, folds: _Folds) -> KnownRows:
    signature, target = dataset.fitted.signature(), dataset.fitted.target
    num_train = dataset.num_rows["train"]
    if folds.number is not None:
        num_folded = num_train + dataset.num_rows.get("validation", 0)
        num_train = round(num_folded * (folds.number - 1) / folds.number)
    return KnownRows(
        seen=seen,
        num_train=num_train,
        num_inputs=signature.num_inputs,
        num_numeric=len(signature.numeric),
        num_classes=signature.num_classes,
        has_validation="validation" in dataset.parts,
        num_folds=folds.number,
        why_no_folds=folds.why_none,
        has_table=signature.has_table,
        class_counts=dict(zip(target.class_names, target.class_counts, strict=True))
        if target.class_names
        else {},
    )


def _split(seen: Survey, shares: Mapping[str, float]) -> dict[str, Any]:
    if seen.part_column is not None:
        return {"column": seen.part_column}
    if seen.split_by is None:
        return dict(shares)
    return {seen.split_by.key: seen.split_by.column, **shares}


def _load(section: dict[str, Any], folder: Path, *, source: str) -> tuple[Dataset, list[str]]:
    """Load the data without features that the training rows can't use, with findings on those.

    Removes them from the section's `features`. Raises ConfigError where anything else is wrong.
    """
    in_memory = {**section, "streaming": False}
    try:
        return load_dataset(_minimal_config(in_memory, folder, source=source)), []
    except ConfigError as error:
        features = section.get("features", [])
        paths = {f"data.features[{number}]": name for number, name in enumerate(features)}
        if not error.problems or any(problem.path not in paths for problem in error.problems):
            raise
        reasons = {paths[problem.path]: problem.message for problem in error.problems}
    section["features"] = [name for name in features if name not in reasons]
    if not section["features"]:
        raise DataError(f"{source}: no column to learn from: {'; '.join(reasons.values())}")
    dataset, more = _load(section, folder, source=source)
    return dataset, [f"left out, {reason} (data.features)" for reason in reasons.values()] + more


def _minimal_config(section: Mapping[str, Any], folder: Path, *, source: str) -> LoadedConfig:
    """Return a config for loading this data."""
    config = Config.model_validate(
        {"name": "init", "data": section, "model": {"layers": [{"type": "dense"}]}}
    )
    return LoadedConfig(config, folder, Document({}, {(): Place(source)}))
