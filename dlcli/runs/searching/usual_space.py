"""The space that a search has where the config names none: what matters in most networks."""

from collections.abc import Iterator, Sequence

from dlcli.config import Config
from dlcli.config.sections.tune import Spread
from dlcli.layers.base import Layer

_RATE_FACTOR = 10.0  # around the config's learning rate
_WEIGHT_DECAYS = (1e-6, 1e-2)  # that are part of the gradient
_DECOUPLED = (1e-4, 0.3)
_MAX_DROPOUT = 0.5


def usual_space(config: Config) -> dict[str, Spread]:
    """Return learning rate, weight decay, and the units and dropout of the layers.

    Units are halved and doubled.
    """
    optimizer = config.optimizer
    decays = _DECOUPLED if optimizer.has_decoupled_weight_decay else _WEIGHT_DECAYS
    space = {
        "optimizer.lr": Spread(
            log=(_short(optimizer.lr / _RATE_FACTOR), _short(optimizer.lr * _RATE_FACTOR))
        ),
        "optimizer.weight_decay": Spread(log=decays),
    }
    layers, combine = config.model.layers, config.model.combine
    for name, section in (config.model.inputs or {}).items():
        if any(mark in name for mark in ".[]"):  # no key can name it
            continue
        after = layers if combine in (None, "concat") else None
        space.update(_of_layers(f"model.inputs.{name}.layers", section.layers, after=after))
    space.update(_of_layers("model.layers", layers, end=_output_layer(layers)))
    return space


def _of_layers(
    path: str,
    layers: Sequence[Layer],
    *,
    end: int | None = None,
    after: Sequence[Layer] | None = (),
) -> Iterator[tuple[str, Spread]]:
    """Yield what can be tried of layers, and of those within them; from `end` on, no units.

    `after` are the layers that follow; None: what follows takes a certain number of units.
    """
    for index, layer in enumerate(layers):
        here = f"{path}[{index}]"
        width, dropped = layer.width, layer.dropped_share
        is_inside = end is None or index < end
        if (
            width is not None
            and width.value > 1
            and is_inside
            and _is_free(layers[index + 1 :], after)
        ):
            units = width.value
            yield f"{here}.{width.key}", Spread(choice=(units // 2, units, 2 * units))
        if dropped is not None:
            yield f"{here}.{dropped.key}", Spread(uniform=(0.0, _MAX_DROPOUT))
        inside = None if after is None else ()
        for key, inner in layer.branches.items():
            yield from _of_layers(f"{here}.{key}", inner, after=inside)


def _is_free(behind: Sequence[Layer], after: Sequence[Layer] | None) -> bool:
    """Whether the layers that follow, and those after them, take any number of units."""
    for layer in (*behind, *(after or ())):
        if layer.fixes_input_size:
            return False
        if layer.is_affine:
            return True
    return after is not None


def _output_layer(layers: Sequence[Layer]) -> int:
    """Return the place of the layer whose units the target decides."""
    return max(
        (index for index, layer in enumerate(layers) if layer.with_outputs(1) is not None),
        default=len(layers),
    )


def _short(value: float) -> float:
    return float(f"{value:.3g}")
