"""Settings of a config that restrict how much a network can learn, and extreme settings."""

from collections.abc import Iterator
from dataclasses import dataclass

from dlcli.config import Config
from dlcli.config.text.parsing import format_path
from dlcli.explaining.learning.finding import Change
from dlcli.layers.base import Layer, Setting
from dlcli.layers.weights import WeightedLayer

_HEAVY_DROPOUT, _LIGHT_DROPOUT = 0.7, 0.2
_NARROW = 3  # units
_HIDDEN_UNITS = 32  # of a hidden layer that is suggested


@dataclass(frozen=True)
class Restriction:
    """A setting that restricts how much a network can learn, and how to lift it."""

    text: str
    change: Change


def restrictions(config: Config | None) -> list[Restriction]:
    """Return restrictive settings: few units, heavy dropout or weight decay."""
    return [] if config is None else list(_find_restrictions(config))


def _find_restrictions(config: Config) -> Iterator[Restriction]:
    decay = config.optimizer.highest_weight_decay
    if decay >= config.optimizer.heavy_weight_decay:
        change = Change("reduce weight decay", ("optimizer.weight_decay=0.0",))
        yield Restriction(f"a weight decay of {decay:g}", change)
    heavy = [share for share in dropped_shares(config) if share.value >= _HEAVY_DROPOUT]
    if heavy:
        settings = tuple(f"{share.key}={_LIGHT_DROPOUT}" for share in heavy)
        highest = max(share.value for share in heavy)
        yield Restriction(f"dropout of {highest:g}", Change("reduce the dropout rate", settings))
    narrow = [width for width in free_widths(config) if width.value <= _NARROW]
    if not _hidden(config):
        text = f"add a hidden layer, for example of {_HIDDEN_UNITS} units"
        layers = f"[{{type: dense, units: {_HIDDEN_UNITS}, activation: relu}}, {{type: dense}}]"
        has_one_layer = len(config.model.layers) == 1 and config.model.inputs is None
        change = Change(text, (f"model.layers={layers}",) if has_one_layer else ())
        yield Restriction("no hidden layer", change)
    elif narrow:
        settings = tuple(f"{width.key}={_HIDDEN_UNITS}" for width in narrow)
        fewest = min(width.value for width in narrow)
        yield Restriction(
            f"a layer of {fewest} unit{'s' * (fewest > 1)}",
            Change("make the network wider", settings),
        )


def starts_small(config: Config) -> bool:
    """Return whether the predictions of a new network are nearly constant."""
    return (
        config.data.scale != "none"
        and config.data.target_scale != "none"
        and all(layer.has_default_start for _, layer in _walk(config))
    )


def has_high_rate(config: Config | None) -> bool:
    """Return whether a learning rate is far above the usual range of its optimizer."""
    return config is not None and config.optimizer.lr >= config.optimizer.high_lr


def dropped_shares(config: Config) -> list[Setting[float]]:
    """Return the share that each dropout drops, each with its key in the config."""
    shares = ((path, layer.dropped_share) for path, layer in _walk(config))
    return [
        Setting(f"{path}.{share.key}", share.value) for path, share in shares if share is not None
    ]


def free_widths(config: Config) -> list[Setting[int]]:
    """Return the widths of hidden layers that can be changed by themselves, by key in the config.

    There are none where another layer takes inputs of one size only, and none in inputs that are
    joined number by number.
    """
    if any(layer.fixes_input_size for _, layer in _walk(config)):
        return []
    are_tied = config.model.combine in ("sum", "attention")
    widths = (
        (path, layer.width)
        for path, layer in _hidden(config)
        if not (are_tied and path.startswith("model.inputs."))
    )
    return [
        Setting(f"{path}.{width.key}", width.value) for path, width in widths if width is not None
    ]


def _hidden(config: Config) -> list[tuple[str, WeightedLayer]]:
    """Return the layers with weights, without the last."""
    return [(path, layer) for path, layer in _walk(config) if isinstance(layer, WeightedLayer)][:-1]


def _walk(config: Config) -> Iterator[tuple[str, Layer]]:
    """Yield every layer with its key in the config."""
    for path, layer in config.model.walk():
        yield format_path(path), layer
