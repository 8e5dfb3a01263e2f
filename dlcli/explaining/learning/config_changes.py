"""Changes of a config that a diagnosis suggests.

Each takes the run's config, None where it is unknown, and leaves out what the config has already.
"""

from collections.abc import Iterator

from dlcli.config import Config
from dlcli.explaining.learning.finding import Change
from dlcli.explaining.learning.regularisation import dropped_shares, free_widths, restrictions

_PATIENCE = 20
_DROPOUT = 0.3
_MIN_UNITS, _SHRINK_FACTOR = 8, 4  # of a layer that is made smaller
_SMALL_BATCH = 32


def stop_early(config: Config | None) -> Iterator[Change]:
    """Stop once the validation loss no longer improves, and a schedule had its chance."""
    if config is None or config.training.early_stopping is None:
        wait = 0 if config is None else config.schedule.epochs_to_wait or 0
        setting = f"training.early_stopping.patience={max(_PATIENCE, wait + 1)}"
        yield Change("stop once the validation loss no longer improves", (setting,))


def regularise(config: Config | None) -> Iterator[Change]:
    """Make the network smaller, or regularise it."""
    if config is None:
        yield Change("use fewer units, dropout or weight decay")
        return
    smaller = tuple(
        f"{width.key}={max(_MIN_UNITS, width.value // _SHRINK_FACTOR)}"
        for width in free_widths(config)
        if width.value > _MIN_UNITS
    )
    if smaller:
        yield Change("make the network smaller", smaller)
    optimizer = config.optimizer
    least = 0.1 if optimizer.has_decoupled_weight_decay else 0.001
    heavier = max(least, 10 * optimizer.highest_weight_decay)
    if heavier < optimizer.heavy_weight_decay:
        yield Change("increase weight decay", (f"optimizer.weight_decay={heavier:g}",))
    shares = dropped_shares(config)
    if not shares:
        yield Change(
            f"add {{type: dropout, rate: {_DROPOUT}}} after each hidden layer, if there is one"
        )
    light = tuple(f"{share.key}=0.5" for share in shares if share.value <= _DROPOUT)
    if light:
        yield Change("increase the dropout rate", light)


def scale_learning_rate(config: Config | None, factor: float) -> Change:
    """Multiply the learning rate by a factor."""
    verb = "lower" if factor < 1 else "raise"
    text = f"{verb} the learning rate (`dlcli find-lr` suggests one)"
    if config is None:
        return Change(text)
    rates = {"optimizer.lr": config.optimizer.lr}
    rates |= {f"schedule.{key}": rate for key, rate in config.schedule.rates().items()}
    return Change(text, tuple(f"{key}={rate * factor:.2g}" for key, rate in rates.items()))


def clip(config: Config | None) -> Iterator[Change]:
    """Clip gradients."""
    if config is None or config.training.gradient_clip_norm is None:
        yield Change("clip gradients", ("training.gradient_clip_norm=1",))


def scale_data(config: Config | None) -> Iterator[Change]:
    """Scale features and target to the range that usual learning rates are for."""
    if config is not None and config.data.scale == "none":
        yield Change("scale the features", ("data.scale=standard",))
    if config is not None and config.data.target_scale == "none":
        yield Change("scale the target", ("data.target_scale=standard",))


def train_longer(config: Config | None, num_epochs: int) -> Change:
    """Train for twice as many epochs."""
    if config is None:
        return Change("train for more epochs")
    text = "train for more epochs"
    if config.schedule.spreads_over_epochs:
        text += f", from the start: the schedule {config.schedule.type} spans all of them"
    else:
        text += "; --resume continues this run"
    return Change(text, (f"training.epochs={max(2 * num_epochs, config.training.epochs)}",))


def reduce_noise(config: Config | None, num_rows: int | None) -> Iterator[Change]:
    """Make steps less noisy: larger batches, a learning rate that ends low."""
    if config is None:
        yield Change("use larger batches, or a learning rate that decays")
        return
    if config.schedule.is_constant:
        yield Change("decay the learning rate to 0", ("schedule.type=cosine",))
    yield from larger_batches(config, num_rows)
    yield scale_learning_rate(config, 0.3)


def larger_batches(config: Config | None, num_rows: int | None) -> Iterator[Change]:
    """Make small batches four times as large."""
    size = None if config is None else config.training.batch_size
    if isinstance(size, int) and size <= _SMALL_BATCH and 4 * size <= (num_rows or size):
        yield Change("use larger batches", (f"training.batch_size={4 * size}",))


def increase_capacity(config: Config | None) -> Iterator[Change]:
    """Increase the network's capacity, first by lifting the restrictions of its config."""
    if config is None:
        yield Change("use more units or another layer, and less dropout or weight decay")
        return
    lifted = [restriction.change for restriction in restrictions(config)]
    yield from lifted
    wider = tuple(f"{width.key}={2 * width.value}" for width in free_widths(config))
    if wider and not lifted:
        yield Change("make the network wider", wider)
