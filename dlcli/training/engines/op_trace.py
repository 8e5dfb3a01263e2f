"""The tensor operations of a function, recorded once and done again without what led to them.

No module, no autograd graph, no new memory: each operation writes into the tensor that it made when
it was recorded, so whatever only looks at such a tensor in another shape needs nothing to be done.
The operations are the very ones that PyTorch does, so are the bits that come out.

It holds for functions whose operations are the same at every call: no decision in them may look at
a number in a tensor, and what they are given must stand in the same tensors every time.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property, partial
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

_FACTORIES = {"ones_like", "zeros_like", "new_zeros", "zeros", "ones", "full", "full_like"}

_RESIZING = {"mse_loss", "huber_loss"}  # write each number into what they return the mean in


class OpTrace:
    """A function's operations. Recording is a call: what it changes is changed, once."""

    def __init__(self, function: Callable[[], Tensor]) -> None:
        """Record; `result` is what the function returned, and what `replay` writes into."""
        recorder = _Recorder()
        with recorder:
            self.result = function()
        random_state = torch.get_rng_state()
        self._calls = list(_calls(recorder.operations))
        torch.set_rng_state(random_state)  # trials have drawn from it
        self._kept = recorder.operations  # with the tensors that the calls work on

    def replay(self) -> Tensor:
        """Do it all again."""
        with torch._C._AutoDispatchBelowAutograd():
            for call in self._calls:
                call()
        return self.result


@dataclass(frozen=True, eq=False)
class _Operation:
    """An operation that was done, to what, and what came of it."""

    overload: Any  # an OpOverload
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    result: Any

    @property
    def name(self) -> str:
        return str(self.overload.overloadpacket.__name__)

    @cached_property
    def read(self) -> list[int]:
        """Where the tensors stand that it was given."""
        return [*map(_place, _tensors(self.args)), *map(_place, _tensors(self.kwargs))]

    @cached_property
    def makes_nothing(self) -> bool:
        """Whether its result stands where its arguments stand."""
        return _places(self.result).issubset(self.read)

    @cached_property
    def is_view(self) -> bool:
        return self.makes_nothing and not self.overload._schema.is_mutable

    @property
    def changed(self) -> set[int]:
        """Where the tensors stand that it changes in place."""
        if not self.overload._schema.is_mutable:
            return set()
        arguments = self.overload._schema.arguments
        given = {
            argument.name: value for argument, value in zip(arguments, self.args, strict=False)
        }
        return {
            place
            for argument in arguments
            if argument.alias_info is not None and argument.alias_info.is_write
            for place in _places((given | self.kwargs).get(argument.name))
        }


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations: list[_Operation] = []


def _record(
    self: _Recorder,
    overload: Any,  # noqa: ANN401
    _types: Any,  # noqa: ANN401
    args: tuple[Any, ...] = (),
    kwargs: dict[str, Any] | None = None,
) -> Any:  # noqa: ANN401
    result = overload(*args, **(kwargs or {}))
    self.operations.append(_Operation(overload, args, kwargs or {}, result))
    return result


# Set afterwards: a class that has it from the start gets it wrapped in what imports torch._dynamo.
_Recorder.__torch_dispatch__ = _record  # type: ignore[assignment,method-assign]


def _calls(operations: list[_Operation]) -> Iterator[Callable[[], object]]:
    """Yield what to call to have the operations done again, into their results."""
    changed = {place for operation in operations for place in operation.changed}
    targets: dict[int, Tensor] = {}
    needless = []
    for operation in operations:
        if operation.name == "_foreach_copy_":
            direct = _direct_targets(operation, operations)
            targets |= direct
            needless += [operation] * bool(direct)
    for operation in operations:
        if operation.is_view or operation in needless or operation.name.startswith("empty"):
            continue
        if operation.name in _FACTORIES and not _places(operation.result) & changed:
            continue
        yield _call(operation, targets)


def _direct_targets(copy: _Operation, operations: list[_Operation]) -> dict[int, Tensor]:
    """Return where results can be written at once that are only copied there, by their ids.

    Nothing unless it holds for all that is copied.
    """
    read = Counter(
        place for operation in operations if not operation.is_view for place in operation.read
    )
    made = {
        _place(item): item
        for operation in operations
        if not operation.makes_nothing
        for item in _tensors(operation.result)
    }
    direct = {}
    for target, source in zip(*copy.args[:2], strict=True):
        origin = made.get(_place(source))
        if (
            origin is None
            or read[_place(source)] > 1
            or origin.dtype != target.dtype
            or not origin.numel() == source.numel() == target.numel()
        ):
            return {}
        if _layout(origin) == _layout(source) == _layout(target):
            direct[id(origin)] = target
        elif origin.is_contiguous() and source.is_contiguous() and target.is_contiguous():
            direct[id(origin)] = target.view(origin.shape)
        else:
            return {}
    return direct


def _call(operation: _Operation, targets: dict[int, Tensor]) -> Callable[[], object]:
    """Return what to call to have an operation done again, into its results or other targets."""
    overload, args, kwargs = operation.overload, operation.args, operation.kwargs
    if operation.makes_nothing:
        return partial(_binding(operation.name, overload, args, kwargs), *args, **kwargs)
    results = [targets.get(id(item), item) for item in tree_flatten(operation.result)[0]]
    if operation.name == "_to_copy":
        return partial(results[0].copy_, *args)
    writing, names = _writing_variant(overload)
    if (
        operation.name in _RESIZING or writing is None or any(item is None for item in results)
    ):  # a gradient that nobody asked for
        return partial(_do_and_copy, operation, results)
    wanted = {argument.name for argument in writing._schema.arguments}
    kept = {key: value for key, value in kwargs.items() if key in wanted}
    if len(names) > 1:
        return partial(writing._op, *args, **kept, **dict(zip(names, results, strict=True)))
    kept[names[0]] = results if isinstance(operation.result, list) else results[0]
    return partial(_binding(operation.name, writing, args, kept), *args, **kept)


@cache
def _writing_variant(overload: Any) -> tuple[Any, tuple[str, ...]]:  # noqa: ANN401
    """Return the overload that writes into tensors given, and their names; None without one."""
    packet = overload.overloadpacket
    expected = [(item.name, str(item.type)) for item in overload._schema.arguments]
    for name in packet.overloads():
        candidate = getattr(packet, name)
        arguments = candidate._schema.arguments
        inputs = [(item.name, str(item.type)) for item in arguments if not item.is_out]
        outputs = tuple(item.name for item in arguments if item.is_out)
        if outputs and inputs == expected[: len(inputs)]:
            return candidate, outputs
    return None, ()


def _binding(
    name: str,
    overload: Any,  # noqa: ANN401
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Callable[..., object]:
    """Return PyTorch's function for an overload where there is one: called in half the time.

    A trial on copies shows whether it takes the same arguments.
    """
    function = getattr(torch.Tensor if name.endswith("_") else torch, name, None)
    if function is None:
        return overload._op  # type: ignore[no-any-return]
    try:
        function(*_copied(args), **_copied(kwargs))
    except (TypeError, RuntimeError):
        return overload._op  # type: ignore[no-any-return]
    return function  # type: ignore[no-any-return]


def _do_and_copy(operation: _Operation, targets: list[Tensor | None]) -> None:
    again = tree_flatten(operation.overload(*operation.args, **operation.kwargs))[0]
    for target, source in zip(targets, again, strict=True):
        if target is not None:
            target.copy_(source)


def _tensors(values: Any) -> list[Tensor]:  # noqa: ANN401
    """Return all tensors in nested values: much faster than PyTorch's `tree_flatten`."""
    if isinstance(values, Tensor):
        return [values]
    if isinstance(values, dict):
        values = values.values()
    elif not isinstance(values, tuple | list):
        return []
    return [tensor for value in values for tensor in _tensors(value)]


def _copied(values: Any) -> Any:  # noqa: ANN401
    """Return nested values with copies of their tensors."""
    if isinstance(values, Tensor):
        return values.clone()
    if isinstance(values, dict):
        return {key: _copied(value) for key, value in values.items()}
    if isinstance(values, tuple | list):
        return [*map(_copied, values)]
    return values


def _layout(tensor: Tensor) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return tensor.shape, tensor.stride()


def _place(tensor: Tensor) -> int:
    """Return the address of a tensor's memory."""
    return tensor.untyped_storage().data_ptr()


def _places(values: Any) -> set[int]:  # noqa: ANN401
    return set(map(_place, _tensors(values)))
