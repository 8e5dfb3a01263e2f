"""Settings of a config that restrict how much a network can learn, and extreme settings."""

from collections.abc import Iterator
from dataclasses import dataclass

from dlcli.config import Config
from dlcli.config.layers import Conv1d, Conv2d, Dense, Dropout, Layer, Reshape, Residual
from dlcli.explaining.learning.finding import Change

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
    decay = config.optimizer.weight_decay
    if decay >= config.optimizer.heavy_weight_decay:
        change = Change("reduce weight decay", ("optimizer.weight_decay=0.0",))
        yield Restriction(f"a weight decay of {decay:g}", change)
    heavy = [
        (path, layer.rate)
        for path, layer in walk(config)
        if isinstance(layer, Dropout) and layer.rate >= _HEAVY_DROPOUT
    ]
    if heavy:
        settings = tuple(f"{path}.rate={_LIGHT_DROPOUT}" for path, _ in heavy)
        highest = max(rate for _, rate in heavy)
        yield Restriction(f"dropout of {highest:g}", Change("reduce the dropout rate", settings))
    hidden = _hidden(config)
    narrow = [(path, units) for path, units in free_layers(config) if units <= _NARROW]
    if not hidden:
        text = f"add a hidden layer, for example of {_HIDDEN_UNITS} units"
        layers = f"[{{type: dense, units: {_HIDDEN_UNITS}, activation: relu}}, {{type: dense}}]"
        has_one_layer = len(config.model.layers) == 1
        change = Change(text, (f"model.layers={layers}",) if has_one_layer else ())
        yield Restriction("no hidden layer", change)
    elif narrow:
        settings = tuple(f"{path}.units={_HIDDEN_UNITS}" for path, _ in narrow)
        fewest = min(units for _, units in narrow)
        yield Restriction(
            f"a layer of {fewest} unit{'s' * (fewest > 1)}",
            Change("make the network wider", settings),
        )


def starts_small(config: Config) -> bool:
    """Return whether the predictions of a new network are nearly constant."""
    return (
        config.data.scale != "none"
        and config.data.target_scale != "none"
        and all(layer.init == "default" and layer.initial is None for _, layer in _weighted(config))
    )


def has_high_rate(config: Config | None) -> bool:
    """Return whether a learning rate is far above the usual range of its optimizer."""
    return config is not None and config.optimizer.lr >= config.optimizer.high_lr


def walk(config: Config) -> Iterator[tuple[str, Layer]]:
    """Yield every layer with its key in the config."""

    def inner(layers: tuple[Layer, ...], key: str) -> Iterator[tuple[str, Layer]]:
        for index, layer in enumerate(layers):
            yield f"{key}[{index}]", layer
            if isinstance(layer, Residual):
                yield from inner(layer.layers, f"{key}[{index}].layers")

    yield from inner(config.model.layers, "model.layers")


def _weighted(config: Config) -> list[tuple[str, Dense | Conv1d | Conv2d]]:
    """Return the layers with weights."""
    return [
        (path, layer) for path, layer in walk(config) if isinstance(layer, Dense | Conv1d | Conv2d)
    ]


def _hidden(config: Config) -> list[tuple[str, Dense | Conv1d | Conv2d]]:
    """Return the layers with weights, without the last."""
    return _weighted(config)[:-1]


def free_layers(config: Config) -> list[tuple[str, int]]:
    """Return the hidden dense layers whose units can be changed alone, with their units."""
    if any(
        isinstance(layer, Reshape) or getattr(layer, "initial", None) is not None
        for _, layer in walk(config)
    ):
        return []
    return [
        (path, layer.units)
        for path, layer in _hidden(config)
        if isinstance(layer, Dense) and layer.units is not None
    ]
