"""A real browser without a screen: what it makes of a page."""

import json
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from html import escape, unescape
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


# Measures a page in a window and on a phone, and points at the middle of its first curve.
_MEASURE = """
<script>
function box(e) { return e.getBoundingClientRect(); }
function words(e) { return (e.textContent || e.tagName).trim().slice(0, 60); }
function measure(frame) {
  const doc = frame.contentDocument, width = frame.clientWidth, found = [];
  const add = (what, e) => found.push(`${width} px: ${what}: ${words(e)}`);
  if (doc.documentElement.scrollWidth > width) {
    found.push(`${width} px: the page is ${doc.documentElement.scrollWidth} px wide`);
    for (const e of doc.querySelectorAll("main *, nav *")) {
      if (box(e).right > width + 1 && !e.closest(".scroll") && !e.children.length) add("cut", e);
    }
  }
  for (const e of width > 1000 ? doc.querySelectorAll(".scroll") : []) {
    if (e.scrollWidth > e.clientWidth + 1) add("needs a scrollbar", e);
  }
  for (const svg of doc.querySelectorAll("svg.chart")) {
    const edge = box(svg), texts = Array.from(svg.querySelectorAll("text"), (e) => [e, box(e)]);
    for (const [e, b] of texts) {
      if (b.left < edge.left - 1 || b.right > edge.right + 1 || b.bottom > edge.bottom + 1)
        add("cut in its picture", e);
    }
    texts.forEach(([e, a], i) => texts.slice(i + 1).forEach(([f, b]) => {
      const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      const turned = e.getAttribute("transform") || f.getAttribute("transform");
      if (!turned && wide > 2 && high > 4) add(`overlaps with ${words(f)}`, e);
    }));
  }
  return found;
}
function point(frame) {
  const doc = frame.contentDocument, line = doc.querySelector("path.line[data-at]");
  if (!line) return "";
  line.scrollIntoView({ block: "center" });
  const b = box(line), view = frame.contentWindow;
  const place = { clientX: (b.left + b.right) / 2, clientY: (b.top + b.bottom) / 2 };
  line.dispatchEvent(new view.PointerEvent("pointermove", { bubbles: true, ...place }));
  const tip = doc.querySelector(".tip");
  return tip.hidden ? "" : tip.innerText;
}
window.addEventListener("load", () => {
  const frames = Array.from(document.querySelectorAll("iframe"));
  const seen = { flaws: frames.flatMap(measure), tooltip: point(frames[0]) };
  seen.dom = frames[0].contentDocument.documentElement.outerHTML;
  document.querySelector("#seen").textContent = JSON.stringify(seen);
});
</script>
<pre id="seen"></pre>
"""
_WIDTHS = (1280, 390)


@dataclass(frozen=True)
class Seen:
    """What the browser made of a page."""

    dom: str  # after it was rendered
    messages: list[str]  # of its console: errors, what its policy refused
    requests: list[str]  # for anything that is not the file itself
    flaws: list[str]  # what is cut off, overlaps, or needs a scrollbar at 1,280 or 390 pixels
    tooltip: str  # of the middle of the first curve


def look_at(page: Path) -> Seen:
    """Render a page at both widths, and point at its first curve."""
    with tempfile.TemporaryDirectory() as folder:
        log, desk = Path(folder) / "net.json", Path(folder) / "desk.html"
        html = escape(page.read_text("utf-8"))
        frames = "".join(
            f'<iframe width="{w}" height="900" srcdoc="{html}"></iframe>' for w in _WIDTHS
        )
        desk.write_text(f'<!doctype html><meta charset="utf-8">{frames}{_MEASURE}', "utf-8")
        outcome = _run(
            desk, folder, f"--log-net-log={log}", "--dump-dom", "--window-size=1800,1000"
        )
        events = log.read_text("utf-8", errors="replace")
    urls = set(re.findall(r'"url":"([^"]+)"', events))
    (found,) = re.findall(r'<pre id="seen">(.*?)</pre>', outcome.stdout, re.DOTALL)
    seen = json.loads(unescape(found))
    return Seen(
        dom=seen["dom"],
        flaws=seen["flaws"],
        tooltip=seen["tooltip"],
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
