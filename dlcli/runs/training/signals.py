"""Signals during training: they stop it after the step, a second SIGINT at once.

SIGUSR1 and SIGUSR2 are what batch systems send before a time limit. SIGHUP, sent when the terminal
closes, is ignored.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Literal

SignalName = Literal["sigint", "sigterm", "sigusr1", "sigusr2"]
Received = Callable[[], SignalName | None]  # the first signal that came, if any
EXIT_CODES: dict[SignalName, int] = {
    "sigint": 130,
    "sigterm": 143,
    "sigusr1": 138,
    "sigusr2": 140,
}
NAMES: dict[int, SignalName] = {  # Windows has only the first two
    int(getattr(signal, name.upper())): name for name in EXIT_CODES if hasattr(signal, name.upper())
}


@contextmanager
def stop_signals() -> Iterator[Received]:
    """Within the block, provide a function that returns the signal received, if any.

    Outside of the main thread, where Python can't handle signals, it always returns None.
    """
    received: list[SignalName] = []

    def handle(number: int, _frame: FrameType | None) -> None:
        if received and number == signal.SIGINT:
            raise KeyboardInterrupt
        received.append(NAMES[number])

    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    handlers: dict[int, Any] = dict.fromkeys(NAMES, handle)
    if hasattr(signal, "SIGHUP"):
        handlers[signal.SIGHUP] = signal.SIG_IGN
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield lambda: received[0] if received else None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
