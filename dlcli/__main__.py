"""The program `dlcli`."""

import os
import sys

from dlcli.cli.app import run


def main() -> None:
    """Run the command line and leave with the exit code of the contract."""
    code = run()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # closed: without this, Python would complain as it ends, and exit with 120
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(code)


if __name__ == "__main__":
    main()
