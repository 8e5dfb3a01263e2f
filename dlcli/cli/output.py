"""Plain text on standard output, without importing rich."""

import sys

from dlcli.errors import StorageError


def emit(text: str) -> None:
    """Print a command's result on standard output; StorageError if that fails."""
    try:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except OSError as error:
        raise unwritable(error) from None


def unwritable(error: OSError) -> StorageError:
    """Return the error for a standard output that is full or closed."""
    return StorageError(f"standard output: cannot write to it: {error.strerror or error}")
