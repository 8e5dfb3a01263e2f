"""A data file and its target → a commented config that trains well on it."""

import inspect
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dlcli.config import Config, LoadedConfig
from dlcli.config.sections.data import MISSING_VALUES
from dlcli.config.text.parsing import Document, KeyPath
from dlcli.config.text.writing import dump_commented
from dlcli.config.text_options import file_settings
from dlcli.data.dataset import Dataset, load_dataset
from dlcli.data.survey.findings import repeated_rows
from dlcli.data.survey.survey import Survey, survey
from dlcli.errors import ConfigError, DataError, Place, counted
from dlcli.losses import default_loss
from dlcli.runs.recipe import Recipe, choose_recipe, choose_shares
from dlcli.runs.unused_settings import refuse_unused_options
from dlcli.tables.databases.address import has_password
from dlcli.tables.sources import DataPath, Selection, find_source, moved, setting_text


@dataclass(frozen=True)
class Draft:
    """A config as text, and findings about the data."""

    text: str
    findings: tuple[str, ...]


def draft_config(
    data: DataPath, target: str, *, folder: Path, name: str, overrides: Sequence[str] = ()
) -> Draft:
    """Survey files of rows and draft a config with the file name `name` in `folder`.

    `overrides` say how text files are written, as in "data.decimal=','".
    Raises ConfigError if the rows have no such target, DataError if it can't be used, StorageError
    if it can't be read.
    """
    for item in [data] if isinstance(data, str) else data:
        if has_password(item):
            raise ConfigError(
                "DATA: its password would be written to the config; set an environment variable to "
                "the password or to the whole address, and write '${env:NAME}' for it"
            )
    said = file_settings(overrides)
    source = find_source(data, selection=said.selection)
    refuse_unused_options(said, source)
    seen = survey(source, target, said)
    shares, why_shares = choose_shares(seen.num_rows)
    path = moved(data, Path(), folder)
    section = _data_section(seen, path, said.selection, shares)
    dataset, left_out = _load(section, folder, source=source.name)
    num_train = len(dataset.parts["train"])
    recipe = choose_recipe(
        num_train,
        dataset.fitted.signature().num_inputs,
        seen,
        watched="validation" in dataset.parts,
    )
    findings = [*seen.findings, *left_out]
    if "test" in dataset.parts:
        repeated = repeated_rows(dataset.parts["train"], dataset.parts["test"])
        if repeated:
            findings.append(
                f"{repeated:,} of {len(dataset.parts['test']):,} test rows also occur among the "
                "training rows: the test metrics will look slightly better than they are "
                "(data.split)"
            )
    config = {
        "data": section,
        "model": {"layers": recipe.layers},
        "loss": default_loss(seen.task).type,
        "optimizer": {"type": "adamw", "lr": recipe.lr, "weight_decay": recipe.weight_decay},
        "schedule": {"type": "cosine"},
        "training": _training_section(recipe),
    }
    comments = _comments(seen, recipe, why_shares) | {
        ("data",): "\n".join(
            [
                f"{seen.task}: '{target}' of {_short_name(data)}, from "
                f"{counted(seen.num_columns, 'column')} of {counted(seen.num_rows, 'row')}.",
                "Written by dlcli init from the data; change any value you like.",
                f"  dlcli train {name}",
                *(f"Check: {finding}." for finding in findings),
            ]
        )
    }
    return Draft(dump_commented(config, comments), tuple(findings))


def _short_name(data: DataPath) -> str:
    """Return a file's name without its folders; a pattern as it is."""
    name = setting_text(data)
    return name if "*" in name else Path(name).name


def _data_section(
    seen: Survey, path: DataPath, selection: Selection, shares: dict[str, float]
) -> dict[str, Any]:
    section: dict[str, Any] = {"path": path if isinstance(path, str) else list(path)}
    section |= {key: value for key, value in asdict(selection).items() if value is not None}
    section |= {"target": seen.target, "task": seen.task}
    if seen.features is not None:
        section["features"] = list(seen.features)
    if seen.kinds:
        section["kinds"] = dict(seen.kinds)
    if seen.missing_values != MISSING_VALUES:
        section["missing_values"] = list(seen.missing_values)
    section |= {key: found.value for key, found in seen.text.items()}
    if seen.num_without_target:
        section["drop_missing_target"] = True
    if seen.grid is not None:
        section |= {"scale": "none", "shape": [1, *seen.grid]}
    if seen.wants_log:
        section["target_scale"] = "log"
    if seen.split_by is None:
        return section | {"split": shares}
    return section | {"split": {seen.split_by.key: seen.split_by.column, **shares}}


def _training_section(recipe: Recipe) -> dict[str, Any]:
    section: dict[str, Any] = {"batch_size": recipe.batch_size, "epochs": recipe.epochs}
    if recipe.patience is not None:
        section["early_stopping"] = {"patience": recipe.patience}
    return section


def _comments(seen: Survey, recipe: Recipe, why_shares: str) -> dict[KeyPath, str]:
    comments: dict[KeyPath, str] = {
        ("data", "task"): f"The target has {seen.task_reason}.",
        ("data", "split"): why_shares,
        ("model", "layers"): recipe.why_layers,
        (
            "model",
            "layers",
            len(recipe.layers) - 1,
        ): "Its units come from the target.",
        ("loss",): inspect.getdoc(default_loss(seen.task)) or "",
        ("optimizer", "weight_decay"): recipe.why_weight_decay,
        (
            "schedule",
        ): "From lr down to 0 over all epochs: large steps first, small ones at the end.",
        ("training", "epochs"): recipe.why_epochs,
    }
    if seen.features is not None:
        comments["data", "features"] = (
            "Every column that carries information; for the others, see above."
        )
    if seen.split_by is not None:
        comments["data", "split"] = f"{seen.split_by.reason}. {why_shares}"
    if seen.wants_log:
        comments["data", "target_scale"] = (
            "The target goes over orders of magnitude: errors are relative ones."
        )
    if seen.num_without_target:
        comments["data", "drop_missing_target"] = (
            f"Left out: {counted(seen.num_without_target, 'row')} without '{seen.target}'."
        )
    if seen.missing_values != MISSING_VALUES:
        comments["data", "missing_values"] = "Texts that mean a missing value; see above."
    for key, found in seen.text.items():
        comments["data", key] = found.comment
    if seen.grid is not None:
        height, width = seen.grid
        comments["data", "shape"] = (
            f"The columns count the pixels of an image, {height}×{width}, and neighbouring pixels "
            "are correlated: channels, height, width."
        )
        comments["data", "scale"] = (
            "All pixels share one scale; batch_norm normalises the activations."
        )
    return comments


def _load(section: dict[str, Any], folder: Path, *, source: str) -> tuple[Dataset, list[str]]:
    """Load the data without features that the training rows can't use, with findings on those.

    Removes them from the section's `features`. Raises ConfigError where anything else is wrong.
    """
    try:
        return load_dataset(_minimal_config(section, folder, source=source)), []
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


def _minimal_config(section: dict[str, Any], folder: Path, *, source: str) -> LoadedConfig:
    """Return a config for loading this data."""
    config = Config.model_validate(
        {
            "name": "init",
            "data": {**section, "streaming": False},
            "model": {"layers": [{"type": "dense"}]},
        }
    )
    return LoadedConfig(config, folder, Document({}, {(): Place(source)}))
