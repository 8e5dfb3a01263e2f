"""All of this room, of one network."""

from dataclasses import dataclass

import numpy as np

from dlcli.explaining.explained_model import ExplainedModel
from dlcli.explaining.reasons.sampling import sample_rows
from dlcli.explaining.unavailable import Unavailable
from dlcli.explaining.vision.first_layer import layers_of_images
from dlcli.explaining.vision.patches import StrongestPatches, find_patches
from dlcli.explaining.vision.saliency import Saliency, find_saliency

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
    sample = sample_rows(model, "why")
    if not np.isfinite(model.predict(sample.rows.encoded.inputs)).all():
        nothing = Unavailable("its predictions are not finite")
        return Vision(nothing, nothing)
    return Vision(
        find_saliency(model, seconds=_FOR_SALIENCY * seconds),
        find_patches(model, seconds=(1 - _FOR_SALIENCY) * seconds),
    )
