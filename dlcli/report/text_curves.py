"""Curves for a terminal, in characters."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from dlcli.explaining.learning.history import History

_WIDTH, _HEIGHT = 64, 9  # characters of a curve


def loss_curves(history: "History") -> str:
    """Return the training and the validation loss, one above the other on the same scale."""
    validation = history.validation_losses
    curves = {"training loss": history.train_losses}
    if validation is not None:
        curves["validation loss"] = validation
    together = np.concatenate(list(curves.values()))
    if not len(together):
        return "no epoch was completed"
    limits = float(together.min()), float(together.max())
    return "\n".join(
        f"{name}\n{_curve(history.numbers, values, limits, ('epochs', 'loss'))}"
        for name, values in curves.items()
    )


def rate_curve(points: Sequence[tuple[int, float]]) -> str:
    """Return learning rates by step."""
    steps, rates = (np.array(numbers) for numbers in zip(*points, strict=True))
    return _curve(steps, rates, (0.0, float(rates.max())), ("steps", "rate"))


def _curve(
    numbers: np.ndarray,
    values: np.ndarray,
    limits: tuple[float, float],
    labels: tuple[str, str],
) -> str:
    from plotille import Figure

    low, high = limits
    margin = 0.03 * (high - low) or abs(high) or 1.0
    figure = Figure()
    figure.width, figure.height = _WIDTH, _HEIGHT
    figure.with_colors = False
    figure.set_x_limits(float(numbers[0]) - 0.5, float(numbers[-1]) + 0.5)
    # No rate and no loss of a range from 0 is negative, so neither is the axis.
    figure.set_y_limits(low - margin if low else 0.0, high + margin)
    figure.origin = False  # plotille's axes would be taken for the curve
    figure.x_label, figure.y_label = labels
    figure.register_label_formatter(float, _label)
    figure.y_ticks_fkt = lambda value, _: f"{value:.3g}"
    figure.x_ticks_fkt = lambda value, _: f"{value:.0f}"
    draw = figure.plot if len(numbers) > 1 else figure.scatter
    draw(numbers.tolist(), values.tolist())
    return "\n".join(line.rstrip(" ⠀") for line in str(figure.show()).splitlines())


def _label(value: float, chars: int, delta: float, left: bool = False) -> str:  # noqa: ARG001 - plotille's signature
    text = f"{value:.4g}"
    return f"{text:<{chars}}" if left else f"{text:>{chars}}"
