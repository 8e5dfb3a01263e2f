"""What starts, starts light."""

import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT, Command

PENGUINS = str(ROOT / "configs" / "penguins.yaml")

HEAVY = ("torch", "sklearn", "scipy")
DRAWS_NOTHING = ("schema", "validate")  # where no screen is written to


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--help"], 0),
        (["--version"], 0),
        (["schema"], 0),
        (["validate", PENGUINS], 0),
        (["describe", PENGUINS], 0),
        (["train", "--help"], 0),
        (["train", "nowhere.yaml"], 2),
    ],
)
def test_nothing_heavy_is_imported_before_it_is_needed(arguments: list[str], code: int) -> None:
    unneeded = (*HEAVY, "rich.console") if arguments[0] in DRAWS_NOTHING else HEAVY
    program = (
        "import sys; from dlcli.cli.app import run; code = run(sys.argv[1:]); "
        f"sys.exit('imported' if any(name in sys.modules for name in {unneeded}) else code)"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False
    )
    assert (result.returncode, "imported" in result.stderr) == (code, False)


def test_help_needs_neither_numbers_nor_tables() -> None:
    program = (
        "import sys; from dlcli.cli.app import run; run(['--help']); "
        "sys.exit(' '.join({'numpy', 'polars', 'pydantic'} & {*sys.modules}))"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert result.stderr == "\n"


@pytest.mark.parametrize(
    ("given", "spins"),
    [
        ({}, "2000 10"),
        ({"GOMP_SPINCOUNT": "7", "OPENBLAS_THREAD_TIMEOUT": "26"}, "7 26"),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, "None 10"),
    ],
)
def test_waiting_threads_rest_unless_told_otherwise(given: dict[str, str], spins: str) -> None:
    code = (
        "import os; from dlcli.cli.app import run; run(['--version']); "
        "print(os.environ.get('GOMP_SPINCOUNT'), os.environ.get('OPENBLAS_THREAD_TIMEOUT'))"
    )
    known = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "OPENBLAS_THREAD_TIMEOUT")
    plain = {key: value for key, value in os.environ.items() if key not in known}
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=plain | given
    ).stdout
    assert out.splitlines()[-1] == spins


def test_training_imports_nothing_heavy_but_torch() -> None:
    heavy = ("sklearn", "scipy", "pandas", "torch._dynamo", "torch._inductor")
    code = (
        "import sys; from dlcli.cli.app import run; code = run(sys.argv[1:]); "
        f"sys.exit(code or ' '.join({{*{heavy}}} & {{*sys.modules}}) or 0)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, "train", PENGUINS, "--smoke"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize(
    "arguments", [["trian"], ["train"], ["train", "a.yaml", "--sed", "x"], ["predict", "run"]]
)
def test_a_wrong_command_line_has_exit_code_2(arguments: list[str], dlcli: Command) -> None:
    assert dlcli(*arguments).code == 2


def test_a_config_that_is_not_there_has_exit_code_2(dlcli: Command) -> None:
    outcome = dlcli("train", "nowhere.yaml")
    assert outcome.code == 2
    assert (
        outcome.err == "dlcli: nowhere.yaml: cannot read this config: No such file or directory\n"
    )
