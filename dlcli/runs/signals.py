"""SIGINT and SIGTERM while training: the first asks, a second SIGINT ends at once."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Literal

SignalName = Literal["sigint", "sigterm"]


@contextmanager
def stop_signals() -> Iterator[Callable[[], SignalName | None]]:
    """Within the block, give a function that says which signal has asked to stop, if any.

    Where Python can't hear signals, outside of the main thread, none is ever named.
    """
    heard: list[SignalName] = []

    def hear(number: int, _frame: FrameType | None) -> None:
        if heard and number == signal.SIGINT:
            raise KeyboardInterrupt
        heard.append("sigint" if number == signal.SIGINT else "sigterm")

    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    before = {number: signal.signal(number, hear) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: heard[0] if heard else None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
