"""What a network costs: parameters, and multiply-adds of one forward pass."""

from __future__ import annotations

import copy
import math
from functools import partial

import torch
from torch import Tensor, nn

from dctnet.coefficients import Coefficients, block_sizes
from dctnet.transforms.frequency import select_bands


def parameters(model: nn.Module) -> int:
    """The number of parameters, frozen ones included; buffers are not parameters.

    >>> parameters(nn.Linear(10, 3))
    33
    """
    return sum(parameter.numel() for parameter in model.parameters())


def multiply_adds(model: nn.Module, size: int | tuple[int, int] = 224, block_size: int | tuple[int, int] = 8) -> int:
    """Multiply-adds of convolutions, transposed convolutions and linear layers for one picture of ``size`` pixels.

    ``size`` is a side or (height, width); ``block_size`` that of the planes the model reads (``model.block_size``), of
    which it gets its ``bands``, where it has chosen some. This is what the literature counts: BatchNorm, activations and
    sums are left out, and so is the fixed arithmetic of a PixelFrontend, which has no layers. A convolution by FFT or Winograd's
    counts as the direct one in its place. Nothing is computed: a copy of the model runs on PyTorch's "meta" device, in evaluation
    mode, and the model itself stays as it is.

    >>> from dctnet.models.zoo import create_model
    >>> round(multiply_adds(create_model("upsampling")) / 1e9, 2)                   # published: 3.04
    3.04
    """
    check_reads_pictures(model)
    planes, bands = blank(size, block_size, "meta"), getattr(model, "bands", None)
    twin = copy.deepcopy(model).to("meta").eval()
    return sum(counted(twin, planes if bands is None else select_bands(planes, bands)).values())


def check_reads_pictures(model: nn.Module) -> None:
    """ValueError for a network on time series: grids, multiply-adds and graphs are made for networks on Coefficients."""
    if getattr(model, "reads", "pictures") != "pictures":
        raise ValueError(
            f"{type(model).__name__} reads {model.reads}, no pictures: it has no summary, count of multiply-adds, card or export "
            "here. models.parameters counts its parameters."
        )


def counted(model: nn.Module, planes: Coefficients) -> dict[str, int]:
    """The multiply-adds of each convolution and linear layer of ``model`` (by its name) as it runs on ``planes``."""
    found: dict[str, int] = {}

    def count(name: str, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if isinstance(module, nn.Linear):
            cost = output.numel() * module.in_features
        elif isinstance(module, nn.ConvTranspose2d):
            cost = inputs[0].numel() * math.prod(module.kernel_size) * module.out_channels // module.groups
        else:
            cost = output.numel() * math.prod(module.kernel_size) * module.in_channels // module.groups
        found[name] = found.get(name, 0) + cost

    hooks = [
        module.register_forward_hook(partial(count, name))
        for name, module in model.named_modules()
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear))
    ]
    with torch.no_grad():
        model(planes)
    for hook in hooks:
        hook.remove()
    return found


def blank(
    size: int | tuple[int, int] = 224,
    block_size: int | tuple[int, int] = 8,
    device: torch.device | str = "cpu",
    n: int = 1,
) -> Coefficients:
    """A batch of n gray pictures (all coefficients zero) on the 4:2:0 grids of ``size`` pixels.

    >>> [tuple(plane.shape) for plane in blank(224, (8, 4))]
    [(1, 64, 28, 28), (1, 16, 28, 28), (1, 16, 28, 28)]
    """
    height, width = (size, size) if isinstance(size, int) else size
    planes = []
    for b, spacing in zip(block_sizes(block_size), (1, 2), strict=True):
        grid = (math.ceil(math.ceil(side / spacing) / b) for side in (height, width))
        planes.append(torch.zeros(n, b * b, *grid, device=device))
    return Coefficients(planes[0], planes[1], planes[1].clone())
