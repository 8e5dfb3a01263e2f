"""`model.start_from` and `model.freeze`: the weights to begin with, and those that stay."""

import os
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dlcli.config import LoadedConfig, load_config
from dlcli.config.text.parsing import format_path
from dlcli.data.dataset import Dataset
from dlcli.data.fitted import FittedData
from dlcli.data.image_checksums import table_key
from dlcli.errors import CheckpointError, ConfigError, Problem, suggest
from dlcli.images.settings import ImageSettings
from dlcli.layers.base import PlannedLayer, ShapeError
from dlcli.layers.sequence import module_name
from dlcli.layers.weights import initial_weights
from dlcli.network.branches.heads import OUTPUTS
from dlcli.network.branches.planning import INPUTS
from dlcli.network.ensemble import ADAPTER
from dlcli.network.heads import resolved_loss
from dlcli.network.plan import EMBEDDINGS, Plan, plan_model, scaling_name
from dlcli.network.starting import TrainedNetwork, start_from
from dlcli.runs.folder.run_folder import RunFolder, find_checkpoint

if TYPE_CHECKING:
    from dlcli.training.saving.weights import SavedWeights

_PATH = ("model", "start_from")
# What decides which numbers a column becomes, and so what weights mean.
ENCODING_KEYS = ("scale", "one_hot_max", "embedding_dim", "target_scale", "shape", "images")
_MAX_LISTED = 10


@dataclass(frozen=True)
class Origin:
    """The run that another one goes on from, or that is resumed."""

    saved: "SavedWeights"
    began_with: Path | None = None  # of a run that is resumed: what it said to start from

    @property
    def is_resumed(self) -> bool:
        """Whether it is the run itself, from its own checkpoint."""
        return self.began_with is not None

    @property
    def fitted(self) -> FittedData:
        """What was fitted to its data."""
        return self.saved.fitted


def find_origin(loaded: LoadedConfig) -> Origin | None:
    """Read the run that a config says to start from; None: it says nothing.

    Raises ConfigError where there is no such run, CheckpointError where it can't be used.
    """
    said = loaded.config.model.start_from
    if said is None or "model" in loaded.doubtful:
        return None
    try:
        path = find_checkpoint(Path(os.path.normpath(loaded.folder / said)))
    except CheckpointError as error:
        raise loaded.error(_PATH, str(error)) from None
    return Origin(_load(path))


def resumed_origin(folder: Path) -> Origin | None:
    """Return the run in a folder that is resumed, if it began with the weights of another.

    So that other run is not read again. None where nothing that can be read was saved.
    """
    run = RunFolder(folder)
    start = load_config(run.config).config.model.start_from if run.config.is_file() else None
    if start is None:
        return None
    for path in (run.last, run.previous):
        if path.is_file():
            try:
                return Origin(_load(path), began_with=folder.resolve() / start)
            except CheckpointError:
                continue
    return None


def start_of(loaded: LoadedConfig, origin: Origin | None) -> str | None:
    """Return what a run began with, as its config names it."""
    said = loaded.config.model.start_from
    if origin is None or origin.began_with is None or said is None:
        return said
    if _is_other(loaded, origin.began_with):
        return os.path.relpath(origin.began_with, loaded.folder.resolve())
    return said


def _is_other(loaded: LoadedConfig, began_with: Path) -> bool:
    said = loaded.config.model.start_from
    assert said is not None, "a run that began with another says so"
    return (loaded.folder / said).resolve() != began_with.resolve()


def _load(path: Path) -> "SavedWeights":
    # Imported here: a run that draws its weights doesn't need it.
    from dlcli.training.saving.weights import load_saved_weights

    return load_saved_weights(path)


def encoding_problems(
    loaded: LoadedConfig, fitted: FittedData, origin: Origin
) -> Iterator[Problem]:
    """Yield the settings of encodings that differ from those that the weights were trained with.

    Those that no column uses which both know may differ.
    """
    if origin.is_resumed:
        return
    before, now = origin.saved.config.data, loaded.config.data
    known = {(column.name, column.kind) for column in origin.fitted.columns}
    both = [column for column in fitted.columns if (column.name, column.kind) in known]
    used = {"shape", *(key for key in ENCODING_KEYS if any(one.uses(key) for one in both))}
    numbers = {one.name for one in origin.fitted.target.parts if one.task == "regression"}
    if any(one.task == "regression" and one.name in numbers for one in fitted.target.parts):
        used.add("target_scale")
    for key in ENCODING_KEYS:
        old, new = getattr(before, key), getattr(now, key)
        if old != new and key in used:
            yield loaded.problem(
                ("data", key),
                f"must be {_plain(old)}, as in {origin.saved.path}, whose weights are made for it "
                "(model.start_from)",
            )


def begin(
    loaded: LoadedConfig,
    plan: Plan,
    dataset: Dataset,
    origin: Origin | None,
    *,
    has_weights: bool = False,
) -> tuple[Plan, tuple[str, ...]]:
    """Return the plan with the weights to begin with and those that are frozen, and notes.

    Layers of a run that `has_weights` in a checkpoint are given no others.
    Raises ConfigError where weights don't fit the network, or there is no such layer.
    """
    notes: list[str] = []
    if origin is not None and not origin.is_resumed:
        plan, notes = _started(loaded, plan, dataset, origin.saved)
    elif origin is not None and origin.began_with and _is_other(loaded, origin.began_with):
        notes.append(
            f"{loaded.config.model.start_from} is not read, as a run that is resumed goes on from "
            "weights of its own (model.start_from)"
        )
    if origin is None and not has_weights:
        plan = _with_given_weights(loaded, plan, notes)
    problems: list[Problem] = []
    frozen = {*_frozen(loaded, plan, problems)}
    if problems:
        raise ConfigError(*problems)
    plan = replace(plan, frozen=frozenset(frozen))
    if frozen and not plan.num_trained:
        raise loaded.error(
            ("model", "freeze"), "there is nothing to train: every layer with weights is frozen"
        )
    if frozen:
        names = ", ".join("embeddings" if name == EMBEDDINGS else name for name in sorted(frozen))
        notes.append(
            f"frozen: {names}; {plan.num_trained:,} of {plan.num_parameters:,} parameters are "
            "trained (model.freeze)"
        )
    if plan.start_lr_factor != 1:
        notes.append(_slow_start(loaded, plan))
    return plan, tuple(notes)


def _with_given_weights(loaded: LoadedConfig, plan: Plan, notes: list[str]) -> Plan:
    """Return the plan with the weights that its layers say to begin with; add notes on them."""
    given: dict[str, np.ndarray] = {}
    for (path, layer), (name, _) in zip(plan.placed(), plan.modules(), strict=True):
        said = layer.config.weights_key
        if said is None:
            continue
        key = ("model", *path, said.key)
        try:
            found = layer.config.given_weights(layer, loaded.folder)
        except ShapeError as error:
            raise loaded.error(key, str(error)) from None
        given |= {f"{name}.{tensor}": values for tensor, values in found.tensors.items()}
        place = _image_of(plan, name)
        notes.append(f"{name} begins with weights of {found.source} ({format_path(key)})")
        if place is None:
            notes.append(
                f"the numbers that {name} gets are scaled by data.scale, and not as its weights "
                f"were trained; images in files would be ({format_path(key)})"
            )
            continue
        for statistic in ("mean", "std"):
            values = np.array(getattr(found, statistic), np.float32)[:, None, None]
            given[scaling_name(place, statistic)] = values
        listed = [", ".join(f"{one:.4g}" for one in of) for of in (found.mean, found.std)]
        notes.append(
            f"'{plan.signature.pixels[place].column}' is scaled as the weights were trained, by "
            f"mean {listed[0]} and standard deviation {listed[1]} of the channels, not by those "
            f"of training images ({format_path(key)})"
        )
    return replace(plan, given=given)


def _image_of(plan: Plan, module: str) -> int | None:
    """Return the place of the image column that a first layer gets; None: it gets numbers."""
    if plan.inputs is None:
        return 0 if plan.signature.pixels else None
    branches = plan.inputs.branches
    return next(one.columns.pixels for one in branches if module.startswith(f"{one.module}."))


def _slow_start(loaded: LoadedConfig, plan: Plan) -> str:
    """Say which layers have a learning rate of their own; ConfigError where none has."""
    last = ", ".join(plan.output_modules)
    slow = [
        name
        for name, layer in plan.modules()
        if layer.num_direct_parameters and not plan.is_output_module(name)
        if not plan.is_frozen(name)
    ]
    if not slow:
        raise loaded.error(
            ("model", "start_lr_factor"),
            f"has no effect: of the layers before {last}, none is trained; leave it out",
        )
    return (
        f"the learning rate is multiplied by {plan.start_lr_factor:g} for {_listed(slow)}, and "
        f"not for {last} (model.start_lr_factor)"
    )


def _started(
    loaded: LoadedConfig, plan: Plan, dataset: Dataset, saved: "SavedWeights"
) -> tuple[Plan, list[str]]:
    for path in initial_weights(loaded.config.model.walk()):
        nothing = "null" if path[-1] == "initial" else "none"
        raise loaded.error(
            path,
            "has no effect: the weights are those of model.start_from; leave it out, or give "
            f"--set {shlex.quote(f'{format_path(path)}={nothing}')}",
        )
    try:
        start = start_from(_trained(saved), plan, dataset.fitted)
    except ShapeError as error:
        path = ("model", *error.path) if error.path else _PATH
        raise loaded.error(
            path, f"the weights of {saved.path} don't fit (model.start_from): {error}"
        ) from None
    notes = [
        f"begins with the weights of {saved.path}, epoch {saved.epoch}; columns that it knows are "
        "encoded as there (model.start_from)"
    ]
    if start.new:
        notes.append(f"new, initialised as usual: {_listed(start.new)} (model.start_from)")
    if start.dropped:
        notes.append(f"dropped from the weights: {_listed(start.dropped)} (model.start_from)")
    if start.changed:
        settings = [
            f"{format_path(('model', *path))} is {_plain(new)}, {_plain(old)} there"
            for path, old, new in start.changed
        ]
        notes.append(
            f"its weights are used in another way: {'; '.join(settings[:_MAX_LISTED])} "
            "(model.start_from)"
        )
    parts = [name for name in ("validation", "test") if name in dataset.num_rows]
    if parts and not _has_same_parts(loaded, dataset, saved):
        notes.append(
            f"the rows are not split as there: if {' or '.join(parts)} rows are among those that "
            "it was trained on, figures on them are too good (data.validation_path, "
            "data.test_path)"
        )
    return replace(plan, start=start.weights), notes


def _has_same_parts(loaded: LoadedConfig, dataset: Dataset, saved: "SavedWeights") -> bool:
    """Say whether each row is in the part that it was in when the weights were trained."""
    before, now = saved.config, loaded.config
    return (
        _of_tables(saved.checksums) == _of_tables(dataset.checksums)
        and before.data.split == now.data.split
        and (not now.data.split.is_drawn or before.split_seed == now.split_seed)
    )


def _of_tables(checksums: Mapping[str, str]) -> dict[str, str]:
    """Return the checksums without those of the images that tables name."""
    return {key: value for key, value in checksums.items() if table_key(key) == key}


def _trained(saved: "SavedWeights") -> TrainedNetwork:
    """Return the network of a checkpoint; CheckpointError where its weights are not all there."""
    config, signature = saved.config, saved.fitted.signature()
    loss = resolved_loss(config, saved.fitted.target)
    if loss is None:
        raise CheckpointError(f"{saved.path}: damaged: its config has no loss")
    try:
        plan = plan_model(config.model, signature, loss)
    except ShapeError as error:
        raise CheckpointError(
            f"{saved.path}: damaged: its config is inconsistent: {error}"
        ) from None
    shapes = {
        f"{name}.{key}": axes.shape
        for name, layer in plan.modules()
        for key, axes in layer.config.tensors(layer).items()
    }
    for place, table in enumerate(signature.embeddings):
        shapes[f"{EMBEDDINGS}.tables.{place}.weight"] = (table.num_codes, table.dim)
    for place, image in enumerate(signature.pixels):
        scaling = (image.shape[0], 1, 1)
        shapes |= {f"{EMBEDDINGS}.pixels.{place}.{key}": scaling for key in ("mean", "std")}
    if plan.ensemble is not None and plan.ensemble.has_adapter:
        shapes[ADAPTER] = (plan.ensemble.num_members, plan.ensemble.num_features)
    if {name: array.shape for name, array in saved.weights.items()} != shapes:
        raise CheckpointError(f"{saved.path}: damaged: its weights don't fit its config")
    return TrainedNetwork(plan, saved.fitted, saved.weights)


def _frozen(loaded: LoadedConfig, plan: Plan, problems: list[Problem]) -> Iterator[str]:
    """Yield the names of the modules that are frozen; add what can't be to the problems."""
    modules = dict(plan.modules())
    for place, said in enumerate(loaded.config.model.freeze):
        chosen = dict(_chosen(said, plan, modules))
        if said == "embeddings" and plan.signature.embeddings:
            yield EMBEDDINGS
        elif any(layer.num_parameters for layer in chosen.values()):
            yield from (name for name, layer in chosen.items() if layer.num_parameters)
        else:
            weighted = [name for name, layer in modules.items() if layer.num_parameters]
            known = [name for name, module in _inputs(plan) if _any_in(module, weighted)] + weighted
            reason = f"there is no layer {said}"
            if chosen or said == "embeddings":
                reason = f"does nothing: {said} has no weights"
            problems.append(
                loaded.problem(
                    ("model", "freeze", place),
                    f"{reason}; layers with weights: {_listed(known)}{suggest(str(said), known)}",
                )
            )


def _chosen(
    said: int | str, plan: Plan, modules: dict[str, PlannedLayer]
) -> Iterator[tuple[str, PlannedLayer]]:
    """Yield the modules of a place, a type or a name; `inputs.NAME` names those of an input."""
    if isinstance(said, int):
        for layer in plan.layers[said : said + 1]:
            yield module_name(said, layer.config), layer
        return
    inside = [f"{module}." for name, module in _inputs(plan) if said == name]
    for name, layer in modules.items():
        if said in (name, layer.config.type) or name.startswith(tuple(inside)):
            yield name, layer


def _inputs(plan: Plan) -> list[tuple[str, str]]:
    """Return what names the layers of each input and head, `inputs.photo`, and its module."""
    branches = () if plan.inputs is None else plan.inputs.branches
    found = [(f"{INPUTS}.{branch.name}", branch.module) for branch in branches]
    return found + [(f"{OUTPUTS}.{head.name}", head.module) for head in plan.heads]


def _any_in(module: str, names: list[str]) -> bool:
    return any(name.startswith(f"{module}.") for name in names)


def _listed(names: tuple[str, ...] | list[str]) -> str:
    """Write names, the first ones of many."""
    more = len(names) - _MAX_LISTED
    return ", ".join(names[:_MAX_LISTED]) + (f" and {more} more" if more > 0 else "")


def _plain(value: object) -> str:
    if isinstance(value, ImageSettings):
        value = value.model_dump(mode="json")
    return "left out" if value is None else str(list(value) if isinstance(value, tuple) else value)
