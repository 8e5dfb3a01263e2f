"""Starting several processes on this machine, and how their ends are told."""

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys
from dlcli.training.processes.launch import launch

full_disk = "import sys; sys.exit(7)"
signalled = '''
import os, signal, time
other = os.environ["FOLDER"] + "/other"
if os.environ["RANK"] == "0":
    while not os.path.exists(other):
        time.sleep(0.01)
    os.kill(os.getppid(), signal.SIGTERM)
else:
    open(other, "w").close()
time.sleep(60)
'''
for child in (full_disk, signalled):
    ended = launch([sys.executable, "-c", child], 2)
    print(ended.exit_code, ended.is_lost)
"""


def test_neither_a_full_disk_nor_a_signal_is_a_lost_process_and_only_dlcli_tells_of_them(
    tmp_path: Path,
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "FOLDER": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == "7 False\n143 False\n"
    assert done.stderr == ""
