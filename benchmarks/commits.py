"""The code of another commit, put into a folder and run beside this one's."""

import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).parent.parent


def check_out(commit: str, folder: Path) -> str:
    """Put a commit's files into a folder; return its full name."""
    git = ["git", "-C", str(ROOT)]
    name = subprocess.run(
        [*git, "rev-parse", commit], check=True, capture_output=True, text=True
    ).stdout.strip()
    archive = subprocess.run([*git, "archive", name], check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(folder, filter="data")
    return name


def dlcli_of(code: Path, *arguments: object) -> tuple[list[str], dict[str, str]]:
    """Return the command line and the environment of a checkout's dlcli."""
    command = [sys.executable, "-m", "dlcli", *map(str, arguments)]
    # Python keeps what it has compiled, unless it is told not to.
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    return command, {**kept, "PYTHONPATH": str(code)}
