"""How long training is expected to take."""

_START = 5.0  # seconds of starting the program and its workers
_PER_SECOND = 1e10  # multiply-adds of a row forwards, trained on two cores
_MINUTE = 60


def seconds_text(num_rows: int, multiply_adds: int) -> str:
    """Say how long steps on so many rows in all take, with `multiply_adds` for each forwards."""
    seconds = _START + num_rows * multiply_adds / _PER_SECOND
    if seconds < _MINUTE:
        return f"about {max(5, 5 * round(seconds / 5))} s on two cores"
    minutes = round(seconds / _MINUTE)
    return f"about {minutes} {'minute' if minutes == 1 else 'minutes'} on two cores"
