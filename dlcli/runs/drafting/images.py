"""The rules for tables in which each row is an image, at every effort."""

from dataclasses import replace

from dlcli.runs.drafting.recipe import KnownRows, Layers, Recipe
from dlcli.runs.drafting.small_networks import SmallNetwork, batch_size_for, to_recipe

_MAX_LAST_SIDE = 7  # pixels, after the last pooling


def recipe_for_images(known: KnownRows, grid: tuple[int, int]) -> Recipe:
    """Return convolutions, pooled to few pixels, for images `[height, width]` of one channel."""
    layers: Layers = []
    side, channels = min(grid), 32
    layers += _convolution(channels)
    while True:
        layers += _convolution(2 * channels)
        layers.append({"type": "max_pool2d", "kernel_size": 2})
        side, channels = side // 2, 2 * channels
        if side <= _MAX_LAST_SIDE:
            break
    network = SmallNetwork(
        layers=[
            *layers,
            {"type": "dropout", "rate": 0.25},
            {"type": "flatten"},
            {"type": "dense", "units": 128, "activation": "relu"},
            {"type": "dropout", "rate": 0.5},
            {"type": "dense"},
        ],
        why_layers="Small filters look at neighbouring pixels all over the image, pooling halves "
        "the sides, and two dense layers classify.",
        lr=0.002,
        weight_decay=0.05,
        why_weight_decay="Keeps the weights from growing needlessly.",
        batch_size=batch_size_for(known.num_train),
        epochs=30,
        why_epochs="By then the learning rate has decreased to 0.",
        patience=15 if known.has_validation else None,
    )
    recipe = to_recipe(network)
    return replace(recipe, outlook=f"{recipe.outlook}, as for images at every effort")


def _convolution(channels: int) -> Layers:
    return [
        {"type": "conv2d", "out_channels": channels, "kernel_size": 3, "padding": "same"},
        {"type": "batch_norm"},
        {"type": "activation", "activation": "relu"},
    ]
