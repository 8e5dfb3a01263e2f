"""Many small computations with a network, on as many threads as it may use."""

import copy
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import local
from typing import TypeVar

import torch

from dlcli.explaining.explained_model import ExplainedModel
from dlcli.training.engines.threads import using_threads

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def compute_each(
    model: ExplainedModel,
    compute: Callable[[ExplainedModel, _Item], _Result],
    items: Sequence[_Item],
) -> list[_Result]:
    """Compute a result for each item, and return them in the same order.

    Each is computed on one thread, however many are at work, so that results don't depend on the
    number of threads. `compute` may put other weights into the network: each thread has a network
    of its own.
    """
    num_threads = min(model.num_threads, len(items))
    if model.placement.device.type != "cpu":
        num_threads = 1
    with using_threads(1):
        if num_threads < 2:
            return [compute(model, item) for item in items]
        of_thread = local()

        def begin() -> None:
            torch.set_num_threads(1)  # threads begin with torch's own number
            of_thread.model = replace(model, network=copy.deepcopy(model.network))

        with ThreadPoolExecutor(num_threads, "dlcli-explaining", begin) as pool:
            return list(pool.map(lambda item: compute(of_thread.model, item), items))
