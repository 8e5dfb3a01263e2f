"""A connection to Ray, or a Ray of one's own; its errors as dlcli's."""

import logging
import os
import secrets
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dlcli.errors import ConfigError, OutOfMemoryError, StorageError

MAX_RETRIES = 5  # of a task whose process or node died
_WATCH_SECONDS = 0.2  # between two looks at whether the parent process is there
_LONGEST_TEMPORARY = 40  # characters: paths of sockets have 107 at most, and Ray adds to it
_SHORT_TEMPORARY = "/tmp"  # noqa: S108 - a folder of its own is made in it


def leave_the_terminal() -> None:
    """Keep Ctrl-C from this process and from Ray's, and their words from the screen."""
    os.setsid()
    for number in (signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    sys.stdout = sys.stderr = os.fdopen(nowhere, "w")
    sys.argv = [""]  # Ray adds the folder of the program to where its processes look for modules


@contextmanager
def open_ray(address: str, cores: int) -> Iterator[Any]:
    """Yield Ray's module, connected to a cluster; end the cluster if it was started here."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_task_oom_retries", str(MAX_RETRIES))
    folder = None
    options: dict[str, Any] = {"address": address}
    if address == "local":
        # A secret of its own: Ray's ports are open to the network.
        os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32))
        parent = tempfile.gettempdir()
        if len(parent) >= _LONGEST_TEMPORARY:
            parent = _SHORT_TEMPORARY
        folder = tempfile.mkdtemp(prefix="dlcli-ray-", dir=parent)
        options |= {"num_cpus": cores, "num_gpus": 0, "include_dashboard": False}
        options["_temp_dir"] = folder
    import ray

    try:
        with _ends_with(os.getppid(), folder):
            ray.init(
                **options,
                log_to_driver=False,
                configure_logging=False,
                logging_level=logging.CRITICAL,
            )
        yield ray
    finally:
        ray.shutdown()
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _ends_with(parent: int, folder: str | None) -> Iterator[None]:
    """End this process at once if its parent does so within the block: Ray may wait for minutes."""
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.wait(_WATCH_SECONDS):
            if os.getppid() != parent:
                if folder is not None:
                    shutil.rmtree(folder, ignore_errors=True)
                os._exit(1)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def explained(error: Exception) -> Exception:
    """Turn Ray's errors into dlcli's, and those of a task into what was raised there."""
    from ray import exceptions

    if isinstance(error, exceptions.RayTaskError):
        cause = error.cause
        if isinstance(cause, ImportError):
            return ConfigError(
                f"--ray: a node lacks what dlcli needs: {cause}; install dlcli there"
            )
        return cause if isinstance(cause, Exception) else RuntimeError(str(error))
    if isinstance(error, exceptions.OutOfMemoryError | exceptions.WorkerCrashedError):
        return OutOfMemoryError(
            "a process that trains was ended by the system on its node, again and again: most "
            "likely the memory is full; try a smaller training.batch_size or fewer --seeds"
        )
    if isinstance(error, exceptions.AuthenticationError):
        return ConfigError(
            "--ray: the cluster asks for another authentication token: set RAY_AUTH_MODE=token, "
            "and RAY_AUTH_TOKEN to what `ray get-auth-token` prints on its head node"
        )
    if isinstance(error, exceptions.RayError):
        return StorageError(f"the Ray cluster fails: {str(error).splitlines()[0]}")
    return error
