"""`--ray`: the same results on a Ray cluster, whatever dies there.

Nodes are started as users start them, by `ray start`, with token authentication on.
"""

import importlib.util
import json
import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import torch

from dlcli.config import load_config
from dlcli.data.stream import drain
from dlcli.errors import ConfigError
from dlcli.runs.comparison.comparable import preparing_comparison
from dlcli.runs.comparison.compare import compare
from dlcli.runs.comparison.setup import build_setup
from dlcli.runs.preparation import prepare
from dlcli.training.engines.threads import using_threads
from dlcli.trials.running import execution
from dlcli.trials.running.backend import Backend
from dlcli.trials.running.cluster.cluster import RayCluster, open_cluster
from dlcli.trials.running.cluster.messages import Connected
from dlcli.trials.running.executor import TrialFinished
from tests.conftest import ROOT, UNMEASURED, Command
from tests.training.test_engines import CPU

needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="Ray is not installed: pip install 'dlcli[ray]'"
)
MOONS = ROOT / "configs" / "moons.yaml"
LONG = [  # runs that end at different epochs, some seconds in all
    *("--set", "training.epochs=150", "--set", "training.early_stopping.patience=10"),
    *("--set", "compare.tuning_seeds=3", "--set", "compare.most_lrs=2", "--set", "report=false"),
    *("--optimizers", "sgd,adam", "--lrs", "0.01,0.1", "--seeds", "3"),
]
ENDLESS = ["--set", "training.epochs=1000000", "--set", "training.early_stopping=null"]
ENDLESS += ["--optimizers", "sgd,adam"]
_SECONDS = 120  # that anything may take


@dataclass
class Program:
    """A `dlcli` at work, and what it writes."""

    process: subprocess.Popen[bytes]
    screen: Path

    def wait(self) -> tuple[int, str]:
        """Return its exit code, and all it wrote."""
        return self.process.wait(_SECONDS), self.screen.read_text("utf-8")


def start(*arguments: object, env: dict[str, str] | None = None) -> Program:
    screen = Path(f"screen-{time.monotonic_ns()}.txt")
    with screen.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "dlcli", *map(str, arguments)],
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**UNMEASURED, "PYTHONPATH": str(ROOT), "COLUMNS": "200", **(env or {})},
        )
    return Program(process, screen)


def results(folder: str) -> dict[str, str]:
    """Return the line of each finished run in a folder, but for the time of a step."""
    found = {}
    for line in Path(folder, "runs.jsonl").read_text("utf-8").splitlines()[1:]:
        result = json.loads(line)
        del result["seconds_a_step"]
        key = json.dumps(result["trial"], sort_keys=True)
        assert key not in found, "a run is kept once"
        found[key] = json.dumps(result)
    return found


def verdict(folder: str) -> object:
    return json.loads(Path(folder, "comparison.json").read_text("utf-8"))["verdict"]


def await_runs(folder: str, number: int, program: Program) -> list[str]:
    """Wait until so many runs are kept; return their lines."""
    file, until = Path(folder, "runs.jsonl"), time.monotonic() + _SECONDS
    while time.monotonic() < until and program.process.poll() is None:
        lines = file.read_text("utf-8").splitlines()[1:] if file.exists() else []
        if len(lines) >= number:
            return lines
        time.sleep(0.02)
    raise AssertionError(program.screen.read_text("utf-8"))


def processes(word: str, session: int | None = None) -> list[int]:
    """Return the processes whose command line has a word, of a session if one is given."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            pid = int(folder.name)
            if word in line and session in (None, os.getsid(pid)):
                found.append(pid)
    return found


def ray_session(program: int) -> int:
    """Return the session in which a program's Ray runs: its child that leads one."""
    children = [
        int(pid)
        for task in Path(f"/proc/{program}/task").iterdir()
        for pid in (task / "children").read_text().split()
    ]
    [leader] = [pid for pid in children if os.getsid(pid) == pid]
    return leader


def assert_ends(session: int) -> None:
    """Hold that no process of a session is left after a moment."""
    until = time.monotonic() + 15
    while left := processes("", session):
        assert time.monotonic() < until, left
        time.sleep(0.1)


def straight(*arguments: object) -> None:
    """Do the same without Ray, in the folder `straight`."""
    code, said = start("compare-optimizers", MOONS, *arguments, "--run-dir", "straight").wait()
    assert code == 0, said


def test_ray_that_is_not_installed_is_refused_with_what_to_install() -> None:
    hidden = (
        "import sys; sys.modules['ray'] = None\n"
        "from dlcli.cli.app import run\n"
        f"sys.exit(run(['find-lr', {str(MOONS)!r}, '--ray', 'local']))"
    )
    environment = {**UNMEASURED, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        [sys.executable, "-c", hidden], env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert result.stderr == "dlcli: --ray: Ray is not installed: pip install 'dlcli[ray]'\n"


def test_a_network_on_a_gpu_is_refused() -> None:
    setup = build_setup(prepare(load_config(MOONS, ["training.device=cpu"])), CPU)
    on_gpu = replace(setup, placement=replace(CPU, device=torch.device("cuda")))
    here, _ = multiprocessing.Pipe()
    cluster = RayCluster(here, Connected(num_nodes=1, num_cores=1))
    cluster.check(setup)
    with pytest.raises(ConfigError, match="--ray trains on CPUs, and the device here is cuda: add"):
        cluster.check(on_gpu)


@needs_ray
@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("127.0.0.1:1", "nothing answers there"),
        ("somewhere", "give the HOST:PORT that `ray start --head` printed, or `local`"),
        ("ray://127.0.0.1:1", "give the HOST:PORT"),
    ],
)
def test_an_address_without_a_cluster_is_refused(dlcli: Command, address: str, said: str) -> None:
    begun = time.monotonic()
    outcome = dlcli("compare-optimizers", MOONS, "--ray", address)
    assert outcome.code == 2
    assert said in " ".join(outcome.err.split())
    assert time.monotonic() - begun < 10
    assert not Path("runs").exists()


def compare_once(folder: str, backend: Backend | None, kill_in: int | None = None) -> list[str]:
    """Compare, and kill all processes of a session that train, once a run is kept.

    Return the lines that were kept by then.
    """
    settings = ["training.epochs=100", "training.early_stopping.patience=10", "training.threads=2"]
    protocol = ["compare.tuning_seeds=2", "compare.lrs=[0.01, 0.1]", "compare.seeds=2"]
    loaded = load_config(MOONS, [*settings, *protocol, "compare.most_lrs=2"])
    comparable = drain(preparing_comparison(loaded, ["sgd", "adam"]))
    kept: list[str] = []
    for event in compare(comparable, run_dir=Path(folder), backend=backend):
        if kill_in is not None and isinstance(event, TrialFinished) and not kept:
            for victim in processes("ray::train_trials", kill_in):
                os.kill(victim, signal.SIGKILL)
                kept = Path(folder, "runs.jsonl").read_text("utf-8").splitlines()
    return kept


@needs_ray
@pytest.mark.campaign
def test_local_ray_gives_the_same_even_if_processes_die(monkeypatch: pytest.MonkeyPatch) -> None:
    # Beside other programs, what is measured may differ from one comparison to the next.
    monkeypatch.setattr(execution, "_stacked_seconds", lambda _: 1e-9)
    with using_threads(1):
        with open_cluster("local", 2) as cluster:
            session = ray_session(os.getpid())
            kept = compare_once("ray", cluster, kill_in=session)
        assert_ends(session)
        compare_once("straight", None)
    assert 1 < len(kept) < 1 + 8
    assert Path("ray/runs.jsonl").read_text("utf-8").splitlines()[: len(kept)] == kept
    assert results("ray") == results("straight")
    assert verdict("ray") == verdict("straight")


@needs_ray
@pytest.mark.campaign
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_no_process_of_local_ray_outlives_its_program(number: int, code: int) -> None:
    program = start("compare-optimizers", MOONS, *ENDLESS, "--run-dir", "ray", "--ray", "local")
    until = time.monotonic() + _SECONDS
    while "choosing rates" not in program.screen.read_text("utf-8"):
        assert time.monotonic() < until
        time.sleep(0.05)
    session = ray_session(program.process.pid)
    program.process.send_signal(number)
    ended, said = program.wait()
    assert ended == code
    if number == signal.SIGINT:
        assert "0 finished runs are kept" in said
        assert "--run-dir ray --resume --ray local" in said
    assert_ends(session)


@dataclass
class Cluster:
    """Nodes of one core each, on this machine."""

    port: int
    env: dict[str, str]
    folder: Path
    nodes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start_node(self, **env: str) -> None:
        """Start a node; the first one is the head."""
        place = [f"--address={self.address}"]
        if not self.nodes:
            place = ["--head", f"--port={self.port}", f"--temp-dir={self.folder}"]
            place += ["--include-dashboard=false"]
        ray = Path(sys.executable).parent / "ray"
        log = self.folder.parent / f"{self.folder.name}-{len(self.nodes)}.txt"
        with log.open("wb") as file:
            node = subprocess.Popen(
                [ray, "start", *place, "--num-cpus=1", "--disable-usage-stats", "--block"],
                env={**self.env, **env},
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.nodes.append(node)
        until = time.monotonic() + _SECONDS
        while b"will now block" not in log.read_bytes():
            assert time.monotonic() < until, log.read_text()
            assert node.poll() is None, log.read_text()
            time.sleep(0.1)

    def kill_node(self) -> None:
        """Kill all processes of the node that came last, at once."""
        node = self.nodes.pop()
        os.killpg(node.pid, signal.SIGKILL)
        node.wait()


@contextmanager
def start_cluster() -> Iterator[Cluster]:
    """Start a cluster of one node with a short path, as Ray's sockets lie in it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    folder = Path(f"/tmp/dlcli-test-{port}")
    env = {**UNMEASURED, "PYTHONPATH": str(ROOT)}
    env |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64}
    cluster = Cluster(port, env, folder)
    try:
        cluster.start_node()
        yield cluster
    finally:
        while cluster.nodes:
            cluster.kill_node()
        shutil.rmtree(folder, ignore_errors=True)
        for log in folder.parent.glob(f"{folder.name}-*.txt"):
            log.unlink()


@needs_ray
@pytest.mark.campaign
def test_a_node_that_dies_loses_no_finished_run() -> None:
    straight(*LONG)
    with start_cluster() as cluster:
        cluster.start_node()
        on_ray = ["--ray", cluster.address]
        command = ["compare-optimizers", MOONS, *LONG, "--run-dir", "ray"]
        program = start(*command, *on_ray, env=cluster.env)
        kept = await_runs("ray", 2, program)
        cluster.kill_node()
        code, said = program.wait()
        assert code == 0, said
        assert f"ray {cluster.address}: 2 nodes with 2 cores" in said
        assert "ray one node lost, one node with one core left" in said
        assert Path("ray/runs.jsonl").read_text("utf-8").splitlines()[1:][: len(kept)] == kept
        assert results("ray") == results("straight")
        assert verdict("ray") == verdict("straight")

        for name, more in (("here", []), ("there", on_ray)):
            program = start("find-lr", MOONS, "--run-dir", name, *more, env=cluster.env)
            code, said = program.wait()
            assert code == 0, said
        for name in ("find_lr.json", "find_lr.parquet"):
            assert Path("there", name).read_bytes() == Path("here", name).read_bytes()


@needs_ray
@pytest.mark.campaign
def test_a_cluster_that_goes_away_is_said_and_finished_runs_are_kept() -> None:
    with start_cluster() as cluster:
        command = ["compare-optimizers", MOONS, *LONG, "--run-dir", "ray"]
        program = start(*command, "--ray", cluster.address, env=cluster.env)
        kept = await_runs("ray", 1, program)
        cluster.kill_node()
        code, said = program.wait()
    assert code == 7, said
    assert "the Ray cluster is gone" in said
    assert "Traceback" not in said
    assert Path("ray/runs.jsonl").read_text("utf-8").splitlines()[1:][: len(kept)] == kept


@needs_ray
@pytest.mark.campaign
def test_what_is_stopped_on_ray_goes_on_without_and_the_other_way_round() -> None:
    straight(*LONG)
    for first, second in (([], ["--ray", "local"]), (["--ray", "local"], [])):
        folder = f"resumed-{len(first)}"
        program = start("compare-optimizers", MOONS, *LONG, "--run-dir", folder, *first)
        kept = await_runs(folder, 1, program)
        program.process.send_signal(signal.SIGTERM)
        code, said = program.wait()
        assert code == 143, said
        config = Path(folder, "config.yaml")
        again = start("compare-optimizers", config, "--run-dir", folder, "--resume", *second)
        code, said = again.wait()
        assert code == 0, said
        assert "finished before" in said
        lines = Path(folder, "runs.jsonl").read_text("utf-8").splitlines()[1:]
        assert lines[: len(kept)] == kept
        assert results(folder).keys() == results("straight").keys()


@needs_ray
@pytest.mark.campaign
def test_nodes_with_other_versions_and_strangers_are_refused(tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(ROOT / "dlcli", other / "dlcli")
    with (other / "dlcli" / "seeds.py").open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    with start_cluster() as cluster:
        command = ["find-lr", MOONS, "--ray", cluster.address]
        strange = {**cluster.env, "RAY_AUTH_TOKEN": "1" * 64}
        begun = time.monotonic()
        code, said = start(*command, env=strange).wait()
        assert code == 2
        assert "does it have the same authentication (RAY_AUTH_MODE" in " ".join(said.split())
        assert time.monotonic() - begun < 70
        cluster.start_node(PYTHONPATH=str(other))
        code, said = start(*command, env=cluster.env).wait()
        assert code == 2
        assert "can't give the same results: dlcli is 0.1.0 (code" in " ".join(said.split())
