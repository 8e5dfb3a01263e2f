"""All of this room, of one network."""

from dataclasses import dataclass

from dlcli.explaining.explained_model import ExplainedModel
from dlcli.explaining.unavailable import Unavailable
from dlcli.explaining.vision.first_layer import layers_of_images
from dlcli.explaining.vision.patches import StrongestPatches, find_patches
from dlcli.explaining.vision.saliency import NOT_FINITE, Saliency, find_saliency

SECONDS = 4.0
_FOR_SALIENCY = 0.7  # of the time; the patches have the rest


@dataclass(frozen=True)
class Vision:
    """Each result, or the reason why it is unavailable."""

    saliency: Saliency | Unavailable
    patches: StrongestPatches | Unavailable


def examine_vision(model: ExplainedModel, *, seconds: float = SECONDS) -> Vision | None:
    """Ask what a network sees in images, in about so many seconds; None: rows are no images."""
    if isinstance(layers_of_images(model), Unavailable):
        return None
    saliency = find_saliency(model, seconds=_FOR_SALIENCY * seconds)
    if saliency == NOT_FINITE:
        return Vision(NOT_FINITE, NOT_FINITE)
    return Vision(
        saliency,
        find_patches(model, seconds=(1 - _FOR_SALIENCY) * seconds),
    )
