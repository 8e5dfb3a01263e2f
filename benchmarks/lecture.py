"""The pictures of docs/guides/lecture.md.

`python -m benchmarks.lecture [--write]`: runs every command of the page, in a folder of its own,
and with --write copies the pictures that it names to docs/lecture.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "guides" / "lecture.md"
_BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
_PICTURE = re.compile(r"!\[[^\]]*\]\(([^)]+)\)\n<!-- from (\S+) -->")


def pictures(text: str) -> dict[str, str]:
    """Return where each picture stands beside a page, and where its commands leave it."""
    return dict(_PICTURE.findall(text))


def main() -> None:
    """Run the commands; copy the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write docs/guides/lecture")
    arguments = parser.parse_args()
    text = PAGE.read_text("utf-8")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with tempfile.TemporaryDirectory() as folder:
        for name in ("configs", "data"):
            shutil.copytree(ROOT / name, Path(folder) / name)
        for line in "\n".join(_BLOCK.findall(text)).splitlines():
            if line.startswith("$ "):
                print(line, flush=True)
                command = ["bash", "-c", line.removeprefix("$ ")]
                done = subprocess.run(
                    command,
                    cwd=folder,
                    env={**os.environ, "PATH": path},
                    capture_output=True,
                    text=True,
                    check=False,
                )
                print(*(done.stdout + done.stderr).splitlines()[-3:], sep="\n")
        for name, source in pictures(text).items():
            if arguments.write:
                (PAGE.parent / name).parent.mkdir(exist_ok=True)
                shutil.copyfile(Path(folder) / source, PAGE.parent / name)
            print(f"{name}: {source}")


if __name__ == "__main__":
    main()
