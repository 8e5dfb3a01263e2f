"""The program `dlcli`."""

import sys

from dlcli.cli.app import run


def main() -> None:
    """Run the command line and leave with the exit code of the contract."""
    sys.exit(run())


if __name__ == "__main__":
    main()
