"""Whether lines on the screen can be redrawn, which is another question than colours.

rich decides on colours: by NO_COLOR, FORCE_COLOR, TTY_COMPATIBLE and TERM. A log file can show
colours, but keeps every frame of a progress bar.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape

_NO = ("", "0", "false", "no", "off")


def can_redraw(console: Console) -> bool:
    """Say whether what was printed can be replaced: on a terminal that moves its cursor up.

    A file and a pipe can't, whatever FORCE_COLOR and TTY_COMPATIBLE say of colours, nor can
    TERM=dumb. Logs of CI services (CI=true) and the output of `!` in a notebook come from a
    terminal whose every frame is kept. TTY_INTERACTIVE=0 is rich's own way to ask for lines.
    """
    is_logged = os.environ.get("CI", "").strip().lower() not in _NO
    is_notebook = "JPY_PARENT_PID" in os.environ  # set by Jupyter for what its kernels start
    is_moving = console.is_interactive and console.file.isatty()
    return is_moving and not is_logged and not is_notebook


@contextmanager
def open_status(console: Console) -> Iterator[Callable[[str], None]]:
    """Provide a function that shows a text in place of the one before, where that is possible."""
    if not can_redraw(console):
        yield lambda _text: None
        return
    with console.status("") as status:
        yield lambda text: status.update(escape(text))
