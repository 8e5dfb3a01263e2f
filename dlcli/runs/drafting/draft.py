"""A data file and its target → a commented config that trains well on it."""

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, assert_never

from dlcli.config.sections.data import MISSING_VALUES
from dlcli.config.text.parsing import KeyPath
from dlcli.config.text.writing import dump_commented
from dlcli.config.text_options import file_settings
from dlcli.data.dataset import Dataset
from dlcli.data.survey.findings import repeated_rows
from dlcli.data.survey.survey import Survey, survey
from dlcli.errors import ConfigError, counted
from dlcli.losses import default_loss
from dlcli.runs.drafting.beside_images import beside_others
from dlcli.runs.drafting.best import best_recipe
from dlcli.runs.drafting.effort import Effort
from dlcli.runs.drafting.image_files import recipe_for_image_files
from dlcli.runs.drafting.images import recipe_for_images
from dlcli.runs.drafting.quick import quick_recipe
from dlcli.runs.drafting.recipe import KnownRows, Recipe
from dlcli.runs.drafting.rows import settle_rows
from dlcli.runs.drafting.standard import standard_recipe
from dlcli.runs.drafting.texts import recipe_for_texts, text_section
from dlcli.runs.unused_settings import refuse_unused_options
from dlcli.tables.databases.address import has_password
from dlcli.tables.sources import DataPath, Selection, find_source, moved, setting_text


@dataclass(frozen=True)
class Draft:
    """A config as text, and findings about the data."""

    text: str
    findings: tuple[str, ...]
    outlook: str  # what training takes
    command: Literal["train", "tune"]  # what the config is written for


def draft_config(
    data: DataPath,
    target: str,
    *,
    folder: Path,
    name: str,
    effort: Effort = "standard",
    overrides: Sequence[str] = (),
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
    section = _data_section(seen, moved(data, Path(), folder), said.selection)
    rows = settle_rows(seen, section, folder, source=source.name, effort=effort)
    recipe = _choose_recipe(rows.known, effort)
    findings = (*seen.findings, *rows.left_out)
    if seen.images is None:
        findings += tuple(_repeated(rows.dataset))
    config = {
        "data": {**section, **recipe.data, **rows.section},
        "model": {**({"inputs": recipe.inputs} if recipe.inputs else {}), "layers": recipe.layers},
        "loss": default_loss(seen.task).type,
        **recipe.sections,
    }
    head = [
        f"{seen.task}: '{seen.target}' of {_short_name(data)}, from {_extent(seen)}.",
        "Written by dlcli init from the data; change any value you like.",
        f"Effort {effort}: {recipe.outlook}.",
        f"  dlcli {recipe.command} {name}",
        *(f"Check: {finding}." for finding in findings),
    ]
    comments = {**_data_comments(seen, rows.why_split), ("data",): "\n".join(head)}
    comments["loss",] = inspect.getdoc(default_loss(seen.task)) or ""
    text = dump_commented(config, {**comments, **recipe.comments})
    return Draft(text, findings, recipe.outlook, recipe.command)


def _choose_recipe(known: KnownRows, effort: Effort) -> Recipe:
    if known.seen.grid is not None:
        return recipe_for_images(known, known.seen.grid)
    if known.seen.images is not None:
        recipe = recipe_for_image_files(known, known.seen.images, effort)
        return beside_others(recipe, known, known.seen.images)
    if known.seen.texts:
        return recipe_for_texts(known)
    match effort:
        case "quick":
            return quick_recipe(known)
        case "standard":
            return standard_recipe(known)
        case "best":
            return best_recipe(known)
        case _:
            assert_never(effort)


def _repeated(dataset: Dataset) -> Iterator[str]:
    if "test" not in dataset.parts:
        return
    repeated = repeated_rows(dataset.parts["train"], dataset.parts["test"])
    if repeated:
        yield (
            f"{repeated:,} of {len(dataset.parts['test']):,} test rows also occur among the "
            "training rows: the test metrics will look slightly better than they are (data.split)"
        )


def _short_name(data: DataPath) -> str:
    """Return a file's name without its folders; a pattern as it is."""
    name = setting_text(data)
    return name if "*" in name else Path(name).name


def _extent(seen: Survey) -> str:
    if seen.images is not None and seen.num_columns == 1:
        return counted(seen.num_rows, "image")
    return f"{counted(seen.num_columns, 'column')} of {counted(seen.num_rows, 'row')}"


def _data_section(seen: Survey, path: DataPath, selection: Selection) -> dict[str, Any]:
    """Return the section without its split."""
    section: dict[str, Any] = {"path": path if isinstance(path, str) else list(path)}
    section |= {key: value for key, value in asdict(selection).items() if value is not None}
    section |= {"target": seen.target, "task": seen.task}
    if seen.features is not None:
        section["features"] = list(seen.features)
    if seen.kinds:
        section["kinds"] = dict(seen.kinds)
    if seen.texts:
        section["text"] = text_section(seen.texts)
    if seen.missing_values != MISSING_VALUES:
        section["missing_values"] = list(seen.missing_values)
    section |= {key: found.value for key, found in seen.text.items()}
    if seen.num_without_target:
        section["drop_missing_target"] = True
    if seen.grid is not None:
        section |= {"scale": "none", "shape": [1, *seen.grid]}
    if seen.wants_log:
        section["target_scale"] = "log"
    return section


def _data_comments(seen: Survey, why_split: str) -> dict[KeyPath, str]:
    comments: dict[KeyPath, str] = {
        ("data", "task"): " ".join(
            filter(None, [f"The target has {seen.task_reason}.", seen.order_hint])
        ),
        ("data", "split"): why_split,
    }
    if seen.features is not None:
        comments["data", "features"] = (
            "Every column that carries information; for the others, see above."
        )
    if seen.split_by is not None:
        comments["data", "split"] = f"{seen.split_by.reason}. {why_split}"
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
