"""An unknown key → the key that is meant, or the section that it belongs to."""

from collections.abc import Iterator

from pydantic import BaseModel

from dlcli.config.model_tree import Home, Location, homes_of, path_of, sections_at, sections_of
from dlcli.errors import nearest, suggest
from dlcli.section import type_of

# Names of settings in Keras, scikit-learn, pandas and other libraries, and their names here.
_OTHER_NAMES = {
    "learning_rate": "lr",
    "neurons": "units",
    "filters": "out_channels",
    "p": "rate",
    "beta1": "betas",
    "max_epochs": "epochs",
    "num_epochs": "epochs",
    "n_epochs": "epochs",
    "validation_split": "validation",
    "test_size": "test",
    "random_state": "seed",
    "sample_weight": "weight",
    "sep": "separator",
    "delimiter": "separator",
    "na_values": "missing_values",
    "null_values": "missing_values",
    "label": "target",
    "target_column": "target",
    "weight_regularizer": "weight_decay",
    "l2": "weight_decay",
    "clipnorm": "gradient_clip_norm",
    "grad_clip": "gradient_clip_norm",
    "scheduler": "schedule",
    "lr_scheduler": "schedule",
    "criterion": "loss",
}
_MAX_HOMES = 3
_MAX_STEPS = 2  # from the top to a section that is named from anywhere
_VERY_LIKE = 0.75  # names: one is a typing error of the other


def explain_unknown_key(model: type[BaseModel], location: Location, name: str) -> str:
    """Name the key that is meant, or where a key of this name belongs, or all that are known.

    Sections directly within this one come first, then a typing error of a key of this section, then
    sections elsewhere, unless they are so deep that the name there means something else.
    """
    sections = sections_at(model, location)
    known = sorted({key for section in sections for key in section.model_fields})
    meant = _OTHER_NAMES.get(name, name)
    if meant in known:
        return f"unknown key; did you mean '{meant}'?"
    here = path_of(model, location)
    homes = [] if name == "type" else list(homes_of(model, meant))
    section_type = type_of(sections[0]) if len(sections) == 1 else None
    siblings = [home.type for home in homes if home.type and section_type and home.path == here]
    if siblings:
        return f"{section_type} has no '{name}'; it is a setting of {', '.join(siblings)}"
    if within := _within(here, homes):
        return _belongs(within, name, meant)
    if hint := suggest(meant, known, likeness=_VERY_LIKE):
        return f"unknown key{hint}"
    around = [home for home in homes if home.path == here[: len(home.path)] != here]
    elsewhere = around or [home for home in homes if len(home.path) <= _MAX_STEPS]
    misspelt = nearest(meant, _keys_within(sections), likeness=_VERY_LIKE)
    if misspelt and not any(home.path[:1] == here[:1] or not here for home in elsewhere):
        elsewhere, meant = _within(here, list(homes_of(model, misspelt))), misspelt
    if elsewhere:
        return _belongs(elsewhere, name, meant)
    return f"unknown key{suggest(meant, known) or '; known: ' + ', '.join(known)}"


def _within(here: tuple[str, ...], homes: list[Home]) -> list[Home]:
    """Return the sections that stand directly within one."""
    return [home for home in homes if home.path[:-1] == here != home.path]


def _keys_within(sections: list[type[BaseModel]]) -> Iterator[str]:
    """Yield the keys of sections that stand directly within some."""
    for section in sections:
        for inner_sections in sections_of(section).values():
            for inner in inner_sections:
                yield from inner.model_fields


def _belongs(homes: list[Home], name: str, meant: str) -> str:
    places = list(dict.fromkeys(map(str, homes)))[:_MAX_HOMES]
    renamed = "" if name == meant else f", as {meant}"
    return f"unknown key here; it belongs to {' or '.join(places)}{renamed}"
