"""Where a network is computed, and in which precision."""

import pytest
import torch

from dlcli.training.device import choose_placement

pytestmark = pytest.mark.skipif(
    not hasattr(torch.cpu, "get_capabilities"), reason="PyTorch doesn't tell what the processor has"
)


@pytest.mark.parametrize(
    ("has", "is_slow"),
    [
        ({"architecture": "x86_64"}, True),
        ({"architecture": "x86_64", "avx512_bf16": True}, False),
        ({"architecture": "x86_64", "amx_bf16": True}, False),
        ({"architecture": "aarch64"}, False),  # can't be told
    ],
)
def test_bf16_on_a_processor_without_it_is_said_to_be_slow(
    has: dict[str, object], is_slow: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: has)
    assert ("fp32 is faster" in choose_placement("cpu", "bf16").reason) == is_slow
    assert "fp32 is faster" not in choose_placement("cpu", "auto").reason
