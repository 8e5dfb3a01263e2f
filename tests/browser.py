"""A real browser without a screen: what it makes of a page."""

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--hide-scrollbars", "--enable-logging=stderr", "--log-level=0"),
    "--host-resolver-rules=MAP * ~NOTFOUND",  # whatever is asked for, nothing leaves this machine
)
# What the browser asks for by itself.
_OWN = re.compile(
    r"(file|data|chrome|devtools|chrome-extension|about):"
    r"|https?://(clients2\.google\.com|update\.googleapis\.com|accounts\.google\.com)/"
)

needs_browser = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium here: apt-get install chromium"
)


@dataclass(frozen=True)
class Seen:
    """What the browser made of a page."""

    dom: str  # after it was rendered
    messages: list[str]  # of its console: errors, what its policy refused
    requests: list[str]  # for anything that is not the file itself


def look_at(page: Path) -> Seen:
    """Render a page from disk."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "net.json"
        outcome = _run(page, folder, f"--log-net-log={log}", "--dump-dom")
        events = log.read_text("utf-8", errors="replace")
    urls = set(re.findall(r'"url":"([^"]+)"', events))
    return Seen(
        dom=outcome.stdout,
        messages=re.findall(r"CONSOLE.*", outcome.stderr),
        requests=sorted(url for url in urls if not _OWN.match(url)),
    )


def photograph(page: Path, picture: Path, *, width: int, height: int, dark: bool = False) -> None:
    """Take a picture of the top of a page in a window of some size."""
    with tempfile.TemporaryDirectory() as folder:
        theme = ["--blink-settings=preferredColorScheme=0"] if dark else []
        _run(page, folder, f"--screenshot={picture}", f"--window-size={width},{height}", *theme)


def _run(page: Path, folder: str, *options: str) -> subprocess.CompletedProcess[str]:
    assert CHROMIUM is not None, "tests that need it are skipped"
    command = [
        CHROMIUM,
        *_FLAGS,
        f"--user-data-dir={folder}/user",
        *options,
        page.resolve().as_uri(),
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
