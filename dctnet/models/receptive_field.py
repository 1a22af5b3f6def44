"""The receptive field of any network, exactly: which pixels of the picture a value inside can depend on.

A copy of the network is made positive, so that nothing can cancel or be cut off:

    convolution, linear      each output the mean over the inputs, groups kept; no weights, no bias
    ReLU, ReLU6, BatchNorm   the identity
    max-pool                 average pool of the same window

    band-limited             the convolution, and the mean over the whole map where frequencies are dropped
    Winograd's               the convolution

and everything else (sums, concatenations, strides, padding, enlarging, shuffles, global pools, products with a gate) is left
as it is. In this network the derivative of a value by an input is positive exactly where there is a path between them, so
the box of its non-zero derivatives is the receptive field, whatever the streams and grids are. float64 keeps the smallest
of them, 1/9 to the power of the depth. A decision without a derivative, such as a gate open or closed, is no path.

A network of pixels (one with a ``PixelFrontend``) is measured from its pixels on, one of coefficients from its blocks: a
block counts with all the pixels that it covers.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from dctnet.bands import BAND_SETS
from dctnet.coefficients import Coefficients
from dctnet.nn.band_limited import BandLimitedConv2d
from dctnet.nn.frequency_gate import FrequencyGate
from dctnet.nn.pixel_frontend import PixelFrontend
from dctnet.nn.winograd_layers import WinogradConv2d


class Source(NamedTuple):
    """Inputs to measure from: a tensor (1, C, h, w) of ones, and the (vertical, horizontal) pixels between two of its cells."""

    values: Tensor
    pitch: tuple[int, int]


class Positive(TorchFunctionMode):
    """Runs the layers of a network as the positive ones at the top of this file."""

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(function, "__name__", "")
        if name in ("relu", "relu_", "relu6", "hardtanh", "hardtanh_", "batch_norm", "dropout"):
            return args[0] if args else kwargs["input"]
        if name in ("conv1d", "conv2d", "conv_transpose2d", "linear"):
            return _mean_layer(name, *args, **kwargs)
        if name.endswith("max_pool2d") and not name.startswith("adaptive"):
            return _mean_pool(*args, **kwargs)
        return function(*args, **kwargs)


def _mean_layer(
    name: str,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    *rest: Any,
    groups: int = 1,
    **options: Any,
) -> Tensor:
    """The layer with one weight for all: a channel a group in, its result as often as the layer has outputs."""
    if name == "linear":
        return input.mean(-1, keepdim=True).expand(*input.shape[:-1], weight.shape[0]).clone()
    transposed = name == "conv_transpose2d"
    if rest:  # (dilation, groups), and of a transposed convolution (output_padding, groups, dilation)
        names = ("output_padding", "groups", "dilation") if transposed else ("dilation", "groups")
        options |= dict(zip(names, rest, strict=False))
        groups = options.pop("groups", groups)
    outputs = weight.shape[1] if transposed else weight.shape[0] // groups
    means = input.unflatten(1, (groups, -1)).mean(2)
    kernel = torch.full((groups, 1, *weight.shape[2:]), 1 / weight[0, 0].numel(), dtype=input.dtype)
    made = getattr(F, name)(means, kernel, None, stride, padding, groups=groups, **options)
    return made.unsqueeze(2).expand(-1, -1, outputs, *made.shape[2:]).flatten(1, 2).contiguous()


def _mean_pool(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor:
    if dilation not in (1, (1, 1)) or return_indices:
        raise ValueError("the receptive field of a max-pool with a dilation or indices is not known")
    return F.avg_pool2d(input, kernel_size, stride or kernel_size, padding, ceil_mode)


def receptive_fields(
    model: nn.Module, names: Sequence[str], planes: Coefficients, spacing: Sequence[tuple[int, int]]
) -> dict[str, list[tuple[int, int] | None]]:
    """Of each module of ``model`` in ``names`` the (height, width) in pixels for each tensor ``(n, c, h, w)`` that it gives.

    ``planes`` are one picture, zeros as ``cost.blank`` makes them; ``spacing`` the pixels between two of their blocks. Measured
    in the middle of the picture; None where its field reaches the border of the picture, so that more may be hidden beyond.
    """
    twin = _direct(copy.deepcopy(model).double().eval().requires_grad_(False))
    outputs: dict[str, list[Tensor]] = {}
    sources: list[Source] = []

    def begin(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        values = torch.ones_like(output, dtype=torch.float64).requires_grad_()
        sources.append(Source(values, (1, 1)))
        return values

    modules = dict(twin.named_modules())
    for module in modules.values():
        if isinstance(module, FrequencyGate):
            module.bands = BAND_SETS[192]  # the gates of equal scores would be closed
    frontends = [module for module in modules.values() if isinstance(module, PixelFrontend)]
    ones = Coefficients(*(torch.ones_like(plane, dtype=torch.float64) for plane in planes))
    for frontend in frontends:
        frontend.register_forward_hook(begin)
    if not frontends:
        sources.extend(Source(plane.requires_grad_(), pitch) for plane, pitch in zip(ones, spacing, strict=True))

    def keep(name: str, module: nn.Module, inputs: Any, output: Any) -> None:
        outputs[name] = [tensor for tensor in tensors(output) if tensor.ndim > 1]

    for name in names:
        modules[name].register_forward_hook(partial(keep, name))
    with Positive(), torch.enable_grad():
        twin(ones)
    return {name: [_box(output, sources) for output in outputs.get(name, [])] for name in names}


class _Everywhere(nn.Module):
    """A convolution each of whose outputs depends on the whole map, as one of limited band does."""

    def __init__(self, convolution: nn.Module):
        super().__init__()
        self.convolution = convolution

    def forward(self, x: Tensor) -> Tensor:
        y = self.convolution(x)
        return y + y.mean((2, 3), keepdim=True)


def _direct(model: nn.Module) -> nn.Module:
    """The model with its convolutions by transforms exchanged for direct ones, which ``Positive`` knows."""
    if isinstance(model, (BandLimitedConv2d, WinogradConv2d)):
        limited = isinstance(model, BandLimitedConv2d) and model.is_limited
        return _Everywhere(model.to_conv()) if limited else model.to_conv()
    for name, child in list(model.named_children()):
        setattr(model, name, _direct(child))
    return model


def tensors(output: Any) -> list[Tensor]:
    """The tensors of what a module gives: one, or those of a tuple, list or dict, in their order."""
    if isinstance(output, Tensor):
        return [output]
    values = output.values() if isinstance(output, dict) else output if isinstance(output, (tuple, list)) else ()
    return [tensor for value in values for tensor in tensors(value)]


def _box(output: Tensor, sources: Sequence[Source]) -> tuple[int, int] | None:
    """Height and width of the box of pixels on which the middle of ``output`` depends, None where it touches a border."""
    if output.ndim != 4 or not output.requires_grad:
        return None
    rows, columns = output.shape[2:]
    middle = output[:, :, rows // 2, columns // 2].sum()
    found = torch.autograd.grad(middle, [source.values for source in sources], retain_graph=True, allow_unused=True)
    spans: list[list[tuple[int, int]]] = [[], []]
    for gradient, source in zip(found, sources, strict=True):
        if gradient is None or not bool((gradient != 0).any()):
            continue
        cells = (gradient != 0).any(0).any(0)
        for axis, pitch in enumerate(source.pitch):
            hit = cells.any(1 - axis).nonzero().flatten()
            if int(hit[0]) == 0 or int(hit[-1]) == cells.shape[axis] - 1:
                return None
            spans[axis].append((int(hit[0]) * pitch, (int(hit[-1]) + 1) * pitch))
    if not spans[0]:
        return None
    height, width = (max(end for _, end in span) - min(start for start, _ in span) for span in spans)
    return height, width
