"""The CUDA kernels of a function, recorded once and launched again as one graph."""

from collections.abc import Callable

import torch
from torch import Tensor


class CudaGraph:
    """What an `OpTrace` is on the CPU, with the same conditions: `replay` writes into `result`.

    Random numbers go on where the ones before ended, as those of kernels launched one by one do.
    """

    def __init__(self, function: Callable[[], Tensor], device: torch.device) -> None:
        """Call the function, which gets its libraries ready; then record it without doing it."""
        with torch.cuda.device(device):
            stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                first = function()
            torch.cuda.current_stream().wait_stream(stream)
            self._graph = torch.cuda.CUDAGraph()
            # Another thread may be reading ahead meanwhile, into memory that it allocates.
            with torch.cuda.graph(self._graph, stream=stream, capture_error_mode="thread_local"):
                self.result = function()
            self.result.copy_(first)

    def replay(self) -> Tensor:
        """Do it all again."""
        self._graph.replay()
        return self.result
