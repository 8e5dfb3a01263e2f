"""The card itself, and what its matrix units reach in this PyTorch."""

import platform
from collections.abc import Iterator

import torch

from benchmarks.gpu.work import Work, measure_matrix_rate


def lines(work: Work) -> Iterator[str]:
    """Yield the section's lines."""
    versions = f"PyTorch {torch.__version__}, Python {platform.python_version()}"
    if work.device == "cpu":
        yield f"No GPU; {versions}."
    else:
        about = torch.cuda.get_device_properties(work.device)
        memory = f"{about.total_memory / 2**30:.0f} GiB"
        capability = f"compute capability {about.major}.{about.minor}"
        yield f"{about.name}, {memory}, {capability}; CUDA {torch.version.cuda}, {versions}."
    yield ""
    yield "| product of two large square matrices | TFLOP/s |"
    yield "|---|---|"
    yield f"| bf16, the *matrix rate* of this page | {work.matrix_rate() / 1e12:,.1f} |"
    yield f"| fp32 | {measure_matrix_rate(work, torch.float32) / 1e12:,.1f} |"
