"""The rules for images beside other images, texts or the columns of a table."""

from dataclasses import replace
from typing import Any

from dlcli.config.text.parsing import KeyPath
from dlcli.data.survey.image_summary import SeenImages
from dlcli.runs.drafting.recipe import KnownRows, Layers, Recipe
from dlcli.runs.drafting.small_networks import OUTPUT_LAYER
from dlcli.runs.drafting.texts import (
    JOINED,
    TEXT_SETTINGS,
    comments_on_inputs,
    table_branch,
    text_branch,
)

_LAST = 2  # layers of a network of images that come after the join: dropout and the last one


def beside_others(of_images: Recipe, known: KnownRows, seen: SeenImages) -> Recipe:
    """Return a recipe for images alone where nothing is beside them, else with an input for each.

    An image's input has the layers that it would have alone, up to its features.
    """
    inputs: dict[str, Any] = {name: {"layers": of_images.layers[:-_LAST]} for name in seen.columns}
    inputs |= {
        name: {"layers": text_branch(text.tokens)} for name, text in known.seen.texts.items()
    }
    if known.has_table:
        inputs["table"] = {"layers": table_branch()}
    if len(inputs) == 1:
        return of_images
    joined: Layers = [{"type": "dense", "units": 64, "activation": "relu"}]
    layers = joined + of_images.layers[-_LAST:]
    first, *more = (("model", "inputs", name, "layers", 0) for name in seen.columns)
    comments: dict[KeyPath, str] = {
        **{path: text for path, text in of_images.comments.items() if path[0] != "model"},
        ("model", "inputs"): f"Layers for {_listed(known, seen)}.",
        first: of_images.comments["model", "layers"],
        **dict.fromkeys(more, f"The same layers as those of '{seen.columns[0]}'."),
        **comments_on_inputs(known),
        ("model", "layers"): JOINED,
        ("model", "layers", len(layers) - 1): OUTPUT_LAYER,
    }
    if known.seen.texts:
        comments["data", "text"] = TEXT_SETTINGS
    return replace(of_images, layers=layers, inputs=inputs, comments=comments)


def _listed(known: KnownRows, seen: SeenImages) -> str:
    what = ["each image" if len(seen.columns) > 1 else "the image"]
    if known.seen.texts:
        what.append("each text" if len(known.seen.texts) > 1 else "the text")
    if known.has_table:
        what.append("all other columns")
    return " and ".join(filter(None, [", ".join(what[:-1]), what[-1]]))
