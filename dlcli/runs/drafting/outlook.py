"""How long training is expected to take, by what it took on two cores of a server."""

import math

_START = 9.0  # seconds until the programs have started
_CORES = 2
# Seconds of one core.
_EPOCH = 4e-3  # of a network: its validation rows and its best weights
_ROW = 2e-6
_COLUMN = 4e-7  # a row's number, embedded
_MULTIPLY_ADD = 1.4e-10  # forwards; the gradient's are in it
_TOGETHER = 1.6  # times as fast: one network of convolutions on two cores, not one
_MINUTE = 60


def row_seconds(*, num_numeric: int, multiply_adds: int) -> float:
    """Return the seconds that a row takes a core in each epoch.

    It has `num_numeric` embedded columns, and takes `multiply_adds` for its output.
    """
    return _ROW + num_numeric * _COLUMN + multiply_adds * _MULTIPLY_ADD


def expected_seconds(*, num_networks: int, num_epochs: int, num_rows: int, of_row: float) -> float:
    """Return the seconds that networks take, each on a core, of so many epochs and rows each."""
    rounds = math.ceil(num_networks / _CORES)
    return _START + rounds * num_epochs * (_EPOCH + num_rows * of_row)


def convolution_seconds(
    *, num_networks: int, num_epochs: int, num_images: int, multiply_adds: int
) -> float:
    """Return the seconds that networks of convolutions take for so many epochs and images each."""
    seconds = num_networks * num_epochs * num_images * (_ROW + multiply_adds * _MULTIPLY_ADD)
    return _START + seconds / _TOGETHER


def seconds_text(seconds: float) -> str:
    """Say how long it takes, in round numbers."""
    if seconds < _MINUTE:
        return f"about {5 * max(2, round(seconds / 5))} s on two cores"
    minutes = round(seconds / _MINUTE)
    return f"about {minutes} {'minute' if minutes == 1 else 'minutes'} on two cores"
