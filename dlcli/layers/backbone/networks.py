"""timm's networks: what they are made of, and how they are built. Imports timm, and so torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from types import ModuleType
from typing import Literal

from torch import Tensor, device, nn, no_grad
from torch.utils.flop_counter import FlopCounterMode

from dlcli.errors import ConfigError, suggest
from dlcli.layers.base import Shape, ShapeError

Output = Literal["features", "maps"]


@dataclass(frozen=True)
class Description:
    """What a network makes of images of a size, and what it costs for each of them."""

    output_shape: Shape
    tensors: Mapping[str, Shape]  # its state
    num_parameters: int
    multiply_adds: int
    num_kept: int
    min_rows: int


def timm() -> ModuleType:
    """Return the library; ConfigError where it isn't installed, or can't be imported."""
    if find_spec("timm") is None:
        raise ConfigError(
            "the layer backbone needs timm, which is not installed: pip install 'dlcli[backbones]'"
        )
    try:
        import timm as library
    except (ImportError, RuntimeError) as error:  # torchvision, made for another torch
        raise ConfigError(
            f"the layer backbone needs timm, which can't be imported: {error}; install timm and "
            "torchvision for this version of torch: pip install 'dlcli[backbones]'"
        ) from None
    module: ModuleType = library
    return module


@cache
def described(name: str, output: Output, shape: Shape) -> Description:
    """Describe a network for images [channels, height, width], without memory for its numbers.

    Raises ShapeError where timm has no such network, or it can't take them.
    """
    network = _without_numbers(name, output)
    kept: list[int] = []

    def note(_module: nn.Module, _inputs: object, result: object) -> None:
        if isinstance(result, Tensor):
            kept.append(result.numel())

    for module in network.modules():
        if not any(True for _ in module.children()):
            module.register_forward_hook(note)
    try:
        with FlopCounterMode(display=False) as counter, no_grad():
            result = network(_images(2, shape))
    except Exception as error:
        reason = str(error).strip().partition("\n")[0]
        raise ShapeError(
            f"{name} can't take images {list(shape)}: {reason}; change data.images.size"
        ) from None
    after = tuple(result.shape[1:])
    # Channels come first: before the layers of a classifier, or after those that are kept of it.
    channels = (network.num_features, getattr(network, "head_hidden_size", None))
    if len(after) != (3 if output == "maps" else 1) or after[0] not in channels:
        raise ShapeError(
            f"{name} gives no {output} but {list(after)}; "
            + ("use output: features" if output == "maps" else "use another backbone")
        )
    return Description(
        after,
        {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()},
        sum(parameter.numel() for parameter in network.parameters()),
        counter.get_total_flops() // 4,
        sum(kept) // 2,
        _min_rows(network, shape),
    )


@cache
def parameter_names(name: str, output: Output) -> tuple[str, ...]:
    """Return the names of a network's parameters."""
    return tuple(key for key, _ in _without_numbers(name, output).named_parameters())


def build(name: str, output: Output, *, pretrained: bool = False) -> nn.Module:
    """Build a network of three channels without its classifier.

    Raises ShapeError where timm has no such network.
    """
    library = timm()
    if not library.is_model(name):
        raise ShapeError(
            f"timm has no network {name}{suggest(name, library.list_models())}", ("name",)
        )
    settings = {"global_pool": ""} if output == "maps" else {}
    try:
        library.get_pretrained_cfg(name)
    except RuntimeError as error:  # a tag, as in resnet18.tv_in1k, that it doesn't have
        raise ShapeError(str(error), ("name",)) from None
    network: nn.Module = library.create_model(
        name, pretrained=pretrained, num_classes=0, **settings
    )
    return network


def _without_numbers(name: str, output: Output) -> nn.Module:
    with device("meta"):
        return build(name, output)


def _images(number: int, shape: Shape) -> Tensor:
    from torch import empty

    return empty(number, *shape, device="meta")


def _min_rows(network: nn.Module, shape: Shape) -> int:
    try:
        with no_grad():
            network.train()(_images(1, shape))
    except ValueError:  # batch norm's, of one value per channel
        return 2
    return 1
