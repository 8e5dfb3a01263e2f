import re

from tests.conftest import ROOT, Command

CONFIGS = ROOT / "configs"


def test_each_layer_has_its_shape_parameters_operations_and_memory(dlcli: Command) -> None:
    out = dlcli("describe", CONFIGS / "digits.yaml").out
    rows = [re.split(r"\s*│\s*", line.strip("│ ")) for line in out.splitlines() if "│" in line]
    assert ["3 conv2d", "64 × 8 × 8", "18,496", "1,179,648", "1 MiB"] in rows
    assert ["9 dense relu", "128", "131,200", "131,072", "32 KiB"] in rows
    assert ["total", "", "151,498", "1,330,432", "5.06 MiB"] in rows
    assert "weights, gradients and adam's state: 2.31 MiB" in out


def test_the_batch_is_the_one_that_training_takes(dlcli: Command) -> None:
    config = CONFIGS / "lecture" / "11_gradient_descent.yaml"
    assert "memory for 300 rows" in dlcli("describe", config).out
    assert "memory for 7 rows" in dlcli("describe", config, "--set", "training.batch_size=7").out


def test_a_config_that_does_not_fit_is_refused(dlcli: Command) -> None:
    outcome = dlcli("describe", CONFIGS / "moons.yaml", "--set", "model.layers[2].units=5")
    assert outcome.code == 2
    assert "the network's output has the shape [5], the target needs [1]" in outcome.err
