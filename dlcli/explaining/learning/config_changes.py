"""Changes of a config that answer what a run's curves show.

Each takes the run's own config, None where it is not known, and says nothing that is so already.
"""

from collections.abc import Iterator

from dlcli.config import Config
from dlcli.config.layers import Dropout
from dlcli.config.optimizers import Constant, Cosine, OneCycle, ReduceOnPlateau
from dlcli.explaining.learning.finding import Change
from dlcli.explaining.learning.regularisation import free_layers, heavy_decay, restrictions, walk

_PATIENCE = 20
_DROPOUT = 0.3
_MIN_UNITS, _SHRUNK = 8, 4  # a layer is never made smaller, and by how much it is
_SMALL_BATCH = 32


def stop_early(config: Config | None) -> Iterator[Change]:
    """Stop once the validation rows get no better."""
    if config is None or config.training.early_stopping is None:
        setting = f"training.early_stopping.patience={_PATIENCE}"
        yield Change("stop once the validation loss gets no better", (setting,))


def regularise(config: Config | None) -> Iterator[Change]:
    """Make the network smaller, or hold its weights back."""
    if config is None:
        yield Change("use fewer units, dropout or weight decay")
        return
    smaller = tuple(
        f"{path}.units={max(_MIN_UNITS, units // _SHRUNK)}"
        for path, units in free_layers(config)
        if units > _MIN_UNITS
    )
    if smaller:
        yield Change("make the network smaller", smaller)
    decay = config.optimizer.weight_decay
    is_apart = config.optimizer.type == "adamw"
    heavier = max(0.1 if is_apart else 0.001, 10 * decay)
    if heavier < heavy_decay(config):
        yield Change("let weights decay", (f"optimizer.weight_decay={heavier:g}",))
    dropouts = [(path, layer) for path, layer in walk(config) if isinstance(layer, Dropout)]
    if not dropouts:
        yield Change(
            f"add {{type: dropout, rate: {_DROPOUT}}} after each hidden layer, if there is any"
        )
    light = tuple(f"{path}.rate=0.5" for path, layer in dropouts if layer.rate <= _DROPOUT)
    if light:
        yield Change("drop more units", light)


def learn_at(config: Config | None, factor: float) -> Change:
    """Take a learning rate that is so many times the present one."""
    way = "lower" if factor < 1 else "higher"
    text = f"take a {way} learning rate (`dlcli find-lr` suggests one)"
    if config is None:
        return Change(text)
    settings = [f"optimizer.lr={config.optimizer.lr * factor:.2g}"]
    match config.schedule:
        case Cosine(eta_min=least) if least:
            settings.append(f"schedule.eta_min={least * factor:.2g}")
        case ReduceOnPlateau(min_lr=least) if least:
            settings.append(f"schedule.min_lr={least * factor:.2g}")
    return Change(text, tuple(settings))


def clip(config: Config | None) -> Iterator[Change]:
    """Shorten long gradients."""
    if config is None or config.training.gradient_clip_norm is None:
        yield Change("shorten long gradients", ("training.gradient_clip_norm=1",))


def scale_data(config: Config | None) -> Iterator[Change]:
    """Bring features and target to a scale that learning rates are made for."""
    if config is not None and config.data.scale == "none":
        yield Change("scale the features", ("data.scale=standard",))
    if config is not None and config.data.target_scale == "none":
        yield Change("scale the target", ("data.target_scale=standard",))


def train_longer(config: Config | None, num_epochs: int) -> Change:
    """Train for twice as many epochs as were done."""
    if config is None:
        return Change("train for more epochs")
    text = "train for more epochs"
    if isinstance(config.schedule, Cosine | OneCycle):
        text += f", from the start: the schedule {config.schedule.type} spreads over all of them"
    else:
        text += "; with --resume the run goes on from where it stands"
    return Change(text, (f"training.epochs={max(2 * num_epochs, config.training.epochs)}",))


def calm(config: Config | None, num_rows: int | None) -> Iterator[Change]:
    """Let steps be less of a gamble: larger batches, a rate that ends low."""
    if config is None:
        yield Change("take larger batches, or a learning rate that falls")
        return
    if isinstance(config.schedule, Constant):
        yield Change("let the learning rate fall to nothing at the end", ("schedule.type=cosine",))
    yield from larger_batches(config, num_rows)
    yield learn_at(config, 0.3)


def larger_batches(config: Config | None, num_rows: int | None) -> Iterator[Change]:
    """Take batches of four times as many rows where they have few."""
    size = None if config is None else config.training.batch_size
    if isinstance(size, int) and size <= _SMALL_BATCH and 4 * size <= (num_rows or size):
        yield Change("take larger batches", (f"training.batch_size={4 * size}",))


def grow(config: Config | None) -> Iterator[Change]:
    """Give the network more to learn with, first of all what its config withholds."""
    if config is None:
        yield Change("use more units or another layer, and less dropout or weight decay")
        return
    held = [own.change for own in restrictions(config)]
    yield from held
    wider = tuple(f"{path}.units={2 * units}" for path, units in free_layers(config))
    if wider and not held:
        yield Change("make the network wider", wider)
