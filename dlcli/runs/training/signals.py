"""Signals while training: the first SIGINT or SIGTERM asks, a second SIGINT ends at once.

SIGHUP, which says that the terminal is gone, is no reason to stop.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Literal

SignalName = Literal["sigint", "sigterm"]
EXIT_CODES: dict[SignalName, int] = {"sigint": 130, "sigterm": 143}


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
    handlers: dict[int, Any] = {signal.SIGINT: hear, signal.SIGTERM: hear}
    if hasattr(signal, "SIGHUP"):
        handlers[signal.SIGHUP] = signal.SIG_IGN
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield lambda: heard[0] if heard else None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
