"""torchvision, made ready to be imported where its wheel is made for another build of torch.

The wheels on PyPI are made for torch with CUDA. Beside a torch without it, their compiled operators
can't be loaded, and importing torchvision fails as it describes two of them: so these are declared
before. No network needs them.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

_spec = find_spec("torchvision")
assert _spec is not None, "torchvision is one of the development tools: pip install '.[dev]'"
assert _spec.origin is not None, "a package"
try:
    torch.ops.load_library(Path(_spec.origin).with_name("_C.so"))  # type: ignore[no-untyped-call]
except OSError:
    _library: Any = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for _name in ("nms", "qnms"):
        _library.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
