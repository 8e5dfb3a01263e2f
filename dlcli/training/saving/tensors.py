"""Tensors → the bytes of a safetensors file, tensor by tensor, so that other threads go on."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from dlcli.training.saving.file import ABOUT

DTYPES = {torch.float32: "F32", torch.float64: "F64", torch.int64: "I64", torch.uint8: "U8"}


def file_header(tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None) -> bytearray:
    """Return the file's bytes up to the first tensor's; metadata come first."""
    entries: dict[str, Any] = {} if metadata is None else {ABOUT: metadata}
    end = 0
    for name, tensor in _in_order(tensors):
        start, end = end, end + tensor.nbytes
        entries[name] = {
            "dtype": DTYPES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [start, end],
        }
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return bytearray(len(text).to_bytes(8, "little") + text)


def file_buffers(tensors: Mapping[str, Tensor]) -> Iterator[memoryview]:
    """Yield the bytes of each tensor, in the order of the header."""
    for _, tensor in _in_order(tensors):
        yield tensor.contiguous().flatten().view(torch.uint8).numpy().data


def _in_order(tensors: Mapping[str, Tensor]) -> list[tuple[str, Tensor]]:
    """Put wide numbers first, so that each is aligned."""
    return sorted(tensors.items(), key=lambda item: (-item[1].itemsize, item[0]))
